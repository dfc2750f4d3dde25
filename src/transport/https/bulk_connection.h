// BulkConnection: one connection of a client that carries GETs and PUTs, one after the other.
//
// A state machine like ServerConnection. Lives on its link's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/byte_stream.h"
#include "base/json.h"
#include "transport/asio_loop.h"
#include "transport/https/deadlines.h"
#include "transport/https/http_head.h"
#include "transport/https/tls_stream.h"
#include "transport/link.h"

namespace fed_learn {

// A GET (with sink and got) or a PUT (with source and put).
struct Transfer {
  std::string path = {};
  std::string token = {};
  std::shared_ptr<ByteSink> sink = nullptr;
  Answer<std::uint64_t> got = nullptr;
  std::shared_ptr<const ByteSource> source = nullptr;
  std::uint64_t offset = 0;
  Answer<Json> put = nullptr;
  bool retried = false;  // goes by a new connection, because a kept one was closed under it

  bool is_put() const { return source != nullptr; }
  void Fail(const Error& error) const;
};

class BulkConnection : public std::enable_shared_from_this<BulkConnection> {
 public:
  struct Owner {
    // The connection is idle or gone.
    std::function<void()> on_free;
    // It was closed at the server before the transfer was heard of there; that is to go by a new connection.
    std::function<void(const std::shared_ptr<Transfer>&)> on_retry;
  };

  // `host` goes into the Host header. What is referred to outlives the connection.
  BulkConnection(TlsStream stream, std::string host, AsioLoop& loop, const HttpsDeadlines& deadlines,
                 LinkCounters& counters)
      : stream_(std::move(stream)), host_(std::move(host)), loop_(loop), deadlines_(deadlines), counters_(counters) {}

  void SetOwner(Owner owner) { owner_ = std::move(owner); }

  // REQUIRES: idle.
  void Start(std::shared_ptr<Transfer> transfer);

  // Closes at once, without any call.
  void Abort();

  void Sweep(MonotonicTime now);
  bool idle() const { return phase_ == Phase::kIdle; }
  bool busy() const { return phase_ != Phase::kIdle && phase_ != Phase::kGone; }

 private:
  enum class Phase { kIdle, kSendHead, kReadHead, kSendBody, kReceiveBody, kReadText, kGone };
  enum class Next { kAgain, kWaitRead, kWaitWrite, kStop, kYield };

  void Run();
  Next Step();
  Next StepIdle();
  Next StepSendHead();
  Next StepReadHead();
  Next StepSendBody();
  Next StepReceiveBody();
  Next StepReadText();

  Next OnHead(const ResponseHead& head);
  Next OnGetHead(const ResponseHead& head);
  Next OnText();

  Next Blocked(IoState state);
  Next Broken();  // the connection has, in the middle of a transfer
  Next Succeed(const std::function<void(const Transfer&)>& answer);
  Next Fail(const Error& error, bool usable);
  void Enter(Phase phase);
  std::string Head() const;

  TlsStream stream_;
  const std::string host_;
  AsioLoop& loop_;
  const HttpsDeadlines deadlines_;
  LinkCounters& counters_;
  Owner owner_;

  Phase phase_ = Phase::kIdle;
  MonotonicTime deadline_ = MonotonicTime::max();
  int unsent_ = 0;
  bool served_ = false;  // a transfer before this one
  bool heard_ = false;   // a byte of the answer
  bool stalled_ = false;
  bool waits_to_send_ = false;  // for "100 Continue"
  bool body_cut_ = false;       // our body was not sent whole

  std::shared_ptr<Transfer> transfer_;
  std::string input_;
  std::string output_;
  std::size_t output_sent_ = 0;
  ResponseHead response_;
  std::uint64_t body_offset_ = 0;
  std::uint64_t body_left_ = 0;
  std::string text_;
};

}  // namespace fed_learn
