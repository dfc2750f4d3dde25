#include "server/upload_desk.h"

#include <algorithm>
#include <utility>

namespace fed_learn {
namespace {

std::string UploadIdOf(const UploadOffer& offer) {
  const std::string text = std::to_string(offer.header.run) + "/" + std::to_string(offer.header.round) + "/" +
                           offer.site + "/" + offer.manifest_id;
  return ToHex(HashContent(AsBytes(text)).bytes);
}

}  // namespace

UploadDesk::UploadDesk(Loop& loop, UploadDeskOptions options, std::shared_ptr<BufferPool> pool)
    : loop_(loop), options_(options), pool_(std::move(pool)) {}

UploadDesk::~UploadDesk() { loop_.Cancel(eviction_); }

void UploadDesk::StartRound(ModelReceiver::Lookup have, int slots) {
  have_ = std::move(have);
  slots_max_ = slots;
}

void UploadDesk::EndRound(const Error& why) {
  for (auto& [id, slot] : slots_) {
    if (slot.attached) orphans_[slot.staged.receiver.get()] = slot.staged.receiver;
  }
  slots_.clear();
  for (auto& waiting : std::exchange(queue_, {})) waiting.answer(why);
  loop_.Cancel(std::exchange(eviction_, TimerId::kNone));
}

int UploadDesk::slots_used() const { return static_cast<int>(slots_.size() + orphans_.size()); }

void UploadDesk::Offer(UploadOffer offer, Answer<UploadGrant> answer) {
  const std::string id = UploadIdOf(offer);
  std::erase_if(queue_, [&](Waiting& waiting) {
    if (waiting.offer.site != offer.site) return false;
    waiting.answer(FailedPrecondition("replaced by a later offer of the same site"));
    return true;
  });
  for (auto it = slots_.begin(); it != slots_.end();) {
    if (it->second.staged.site == offer.site && it->first != id) {
      if (it->second.attached) orphans_[it->second.staged.receiver.get()] = it->second.staged.receiver;
      it = slots_.erase(it);
    } else {
      ++it;
    }
  }
  Requeue(std::move(offer), std::move(answer));
}

void UploadDesk::Requeue(UploadOffer offer, Answer<UploadGrant> answer) {
  queue_.push_back({std::move(offer), std::move(answer)});
  ServeQueue();
}

void UploadDesk::ServeQueue() {
  loop_.Cancel(std::exchange(eviction_, TimerId::kNone));
  for (auto next = NextInQueue(); next != queue_.end(); next = NextInQueue()) {
    const bool needs_slot = !slots_.contains(UploadIdOf(next->offer));
    if (needs_slot && slots_used() >= slots_max_ && !EvictOne()) return ArmEviction();
    Waiting served = std::move(*next);
    queue_.erase(next);
    Grant(std::move(served.offer), served.answer);
  }
}

// Who has a slot goes on before others get one.
std::deque<UploadDesk::Waiting>::iterator UploadDesk::NextInQueue() {
  auto next = queue_.end();
  for (auto it = queue_.begin(); it != queue_.end(); ++it) {
    if (const auto slot = slots_.find(UploadIdOf(it->offer)); slot != slots_.end()) {
      if (!slot->second.attached) return it;
      // The same upload on a connection that has not noticed its end: its bytes are not ours yet.
      continue;
    }
    if (next == queue_.end() || UploadsOn(it->offer.lane) < UploadsOn(next->offer.lane)) next = it;
  }
  return next;
}

std::ptrdiff_t UploadDesk::UploadsOn(int lane) const {
  return std::count_if(slots_.begin(), slots_.end(), [&](const auto& entry) { return entry.second.lane == lane; });
}

void UploadDesk::Grant(UploadOffer offer, const Answer<UploadGrant>& answer) {
  const std::string id = UploadIdOf(offer);
  auto found = slots_.find(id);
  if (found == slots_.end()) {
    auto receiver = std::make_shared<ModelReceiver>(std::move(offer.manifest), have_, pool_);
    StagedUpload staged{offer.site, std::move(offer.header), offer.manifest_id, std::move(receiver)};
    found = slots_.emplace(id, Slot{.staged = std::move(staged)}).first;
  }
  found->second.lane = offer.lane;
  found->second.detached_at = loop_.Now();
  const ModelReceiver& receiver = *found->second.staged.receiver;
  UploadGrant grant;
  grant.upload = id;
  grant.tensors = FormatSelection(receiver.lacking());
  grant.bytes = receiver.lacking_bytes();
  grant.offset = receiver.offset();
  answer(std::move(grant));
}

Result<std::shared_ptr<ByteSink>> UploadDesk::Attach(const std::string& site, const std::string& upload) {
  const auto found = slots_.find(upload);
  if (found == slots_.end() || found->second.staged.site != site) {
    return NotFound("Contrib: no upload of that name is granted to '" + site + "' in this round; offer it again");
  }
  if (found->second.attached) {
    return FailedPrecondition("another connection of '" + site + "' is filling this upload; offer it again");
  }
  found->second.attached = true;
  return std::static_pointer_cast<ByteSink>(found->second.staged.receiver);
}

std::optional<StagedUpload> UploadDesk::Detach(const std::string& upload, const std::shared_ptr<ByteSink>& sink,
                                               bool complete) {
  orphans_.erase(sink.get());
  std::optional<StagedUpload> finished;
  const auto found = slots_.find(upload);
  if (found != slots_.end() && found->second.staged.receiver.get() == sink.get()) {
    found->second.attached = false;
    found->second.detached_at = loop_.Now();
    if (complete) {
      finished = std::move(found->second.staged);
      slots_.erase(found);
    }
  }
  if (!options_.bugs.forget_waiting_site || !complete) ServeQueue();
  return finished;
}

bool UploadDesk::EvictOne() {
  const auto evictable = std::find_if(slots_.begin(), slots_.end(), [&](const auto& entry) {
    return !entry.second.attached && loop_.Now() - entry.second.detached_at >= options_.grace;
  });
  if (evictable == slots_.end()) return false;
  slots_.erase(evictable);
  return true;
}

void UploadDesk::ArmEviction() {
  std::optional<MonotonicTime> first;
  for (const auto& [id, slot] : slots_) {
    if (!slot.attached && (!first || slot.detached_at < *first)) first = slot.detached_at;
  }
  if (!first) return;
  const Duration delay = std::max<Duration>(*first + options_.grace - loop_.Now(), std::chrono::milliseconds(1));
  eviction_ = loop_.After(delay, [this] {
    eviction_ = TimerId::kNone;
    ServeQueue();
  });
}

}  // namespace fed_learn
