#include "transport/https/bulk_connection.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace fed_learn {
namespace {

constexpr std::size_t kTurnBytes = 1 << 20;  // then the other connections get their turn
constexpr std::size_t kReadBytes = 4096;
constexpr std::size_t kHeadBytesMax = 16 << 10;
constexpr std::uint64_t kTextBytesMax = 1 << 20;  // of a JSON answer

}  // namespace

void Transfer::Fail(const Error& error) const {
  if (is_put()) {
    put(error);
  } else {
    got(error);
  }
}

// --- The machine ---

void BulkConnection::Run() {
  for (;;) {
    const Next next = Step();
    switch (next) {
      case Next::kAgain:
        break;
      case Next::kWaitRead:
      case Next::kWaitWrite:
        stream_.Wait(next == Next::kWaitRead ? IoState::kWaitRead : IoState::kWaitWrite,
                     [self = shared_from_this(), phase = phase_](const boost::system::error_code&) {
                       // The wait of an idle connection may outlast its idleness.
                       if (phase != Phase::kIdle || self->phase_ == Phase::kIdle) self->Run();
                     });
        return;
      case Next::kYield:
        loop_.Post([self = shared_from_this()] { self->Run(); });
        return;
      case Next::kStop:
        return;
    }
  }
}

BulkConnection::Next BulkConnection::Step() {
  switch (phase_) {
    case Phase::kIdle:
      return StepIdle();
    case Phase::kSendHead:
      return StepSendHead();
    case Phase::kReadHead:
      return StepReadHead();
    case Phase::kSendBody:
      return StepSendBody();
    case Phase::kReceiveBody:
      return StepReceiveBody();
    case Phase::kReadText:
      return StepReadText();
    case Phase::kGone:
      break;
  }
  return Next::kStop;
}

void BulkConnection::Enter(Phase phase) {
  phase_ = phase;
  deadline_ = loop_.Now() + (phase == Phase::kIdle ? deadlines_.reuse : deadlines_.progress);
}

void BulkConnection::Sweep(MonotonicTime now) {
  if (phase_ == Phase::kSendHead || phase_ == Phase::kSendBody || phase_ == Phase::kReadHead) {
    // On a slow line the socket may be full for long and yet empty itself.
    const int unsent = stream_.UnsentBytes();
    if (std::exchange(unsent_, unsent) != unsent) Enter(phase_);
  }
  if (phase_ == Phase::kGone || now < deadline_) return;
  if (phase_ == Phase::kIdle) {
    Abort();
    return owner_.on_free();
  }
  stalled_ = true;
  Broken();
}

void BulkConnection::Abort() {
  phase_ = Phase::kGone;
  transfer_.reset();
  stream_.Close();
}

void BulkConnection::Start(std::shared_ptr<Transfer> transfer) {
  transfer_ = std::move(transfer);
  input_.clear();
  output_ = Head();
  output_sent_ = 0;
  heard_ = body_cut_ = false;
  ++counters_.requests;
  Enter(Phase::kSendHead);
  Run();
}

std::string BulkConnection::Head() const {
  std::string head =
      fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\n", transfer_->is_put() ? "PUT" : "GET", transfer_->path, host_);
  if (!transfer_->token.empty()) head += fmt::format("{}: {}\r\n", kTokenHeader, transfer_->token);
  if (transfer_->is_put()) {
    const std::uint64_t total = transfer_->source->size();
    const std::uint64_t size = total - transfer_->offset;
    head += fmt::format("Content-Length: {}\r\n", size);
    if (transfer_->offset > 0) {
      head += fmt::format("Content-Range: {}\r\n",
                          FormatContentRange({.first = transfer_->offset, .size = size, .total = total}));
    }
    if (size > 0) head += "Content-Type: application/octet-stream\r\nExpect: 100-continue\r\n";
  } else if (transfer_->sink->offset() > 0) {
    head += fmt::format("Range: bytes={}-\r\n", transfer_->sink->offset());
  }
  return head + "\r\n";
}

BulkConnection::Next BulkConnection::StepIdle() {
  std::array<std::byte, 1> byte;
  const IoResult io = stream_.Read(byte);
  if (io.state == IoState::kWaitRead) return Next::kWaitRead;
  Abort();  // closed, or bytes that nobody has asked for
  owner_.on_free();
  return Next::kStop;
}

