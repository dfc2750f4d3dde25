#include "transport/https/admission.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/text.h"

namespace fed_learn {
namespace {

double SecondsBetween(MonotonicTime from, MonotonicTime to) { return std::chrono::duration<double>(to - from).count(); }

}  // namespace

bool Admission::Enter() {
  const std::lock_guard lock(mutex_);
  if (connections_ >= limits_.connections_max) return false;
  ++connections_;
  return true;
}

void Admission::Leave() {
  const std::lock_guard lock(mutex_);
  --connections_;
}

Status Admission::EnterPeer(const std::string& peer) {
  const std::lock_guard lock(mutex_);
  PeerUse& use = peers_.try_emplace(peer, PeerUse{.tokens = limits_.requests_burst}).first->second;
  if (use.connections >= limits_.connections_per_peer_max) {
    return ResourceExhausted(
        fmt::format("'{}' has {} connections open, which is as many as one peer may have; is it started twice?", peer,
                    use.connections));
  }
  ++use.connections;
  return {};
}

void Admission::LeavePeer(const std::string& peer) {
  const std::lock_guard lock(mutex_);
  const auto found = peers_.find(peer);
  if (found != peers_.end()) --found->second.connections;
}

Duration Admission::PutOff(const std::string& peer, MonotonicTime now) {
  const std::lock_guard lock(mutex_);
  PeerUse& use = peers_.try_emplace(peer, PeerUse{.tokens = limits_.requests_burst, .counted = now}).first->second;
  const double earned = SecondsBetween(use.counted, now) * limits_.requests_per_second;
  use.tokens = std::min(limits_.requests_burst, use.tokens + std::max(0.0, earned));
  use.counted = std::max(use.counted, now);
  if (use.tokens >= 1) {
    use.tokens -= 1;
    return Duration::zero();
  }
  const double seconds = (1 - use.tokens) / limits_.requests_per_second;
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds)) + std::chrono::milliseconds(1);
}

void RefusalLog::Note(Refusal refusal, const std::string& message, MonotonicTime now) {
  counters_->CountRefusal(refusal);
  std::size_t unlogged = 0;
  {
    const std::lock_guard lock(mutex_);
    lines_ = std::min(kLinesBurst, lines_ + SecondsBetween(counted_, now) * kLinesPerSecond);
    counted_ = now;
    if (lines_ < 1) {
      ++unlogged_;
      return;
    }
    lines_ -= 1;
    unlogged = std::exchange(unlogged_, 0);
  }
  LogWarning("refused {}{}", Escaped(message),
             unlogged == 0 ? std::string() : fmt::format(" (and {} others since the last such line)", unlogged));
}

}  // namespace fed_learn
