// FedAvg: rounds in which every site trains the same model and the sum of what they send makes the next one
// (McMahan et al., 2017). What "sum" means is the aggregator's business; this decides when a round opens and closes.
#pragma once

#include <optional>
#include <set>

#include "workflows/workflow.h"

namespace fed_learn {

struct FedAvgOptions {
  int first_round = 0;      // the round to open first: start_round, or the one after the last recorded
  int num_rounds = 1;       // the round number at which the run ends; -1: without end
  int min_num_clients = 2;  // contributions needed to close a round
  Seconds wait_after_min_clients{10};   // for the other sites that are alive, once the minimum has come
  std::optional<Seconds> round_timeout;  // close with at least one contribution; none: wait as long as it takes
};

class FedAvg : public Workflow {
 public:
  explicit FedAvg(FedAvgOptions options);
  std::vector<Decision> On(const Event& event) override;
  Waiting waiting() const override;

 private:
  enum class State { kNotStarted, kOpen, kClosing, kEnded };

  std::vector<Decision> OpenRound();
  std::vector<Decision> CloseRound();
  std::vector<Decision> End(bool completed, std::string why);
  std::vector<Decision> CloseIfComplete();
  std::vector<Decision> OnContributed(const event::Contributed& contributed);
  std::vector<Decision> OnTimer(RunTimer timer);
  std::vector<Decision> OnRecorded(int round);
  bool EnoughHaveContributed() const;
  bool AllAliveHaveContributed() const;

  FedAvgOptions options_;
  State state_ = State::kNotStarted;
  int round_ = 0;
  std::set<std::string> alive_;
  std::set<std::string> contributed_;
};

}  // namespace fed_learn