BulkConnection::Next BulkConnection::StepSendHead() {
  const auto rest = std::as_bytes(std::span<const char>(output_)).subspan(output_sent_);
  const IoResult io = stream_.Write(rest);
  output_sent_ += io.bytes;
  if (io.state != IoState::kDone) return Blocked(io.state);
  const IoState flushed = stream_.Flush();
  if (flushed != IoState::kDone) return Blocked(flushed);
  output_ = std::string();
  waits_to_send_ = transfer_->is_put() && transfer_->offset < transfer_->source->size();
  body_offset_ = transfer_->offset;
  Enter(Phase::kReadHead);
  return Next::kAgain;
}

BulkConnection::Next BulkConnection::StepReadHead() {
  for (;;) {
    if (const std::size_t size = HeadSize(input_); size > 0) {
      const Result<ResponseHead> head = ParseResponseHead(std::string_view(input_).substr(0, size));
      input_.erase(0, size);
      if (!head) return Fail(Unavailable(fmt::format("{}: {}", stream_.peer(), head.error().message())), false);
      Enter(Phase::kReadHead);
      return OnHead(*head);
    }
    if (input_.size() > kHeadBytesMax) {
      return Fail(Unavailable(stream_.peer() + ": an answer whose head does not end"), false);
    }
    std::array<std::byte, kReadBytes> scratch;
    const IoResult io = stream_.Read(scratch);
    if (io.state != IoState::kDone) return Blocked(io.state);
    heard_ = true;
    input_.append(reinterpret_cast<const char*>(scratch.data()), io.bytes);
  }
}

BulkConnection::Next BulkConnection::OnHead(const ResponseHead& head) {
  if (head.status == 100 && waits_to_send_) {
    waits_to_send_ = false;
    Enter(Phase::kSendBody);
    return Next::kAgain;
  }
  if (head.status / 100 == 1) return Next::kAgain;  // a sign of life
  response_ = head;
  if (head.chunked || !head.content_length) {
    return Fail(Unavailable(fmt::format("{} answered {} without a Content-Length", stream_.peer(), head.status)),
                false);
  }
  body_left_ = *head.content_length;
  if (!transfer_->is_put() && (head.status == 200 || head.status == 206)) return OnGetHead(head);
  if (body_left_ > kTextBytesMax) {
    return Fail(Unavailable(fmt::format("{} answered {} with {} bytes", stream_.peer(), head.status, body_left_)),
                false);
  }
  Enter(Phase::kReadText);
  return Next::kAgain;
}

// --- GET ---

BulkConnection::Next BulkConnection::OnGetHead(const ResponseHead& head) {
  ByteSink& sink = *transfer_->sink;
  const ContentRange whole{.first = 0, .size = body_left_, .total = body_left_};
  const ContentRange range = head.status == 206 ? head.content_range.value_or(ContentRange{}) : whole;
  if (range.first != sink.offset() || range.size != body_left_ || range.first + range.size != range.total) {
    return Fail(DataLoss(fmt::format("{} sent other bytes of {} than those from {} on", stream_.peer(), transfer_->path,
                                     sink.offset())),
                false);
  }
  body_offset_ = range.total;
  if (const Status fits = sink.Expect(range.total); !fits) return Fail(fits.error(), body_left_ == 0);
  Enter(Phase::kReceiveBody);
  return Next::kAgain;
}

BulkConnection::Next BulkConnection::StepReceiveBody() {
  std::size_t turn = kTurnBytes;
  while (body_left_ > 0) {
    if (turn == 0) return Next::kYield;
    auto space = transfer_->sink->Space();
    if (space.empty()) return Fail(Internal("no room for the bytes of " + transfer_->path), false);
    space = space.first(std::min<std::uint64_t>({space.size(), body_left_, turn}));
    IoResult io;
    if (!input_.empty()) {
      io.bytes = std::min(space.size(), input_.size());
      std::memcpy(space.data(), input_.data(), io.bytes);
      input_.erase(0, io.bytes);
    } else {
      io = stream_.Read(space);
    }
    if (io.state != IoState::kDone) return Blocked(io.state);
    transfer_->sink->Advance(io.bytes);
    body_left_ -= io.bytes;
    turn -= io.bytes;
    counters_.body_bytes_in += io.bytes;
    Enter(Phase::kReceiveBody);
  }
  return Succeed([total = body_offset_](const Transfer& transfer) { transfer.got(total); });
}

// --- PUT ---

