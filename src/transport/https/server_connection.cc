#include "transport/https/server_connection.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/text.h"

namespace fed_learn {
namespace {

// After so many bytes the other connections of the thread get their turn.
constexpr std::size_t kTurnBytes = 1 << 20;
constexpr std::size_t kHeadReadBytes = 4096;
// The body of a refused request is read up to so much, so that the connection, or at least our answer, survives.
constexpr std::uint64_t kSkipBytesMax = 256 << 10;
constexpr std::uint64_t kLingerBytesMax = 1 << 20;
// So many requests in a row over the allowed rate, and the connection ends.
constexpr int kRefusedInARowMax = 100;
constexpr Duration kNoDeadline = Duration::max();

constexpr std::string_view kJsonType = "application/json";
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
constexpr std::string_view kProcessing = "HTTP/1.1 102 Processing\r\n\r\n";

std::string_view ContentTypeOf(std::string_view path) {
  return path.starts_with("/v1/") ? "application/octet-stream" : "text/plain; charset=utf-8";
}

}  // namespace

ServerConnection::ServerConnection(std::shared_ptr<ServerCore> core, std::shared_ptr<ServerWorker> worker,
                                   TlsStream::Socket socket, std::string address)
    : core_(std::move(core)), weak_worker_(worker), worker_(*worker), address_(std::move(address)) {
  stream_.emplace(std::move(socket), *core_->tls, worker_.pool, core_->counters, address_);
  ++core_->counters.connections;
  Enter(Phase::kHandshake, core_->options.deadlines.handshake);
}

ServerConnection::~ServerConnection() = default;

// --- The machine ---

void ServerConnection::Run() {
  for (;;) {
    const Next next = Step();
    switch (next) {
      case Next::kAgain:
        break;
      case Next::kWaitRead:
      case Next::kWaitWrite:
        stream_->Wait(next == Next::kWaitRead ? IoState::kWaitRead : IoState::kWaitWrite,
                      [self = shared_from_this()](const boost::system::error_code&) { self->Run(); });
        return;
      case Next::kYield:
        worker_.loop.Post([self = shared_from_this()] { self->Run(); });
        return;
      case Next::kStop:
        return;
    }
  }
}

ServerConnection::Next ServerConnection::Step() {
  switch (phase_) {
    case Phase::kHandshake:
      return StepHandshake();
    case Phase::kHead:
      return StepHead();
    case Phase::kDriver:
      return StepDriver();
    case Phase::kSend:
      return StepSend();
    case Phase::kSendBody:
      return StepSendBody();
    case Phase::kReceiveBody:
      return StepReceiveBody();
    case Phase::kSkipBody:
      return StepSkipBody();
    case Phase::kLinger:
      return StepLinger();
    case Phase::kControl:
    case Phase::kGone:
      break;
  }
  return Next::kStop;
}

ServerConnection::Next ServerConnection::Blocked(IoState state) {
  if (state == IoState::kWaitRead) return Next::kWaitRead;
  if (state == IoState::kWaitWrite) return Next::kWaitWrite;
  Close();
  return Next::kStop;
}

void ServerConnection::Enter(Phase phase, Duration deadline) {
  phase_ = phase;
  allowed_ = deadline;
  Touch();
}

void ServerConnection::Touch() {
  deadline_ = allowed_ == kNoDeadline ? MonotonicTime::max() : worker_.loop.Now() + allowed_;
}

void ServerConnection::Sweep(MonotonicTime now) {
  if (phase_ == Phase::kDriver) {
    if (stream_->PeerHasClosed()) return Close();
    if (now < heartbeat_) return;
    Send(std::string(kProcessing), Phase::kDriver);
    return Run();
  }
  if (phase_ == Phase::kSend || phase_ == Phase::kSendBody) {
    // On a slow line the socket may be full for long and yet empty itself.
    const int unsent = stream_->UnsentBytes();
    if (std::exchange(unsent_, unsent) != unsent) Touch();
  }
  if (now >= deadline_) Expire();
}

void ServerConnection::Expire() {
  const Phase phase = phase_;
  if (phase == Phase::kHandshake) {
    core_->refusals.Note(Refusal::kSlowHandshake, address_ + ": no TLS handshake in time", worker_.loop.Now());
  } else if (phase == Phase::kHead && !input_.empty()) {
    core_->refusals.Note(Refusal::kSlowHeader, address_ + ": a request head that does not end", worker_.loop.Now());
  } else if (phase != Phase::kHead && phase != Phase::kLinger) {
    core_->refusals.Note(Refusal::kStalledBody, fmt::format("{} of '{}': no byte moves", address_, peer_.name),
                         worker_.loop.Now());
  }
  if (phase == Phase::kHead) stream_->Shutdown();
  Close();
}

void ServerConnection::Linger() {
  stream_->Shutdown();
  body_left_ = kLingerBytesMax;
  Enter(Phase::kLinger, core_->options.deadlines.linger);
}

void ServerConnection::Close() {
  if (phase_ == Phase::kGone) return;
  phase_ = Phase::kGone;
  GiveBackSink();
  source_.reset();
  if (stream_) stream_->Close();
  if (counted_peer_) core_->admission.LeavePeer(peer_.name);
  core_->admission.Leave();
  --core_->counters.connections;
  worker_.connections.erase(shared_from_this());
}

// --- Handshake and head ---

ServerConnection::Next ServerConnection::StepHandshake() {
  const IoState state = stream_->Handshake();
  if (state == IoState::kFailed && stream_->failure()->refusal != Refusal::kOther) {
    core_->refusals.Note(stream_->failure()->refusal, stream_->failure()->error.message(), worker_.loop.Now());
    Linger();
    return Next::kAgain;
  }
  if (state != IoState::kDone) return Blocked(state);

  ++core_->counters.handshakes;
  Result<Peer> peer = PeerOf(stream_->ssl(), TlsSide::kServer, address_);
  if (!peer) {
    unwelcome_ = peer.error();
    core_->refusals.Note(Refusal::kWrongRole, peer.error().message(), worker_.loop.Now());
  } else {
    peer_ = *std::move(peer);
    const Status entered = core_->admission.EnterPeer(peer_.name);
    counted_peer_ = entered.has_value();
    if (!entered) {
      unwelcome_ = entered.error();
      core_->refusals.Note(Refusal::kConnections, entered.error().In(address_).message(), worker_.loop.Now());
    }
  }
  Enter(Phase::kHead, core_->options.deadlines.idle);
  return Next::kAgain;
}

ServerConnection::Next ServerConnection::StepHead() {
  const std::size_t bytes_max = core_->options.header_bytes_max;
  for (;;) {
    const std::size_t size = HeadSize(input_);
    if (size > bytes_max || (size == 0 && input_.size() > bytes_max)) {
      core_->refusals.Note(Refusal::kBadRequest, address_ + ": a request head over the limit", worker_.loop.Now());
      keep_alive_ = false;
      Refuse(InvalidArgument(fmt::format("a request head of more than {} bytes", bytes_max)), 431);
      return Next::kAgain;
    }
    if (size > 0) {
      std::string text = input_.substr(0, size);
      input_.erase(0, size);
      const Result<RequestHead> head = ParseRequestHead(text);
      if (head) return Dispatch(*head, std::move(text));
      core_->refusals.Note(Refusal::kBadRequest, head.error().In(address_).message(), worker_.loop.Now());
      keep_alive_ = false;
      Refuse(head.error());
      return Next::kAgain;
    }
    std::array<std::byte, kHeadReadBytes> scratch;
    const IoResult io = stream_->Read(scratch);
    if (io.state != IoState::kDone) return Blocked(io.state);
    if (input_.empty()) Enter(Phase::kHead, core_->options.deadlines.header);
    input_.append(reinterpret_cast<const char*>(scratch.data()), io.bytes);
  }
}

ServerConnection::Next ServerConnection::Dispatch(const RequestHead& head, std::string text) {
  ++core_->counters.requests;
  keep_alive_ = head.keep_alive;
  expects_continue_ = head.expects_continue;
  body_left_ = head.content_length.value_or(0);
  request_ = BulkRequest{.peer = peer_, .token = head.token, .path = head.target, .lane = worker_.lane};

  if (unwelcome_) {
    keep_alive_ = false;
    Refuse(*unwelcome_);
  } else if (core_->admission.PutOff(peer_.name, worker_.loop.Now()) > Duration::zero()) {
    if (++refused_in_a_row_ > kRefusedInARowMax) keep_alive_ = false;
    core_->refusals.Note(Refusal::kRate, fmt::format("{} of '{}': too many requests", address_, peer_.name),
                         worker_.loop.Now());
    Refuse(ResourceExhausted("more requests than one peer may send; wait a second"), 0, "Retry-After: 1\r\n");
  } else {
    refused_in_a_row_ = 0;
    if (head.wants_websocket) return Upgrade(text);
    if (head.method == "GET") return AskGet(head);
    if (head.method == "PUT") return AskPut(head);
    Refuse(InvalidArgument(fmt::format("method {} is not served; only GET and PUT are", Escaped(head.method))), 405,
           "Allow: GET, PUT\r\n");
  }
  return Next::kAgain;
}

// --- The control channel ---

ServerConnection::Next ServerConnection::Upgrade(const std::string& head) {
  if (request_.path != kControlPath || !input_.empty() || body_left_ > 0) {
    keep_alive_ = false;
    Refuse(InvalidArgument(fmt::format("a WebSocket is opened at {}, with nothing behind the request", kControlPath)));
    return Next::kAgain;
  }
  const SessionId id{++core_->last_session};
  queued_ = std::make_shared<std::atomic<std::size_t>>(0);
  const std::weak_ptr<ServerConnection> weak = weak_from_this();
  const auto core = core_;
  // Before the upgrade is answered: when the peer knows of the session, the driver does.
  core->Tell([id, core, route = SessionRoute{weak_worker_, weak, queued_}, peer = peer_](ServerLinkHandler& handler) {
    core->sessions.emplace(id, route);
    handler.OnOpen(id, peer);
  });
  ControlChannelEvents events;
  events.on_message = [id, core](Json message) {
    core->Tell([id, core, message = std::move(message)](ServerLinkHandler& handler) {
      if (core->sessions.contains(id)) handler.OnMessage(id, message);
    });
  };
  events.on_close = [id, core, weak](const Error& why) {
    if (const auto self = weak.lock()) self->Close();
    core->Tell([id, core, why](ServerLinkHandler& handler) {
      if (core->sessions.erase(id) > 0) handler.OnClose(id, why);
    });
  };
  events.on_sent = [queued = queued_](std::size_t bytes) { *queued -= bytes; };
  ControlChannelOptions options{.deadlines = core_->options.deadlines,
                                .message_bytes_max = core_->options.message_bytes_max,
                                .pace = [core, peer = peer_.name, worker = &worker_] {
                                  return core->admission.PutOff(peer, worker->loop.Now());
                                }};
  Enter(Phase::kControl, kNoDeadline);
  input_.shrink_to_fit();
  TlsStream stream = std::move(*stream_);
  stream_.reset();
  control_ = AcceptControlChannel(std::move(stream), head, std::move(options), core_->counters, std::move(events));
  return Next::kStop;
}

void ServerConnection::SendMessage(std::string text) {
  if (control_ != nullptr && phase_ == Phase::kControl) control_->Send(std::move(text));
}

void ServerConnection::FinishSession(const Error& why) {
  if (control_ == nullptr || phase_ != Phase::kControl) return;
  control_->Send(ClosedMessage(why));
  control_->Finish();
}

void ServerConnection::AbortSession() {
  if (control_ == nullptr || phase_ != Phase::kControl) return;
  core_->refusals.Note(Refusal::kOutbox, fmt::format("{} of '{}': does not read what it is sent", address_, peer_.name),
                       worker_.loop.Now());
  control_->Abort();
  Close();
}

// --- GET ---

ServerConnection::Next ServerConnection::AskGet(const RequestHead& head) {
  if (body_left_ > 0 || head.chunked) {
    keep_alive_ = false;
    Refuse(InvalidArgument("a GET carries no body"));
    return Next::kAgain;
  }
  range_ = head.range;
  request_.offset = range_ ? range_->first : 0;
  using Source = std::shared_ptr<const ByteSource>;
  auto answer = AnswerOn<Source>(weak_worker_.lock(), [weak = weak_from_this()](const Result<Source>& source) {
    if (const auto self = weak.lock()) self->OnAnswer([self = self.get(), source] { self->OnSource(source); });
  });
  core_->Tell(
      [request = request_, answer = std::move(answer)](ServerLinkHandler& handler) { handler.OnGet(request, answer); });
  Enter(Phase::kDriver, kNoDeadline);
  heartbeat_ = worker_.loop.Now() + core_->options.deadlines.heartbeat;
  return Next::kStop;
}

void ServerConnection::OnSource(const Result<std::shared_ptr<const ByteSource>>& source) {
  if (!source) return Refuse(source.error());
  const std::uint64_t size = (*source)->size();
  if (range_ && range_->first >= size && range_->first > 0) {
    return Refuse(InvalidArgument(fmt::format("the object has {} bytes, none at {}", size, range_->first)), 416,
                  fmt::format("Content-Range: bytes */{}\r\n", size));
  }
  source_ = *source;
  body_offset_ = request_.offset;
  const std::uint64_t end = range_ && range_->last && *range_->last < size ? *range_->last + 1 : size;
  body_left_ = end - body_offset_;
  const bool part = range_.has_value() && size > 0;
  const int status = part ? 206 : 200;
  std::string head = fmt::format(
      "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nAccept-Ranges: bytes\r\n{}", status,
      ReasonOf(status), ContentTypeOf(request_.path), body_left_, keep_alive_ ? "" : "Connection: close\r\n");
  if (part) {
    head += "Content-Range: " + FormatContentRange({.first = body_offset_, .size = body_left_, .total = size}) + "\r\n";
  }
  head += "\r\n";
  Send(std::move(head), Phase::kSendBody);
}

ServerConnection::Next ServerConnection::StepSendBody() {
  std::size_t turn = kTurnBytes;
  while (body_left_ > 0) {
    if (turn == 0) return Next::kYield;
    auto piece = source_->At(body_offset_);
    if (piece.empty()) return Blocked(IoState::kFailed);  // shorter than it said; the peer sees that too
    piece = piece.first(std::min<std::uint64_t>({piece.size(), body_left_, turn}));
    const IoResult io = stream_->Write(piece);
    body_offset_ += io.bytes;
    body_left_ -= io.bytes;
    turn -= io.bytes;
    core_->counters.body_bytes_out += io.bytes;
    if (io.bytes > 0) Touch();
    if (io.state != IoState::kDone) return Blocked(io.state);
  }
  const IoState flushed = stream_->Flush();
  if (flushed != IoState::kDone) return Blocked(flushed);
  source_.reset();
  if (keep_alive_) {
    Enter(Phase::kHead, core_->options.deadlines.idle);
  } else {
    Linger();
  }
  return Next::kAgain;
}

// --- PUT ---

ServerConnection::Next ServerConnection::AskPut(const RequestHead& head) {
  if (head.chunked || !head.content_length) {
    keep_alive_ = false;
    Refuse(InvalidArgument("a PUT needs a Content-Length"), 411);
    return Next::kAgain;
  }
  const ContentRange range =
      head.content_range.value_or(ContentRange{.first = 0, .size = body_left_, .total = body_left_});
  if (range.size != body_left_ || range.first + range.size != range.total) {
    Refuse(InvalidArgument(fmt::format(
        "Content-Range '{}' with a Content-Length of {}: both must say how much is left from the offset to the end",
        FormatContentRange(range), body_left_)));
    return Next::kAgain;
  }
  request_.offset = range.first;
  request_.total = range.total;
  using Sink = std::shared_ptr<ByteSink>;
  auto answer = AnswerOn<Sink>(weak_worker_.lock(),
                               [core = core_, request = request_, weak = weak_from_this()](const Result<Sink>& sink) {
                                 const auto self = weak.lock();
                                 if (self != nullptr && self->phase_ != Phase::kGone) {
                                   if (sink) self->sink_ = *sink;
                                   return self->OnAnswer([self = self.get(), sink] { self->OnSink(sink); });
                                 }
                                 if (!sink) return;
                                 core->Tell([request, sink](ServerLinkHandler& handler) {
                                   handler.OnPutEnd(request, *sink, false, [](const Result<Json>&) {});
                                 });
                               });
  core_->Tell(
      [request = request_, answer = std::move(answer)](ServerLinkHandler& handler) { handler.OnPut(request, answer); });
  Enter(Phase::kDriver, kNoDeadline);
  heartbeat_ = worker_.loop.Now() + core_->options.deadlines.heartbeat;
  return Next::kStop;
}

void ServerConnection::OnSink(const Result<std::shared_ptr<ByteSink>>& sink) {
  if (!sink) return Refuse(sink.error());
  Status fits;
  if (sink_->offset() != request_.offset) {
    fits = FailedPrecondition(fmt::format("{} of these bytes are here, the body begins at {}; go on from there",
                                          sink_->offset(), request_.offset));
  } else {
    fits = sink_->Expect(request_.total);
  }
  if (!fits) {
    GiveBackSink();
    return Refuse(fits.error());
  }
  if (expects_continue_ && body_left_ > 0 && input_.empty()) return Send(std::string(kContinue), Phase::kReceiveBody);
  Enter(Phase::kReceiveBody, core_->options.deadlines.progress);
}

ServerConnection::Next ServerConnection::StepReceiveBody() {
  std::size_t turn = kTurnBytes;
  while (body_left_ > 0) {
    if (turn == 0) return Next::kYield;
    auto space = sink_->Space();
    if (space.empty()) {
      GiveBackSink();
      keep_alive_ = false;
      Refuse(Internal("the server has no room for what it has asked for"));
      return Next::kAgain;
    }
    space = space.first(std::min<std::uint64_t>({space.size(), body_left_, turn}));
    IoResult io;
    if (!input_.empty()) {
      io.bytes = std::min(space.size(), input_.size());
      std::memcpy(space.data(), input_.data(), io.bytes);
      input_.erase(0, io.bytes);
    } else {
      io = stream_->Read(space);
    }
    if (io.state != IoState::kDone) return Blocked(io.state);
    sink_->Advance(io.bytes);
    body_left_ -= io.bytes;
    turn -= io.bytes;
    core_->counters.body_bytes_in += io.bytes;
    Touch();
  }
  AskPutEnd();
  return Next::kStop;
}

void ServerConnection::AskPutEnd() {
  auto answer = AnswerOn<Json>(weak_worker_.lock(), [weak = weak_from_this()](const Result<Json>& reply) {
    if (const auto self = weak.lock()) self->OnAnswer([self = self.get(), reply] { self->OnPutReply(reply); });
  });
  core_->Tell([request = request_, sink = std::exchange(sink_, nullptr), answer = std::move(answer)](
                  ServerLinkHandler& handler) { handler.OnPutEnd(request, sink, true, answer); });
  Enter(Phase::kDriver, kNoDeadline);
  heartbeat_ = worker_.loop.Now() + core_->options.deadlines.heartbeat;
}

void ServerConnection::OnPutReply(const Result<Json>& reply) {
  if (!reply) return Refuse(reply.error());
  Reply(200, kJsonType, DumpJson(*reply));
}

void ServerConnection::GiveBackSink() {
  if (sink_ == nullptr) return;
  core_->Tell([request = request_, sink = std::exchange(sink_, nullptr)](ServerLinkHandler& handler) {
    handler.OnPutEnd(request, sink, false, [](const Result<Json>&) {});
  });
}

ServerConnection::Next ServerConnection::StepSkipBody() {
  const std::uint64_t held = std::min<std::uint64_t>(input_.size(), body_left_);
  input_.erase(0, held);
  body_left_ -= held;
  while (body_left_ > 0) {
    std::array<std::byte, kHeadReadBytes> scratch;
    const IoResult io = stream_->Read(std::span(scratch).first(std::min<std::uint64_t>(scratch.size(), body_left_)));
    if (io.state != IoState::kDone) return Blocked(io.state);
    body_left_ -= io.bytes;
    Touch();
  }
  Enter(Phase::kHead, core_->options.deadlines.idle);
  return Next::kAgain;
}

ServerConnection::Next ServerConnection::StepLinger() {
  const IoResult io = stream_->Discard(body_left_);
  body_left_ -= io.bytes;
  if (io.state == IoState::kWaitRead) return Next::kWaitRead;
  Close();
  return Next::kStop;
}

// --- Answers ---

void ServerConnection::OnAnswer(std::function<void()> then) {
  if (phase_ == Phase::kGone) return;
  if (phase_ != Phase::kDriver) {
    answer_ = std::move(then);
    return;
  }
  then();
  Run();
}

ServerConnection::Next ServerConnection::StepDriver() {
  if (answer_ == nullptr) return Next::kStop;
  std::exchange(answer_, nullptr)();
  return Next::kAgain;
}

void ServerConnection::Refuse(const Error& error, int status, std::string_view more_headers) {
  const bool skippable = !expects_continue_ && body_left_ <= kSkipBytesMax;
  if (body_left_ > 0 && !skippable) keep_alive_ = false;
  Reply(status == 0 ? StatusOf(error.kind()) : status, kJsonType, DumpJson(ErrorToJson(error)), more_headers);
}

void ServerConnection::Reply(int status, std::string_view content_type, std::string_view body,
                             std::string_view more_headers) {
  std::string text =
      fmt::format("HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n{}{}\r\n{}", status, ReasonOf(status),
                  content_type, body.size(), keep_alive_ ? "" : "Connection: close\r\n", more_headers, body);
  Send(std::move(text), !keep_alive_ ? Phase::kLinger : body_left_ > 0 ? Phase::kSkipBody : Phase::kHead);
}

void ServerConnection::Send(std::string text, Phase then) {
  output_ = std::move(text);
  output_sent_ = 0;
  after_send_ = then;
  Enter(Phase::kSend, core_->options.deadlines.progress);
}

ServerConnection::Next ServerConnection::StepSend() {
  const auto rest = std::as_bytes(std::span<const char>(output_)).subspan(output_sent_);
  const IoResult io = stream_->Write(rest);
  output_sent_ += io.bytes;
  if (io.state != IoState::kDone) return Blocked(io.state);
  if (after_send_ != Phase::kSendBody) {  // else the body's first bytes go along
    const IoState flushed = stream_->Flush();
    if (flushed != IoState::kDone) return Blocked(flushed);
  }
  output_ = std::string();
  switch (after_send_) {
    case Phase::kLinger:
      Linger();
      break;
    case Phase::kDriver:
      Enter(Phase::kDriver, kNoDeadline);
      heartbeat_ = worker_.loop.Now() + core_->options.deadlines.heartbeat;
      break;
    case Phase::kHead:
      Enter(Phase::kHead, core_->options.deadlines.idle);
      break;
    default:
      Enter(after_send_, core_->options.deadlines.progress);
      break;
  }
  return Next::kAgain;
}

}  // namespace fed_learn
