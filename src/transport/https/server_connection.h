// ServerConnection: one connection at the server, from the TLS handshake through requests to its end.
//
// A state machine that never waits: Run takes steps until one would block. Lives on its worker's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "transport/https/control_channel.h"
#include "transport/https/http_head.h"
#include "transport/https/server_core.h"
#include "transport/https/tls_stream.h"

namespace fed_learn {

class ServerConnection : public std::enable_shared_from_this<ServerConnection> {
 public:
  // The connection has been counted with Admission::Enter, and gives its place back.
  ServerConnection(std::shared_ptr<ServerCore> core, std::shared_ptr<ServerWorker> worker, TlsStream::Socket socket,
                   std::string address);
  ~ServerConnection();

  void Run();

  // Once in a while: sees to deadlines and heartbeats.
  void Sweep(MonotonicTime now);

  // For the session, if this connection carries one.
  void SendMessage(std::string text);
  void FinishSession(const Error& why);
  void AbortSession();

 private:
  enum class Phase {
    kHandshake,
    kHead,         // until a request's blank line
    kDriver,       // until the driver answers
    kSend,         // output_, then after_send_
    kSendBody,     // source_
    kReceiveBody,  // sink_
    kSkipBody,     // of a refused request, to keep the connection
    kLinger,       // until the peer has read why, or for a while
    kControl,      // a WebSocket
    kGone,
  };
  enum class Next { kAgain, kWaitRead, kWaitWrite, kStop, kYield };

  Next Step();
  Next StepHandshake();
  Next StepHead();
  Next StepDriver();
  Next StepSend();
  Next StepSendBody();
  Next StepReceiveBody();
  Next StepSkipBody();
  Next StepLinger();

  // What a read or write that is not done means.
  Next Blocked(IoState state);

  void Enter(Phase phase, Duration deadline);
  void Touch();  // progress was made

  // A request's way.
  Next Dispatch(const RequestHead& head, std::string text);
  Next Upgrade(const std::string& head);
  Next AskGet(const RequestHead& head);
  Next AskPut(const RequestHead& head);
  void AskPutEnd();
  void OnSource(const Result<std::shared_ptr<const ByteSource>>& source);
  void OnSink(const Result<std::shared_ptr<ByteSink>>& sink);
  void OnPutReply(const Result<Json>& reply);
  void StartBody(std::uint64_t size);
  // Runs `then` when the driver has answered, now or after the heartbeat that is being sent.
  void OnAnswer(std::function<void()> then);

  // Answers.
  void Reply(int status, std::string_view content_type, std::string_view body, std::string_view more_headers = {});
  void Refuse(const Error& error, int status = 0, std::string_view more_headers = {});
  void Send(std::string text, Phase then);

  void GiveBackSink();
  void Expire();
  void Linger();
  void Close();

  const std::shared_ptr<ServerCore> core_;
  const std::weak_ptr<ServerWorker> weak_worker_;  // not owning: the worker owns its connections
  ServerWorker& worker_;
  const std::string address_;
  std::optional<TlsStream> stream_;
  std::shared_ptr<ControlChannel> control_;
  std::shared_ptr<std::atomic<std::size_t>> queued_;  // of the session

  Phase phase_ = Phase::kHandshake;
  Phase after_send_ = Phase::kHead;
  MonotonicTime deadline_{};
  Duration allowed_{};  // how far progress moves the deadline
  MonotonicTime heartbeat_{};
  int unsent_ = 0;

  Peer peer_;
  bool counted_peer_ = false;
  std::optional<Error> unwelcome_;  // said to the first request
  int refused_in_a_row_ = 0;

  std::string input_;   // read, and not yet used
  std::string output_;  // to be sent
  std::size_t output_sent_ = 0;

  BulkRequest request_;
  bool keep_alive_ = true;
  bool expects_continue_ = false;
  std::optional<ByteRange> range_;
  std::function<void()> answer_;  // came while a heartbeat was being sent
  std::shared_ptr<const ByteSource> source_;
  std::shared_ptr<ByteSink> sink_;
  std::uint64_t body_offset_ = 0;
  std::uint64_t body_left_ = 0;
};

}  // namespace fed_learn
