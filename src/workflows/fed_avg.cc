#include "workflows/fed_avg.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace fed_learn {
namespace {

template <typename... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};

}  // namespace

FedAvg::FedAvg(FedAvgOptions options) : options_(options), round_(options.first_round) {
  options_.min_num_clients = std::max(options_.min_num_clients, 1);
}

std::vector<Decision> FedAvg::On(const Event& event) {
  if (state_ == State::kEnded) return {};
  return std::visit(Overloaded{
                        [&](const event::Started&) {
                          return state_ == State::kNotStarted ? OpenRound() : std::vector<Decision>{};
                        },
                        [&](const event::Joined& joined) {
                          alive_.insert(joined.site);
                          return std::vector<Decision>{};
                        },
                        [&](const event::Left& left) {
                          alive_.erase(left.site);
                          return CloseIfComplete();
                        },
                        [&](const event::Contributed& contributed) { return OnContributed(contributed); },
                        [&](const event::TimerFired& fired) { return OnTimer(fired.timer); },
                        [&](const event::RoundRecorded& recorded) { return OnRecorded(recorded.round); },
                        [&](const event::Aborted& aborted) { return End(false, aborted.why); },
                    },
                    event);
}

std::vector<Decision> FedAvg::OpenRound() {
  if (options_.num_rounds >= 0 && round_ >= options_.num_rounds) return End(true, "");
  state_ = State::kOpen;
  contributed_.clear();
  std::vector<Decision> decisions{decision::OpenRound{round_}};
  if (options_.round_timeout) decisions.push_back(decision::StartTimer{RunTimer::kRound, *options_.round_timeout});
  return decisions;
}

std::vector<Decision> FedAvg::CloseRound() {
  state_ = State::kClosing;
  return {decision::StopTimer{RunTimer::kWaitAfterMinClients}, decision::StopTimer{RunTimer::kRound},
          decision::CloseRound{round_}};
}

std::vector<Decision> FedAvg::End(bool completed, std::string why) {
  state_ = State::kEnded;
  return {decision::StopTimer{RunTimer::kWaitAfterMinClients}, decision::StopTimer{RunTimer::kRound},
          decision::EndRun{completed, std::move(why)}};
}

std::vector<Decision> FedAvg::CloseIfComplete() {
  const bool complete = state_ == State::kOpen && EnoughHaveContributed() && AllAliveHaveContributed();
  return complete ? CloseRound() : std::vector<Decision>{};
}

std::vector<Decision> FedAvg::OnContributed(const event::Contributed& contributed) {
  if (state_ != State::kOpen || contributed.round != round_) return {};
  const bool enough_before = EnoughHaveContributed();
  contributed_.insert(contributed.site);
  if (auto decisions = CloseIfComplete(); !decisions.empty()) return decisions;
  if (enough_before || !EnoughHaveContributed()) return {};
  return {decision::StartTimer{RunTimer::kWaitAfterMinClients, options_.wait_after_min_clients}};
}

std::vector<Decision> FedAvg::OnTimer(RunTimer timer) {
  if (state_ != State::kOpen) return {};
  if (timer == RunTimer::kWaitAfterMinClients) return EnoughHaveContributed() ? CloseRound() : std::vector<Decision>{};
  if (!contributed_.empty()) return CloseRound();
  return {decision::StartTimer{RunTimer::kRound, *options_.round_timeout}};
}

std::vector<Decision> FedAvg::OnRecorded(int round) {
  if (state_ != State::kClosing || round != round_) return {};
  ++round_;
  return OpenRound();
}

bool FedAvg::EnoughHaveContributed() const {
  return static_cast<int>(contributed_.size()) >= options_.min_num_clients;
}

bool FedAvg::AllAliveHaveContributed() const {
  return std::includes(contributed_.begin(), contributed_.end(), alive_.begin(), alive_.end());
}

Waiting FedAvg::waiting() const {
  if (state_ != State::kOpen) return {};
  Waiting waiting;
  std::set_difference(alive_.begin(), alive_.end(), contributed_.begin(), contributed_.end(),
                      std::back_inserter(waiting.sites));
  waiting.setting = EnoughHaveContributed()
                        ? fmt::format("wait_after_min_clients = {:g} s", options_.wait_after_min_clients.count())
                        : fmt::format("min_num_clients = {}", options_.min_num_clients);
  return waiting;
}

}  // namespace fed_learn
