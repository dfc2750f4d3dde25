// UploadDesk: the staged uploads of the open round. A contribution is gathered here whole before any of it is counted.
//
// Memory is bounded by credits: only a few uploads hold a buffer, the others wait in a queue, at their sites, for
// the grant. A broken upload keeps its slot and goes on at its offset; after `grace` without a connection it loses the
// slot to whoever waits. Of those who wait, the first on the lane with the fewest uploads is next, so that uploads do
// not queue for one thread of the link's while another has none. Lives on the driver's loop; the sinks are filled on
// the link's threads.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/loop.h"
#include "base/result.h"
#include "formats/package.h"
#include "transport/link.h"
#include "transport/messages.h"

namespace fed_learn {

// Switches that plant a bug, so that the fault tests can show that they would find it. All off in production.
struct PlantedBugs {
  bool acknowledge_before_sync = false;
  bool count_reoffer_twice = false;
  bool forget_waiting_site = false;
};

struct UploadDeskOptions {
  Duration grace = std::chrono::minutes(2);
  PlantedBugs bugs;
};

struct UploadOffer {
  std::string site;
  ContributionHeader header;
  Manifest manifest;
  std::string manifest_id;
  int lane = 0;  // of the link, on which the bytes would come
};

struct StagedUpload {
  std::string site;
  ContributionHeader header;
  std::string manifest_id;
  std::shared_ptr<ModelReceiver> receiver;
};

class UploadDesk {
 public:
  UploadDesk(Loop& loop, UploadDeskOptions options, std::shared_ptr<BufferPool> pool);
  ~UploadDesk();

  // `have` finds tensors that need not travel; at most so many uploads hold a buffer at a time.
  void StartRound(ModelReceiver::Lookup have, int slots);

  // Drops what is staged and refuses those who wait with `why`.
  void EndRound(const Error& why);

  // Answers with a grant as soon as there is a slot. A site's later offer replaces its earlier one; the same offer
  // again goes on where the bytes stopped.
  void Offer(UploadOffer offer, Answer<UploadGrant> answer);

  // The sink of a granted upload, for one connection. NotFound if it is not granted to this site (any more);
  // FailedPrecondition while another connection fills it.
  Result<std::shared_ptr<ByteSink>> Attach(const std::string& site, const std::string& upload);

  // A connection lets go of its sink. Returns the upload, out of the desk, if it is complete and still wanted.
  std::optional<StagedUpload> Detach(const std::string& upload, const std::shared_ptr<ByteSink>& sink, bool complete);

  int slots_used() const;  // buffers held, those of dropped uploads on a live connection included
  std::size_t waiting() const { return queue_.size(); }

 private:
  struct Slot {
    StagedUpload staged;
    int lane = 0;
    bool attached = false;
    MonotonicTime detached_at;
  };
  struct Waiting {
    UploadOffer offer;
    Answer<UploadGrant> answer;
  };

  void Grant(UploadOffer offer, const Answer<UploadGrant>& answer);
  void Requeue(UploadOffer offer, Answer<UploadGrant> answer);
  void ServeQueue();
  std::deque<Waiting>::iterator NextInQueue();
  std::ptrdiff_t UploadsOn(int lane) const;
  bool EvictOne();
  void ArmEviction();

  Loop& loop_;
  UploadDeskOptions options_;
  std::shared_ptr<BufferPool> pool_;
  ModelReceiver::Lookup have_;
  int slots_max_ = 1;
  std::map<std::string, Slot> slots_;                             // by upload id
  std::map<const ByteSink*, std::shared_ptr<ByteSink>> orphans_;  // dropped, still on a connection
  std::deque<Waiting> queue_;
  TimerId eviction_ = TimerId::kNone;
};

}  // namespace fed_learn