BulkConnection::Next BulkConnection::StepSendBody() {
  std::size_t turn = kTurnBytes;
  const ByteSource& source = *transfer_->source;
  while (body_offset_ < source.size()) {
    if (turn == 0) return Next::kYield;
    auto piece = source.At(body_offset_);
    if (piece.empty()) return Fail(Internal("a source shorter than its size"), false);
    piece = piece.first(std::min(piece.size(), turn));
    const IoResult io = stream_.Write(piece);
    body_offset_ += io.bytes;
    turn -= io.bytes;
    counters_.body_bytes_out += io.bytes;
    if (io.bytes > 0) Enter(Phase::kSendBody);
    if (io.state != IoState::kDone) return Blocked(io.state);
  }
  const IoState flushed = stream_.Flush();
  if (flushed != IoState::kDone) return Blocked(flushed);
  Enter(Phase::kReadHead);
  return Next::kAgain;
}

// --- Answers ---

BulkConnection::Next BulkConnection::StepReadText() {
  while (text_.size() < body_left_) {
    if (!input_.empty()) {
      const std::size_t size = std::min<std::size_t>(input_.size(), body_left_ - text_.size());
      text_.append(input_, 0, size);
      input_.erase(0, size);
      continue;
    }
    std::array<std::byte, kReadBytes> scratch;
    const std::size_t size = std::min<std::size_t>(scratch.size(), body_left_ - text_.size());
    const IoResult io = stream_.Read(std::span(scratch).first(size));
    if (io.state != IoState::kDone) return Blocked(io.state);
    text_.append(reinterpret_cast<const char*>(scratch.data()), io.bytes);
    Enter(Phase::kReadText);
  }
  return OnText();
}

BulkConnection::Next BulkConnection::OnText() {
  const std::string text = std::exchange(text_, {});
  const bool usable = !waits_to_send_ && !body_cut_;
  if (transfer_->is_put() && response_.status == 200) {
    Result<Json> reply = ParseJson(text, stream_.peer());
    if (!reply) return Fail(reply.error(), usable);
    return Succeed([&reply](const Transfer& transfer) { transfer.put(*std::move(reply)); });
  }
  if (!transfer_->is_put() && response_.status == 416 && response_.content_range &&
      response_.content_range->total == transfer_->sink->offset()) {
    // Everything was here before we asked.
    const std::uint64_t total = transfer_->sink->offset();
    if (const Status fits = transfer_->sink->Expect(total); !fits) return Fail(fits.error(), usable);
    return Succeed([total](const Transfer& transfer) { transfer.got(total); });
  }
  return Fail(ErrorFromBody(response_.status, text, stream_.peer()), usable);
}

BulkConnection::Next BulkConnection::Blocked(IoState state) {
  if (state == IoState::kWaitRead) return Next::kWaitRead;
  if (state == IoState::kWaitWrite) return Next::kWaitWrite;
  if (phase_ == Phase::kSendHead || phase_ == Phase::kSendBody) {
    // The server may have answered before it stopped listening.
    body_cut_ = true;
    Enter(Phase::kReadHead);
    return Next::kAgain;
  }
  return Broken();
}

BulkConnection::Next BulkConnection::Broken() {
  const auto transfer = transfer_;
  if (served_ && !heard_ && !stalled_) {
    // The server closed an idle connection while our request was on its way.
    Abort();
    owner_.on_retry(transfer);
    return Next::kStop;
  }
  if (stalled_) return Fail(Unavailable(fmt::format("{}: no byte moves; the line may be cut", stream_.peer())), false);
  if (const TlsFailure* failure = stream_.failure(); failure != nullptr) return Fail(failure->error, false);
  return Fail(Unavailable(stream_.peer() + ": closed the connection in the middle of a transfer"), false);
}

BulkConnection::Next BulkConnection::Succeed(const std::function<void(const Transfer&)>& answer) {
  const auto transfer = std::exchange(transfer_, nullptr);
  const bool usable = response_.keep_alive && !body_cut_ && input_.empty();
  served_ = true;
  if (usable) {
    Enter(Phase::kIdle);
  } else {
    Abort();
  }
  answer(*transfer);
  owner_.on_free();
  return phase_ == Phase::kIdle ? Next::kAgain : Next::kStop;
}

BulkConnection::Next BulkConnection::Fail(const Error& error, bool usable) {
  response_.keep_alive = response_.keep_alive && usable;
  if (!usable) body_cut_ = true;
  return Succeed([&error](const Transfer& transfer) { transfer.Fail(error); });
}

}  // namespace fed_learn
