#include "transport/memory/transfer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace fed_learn {
namespace {

// An Answer that the driver lets go of without using it counts as Unavailable.
template <typename T>
class OneAnswer {
 public:
  explicit OneAnswer(std::function<void(Result<T>)> then) : then_(std::move(then)) {}
  OneAnswer(const OneAnswer&) = delete;
  OneAnswer& operator=(const OneAnswer&) = delete;
  ~OneAnswer() { Give(Unavailable("the server gave no answer; try again")); }

  void Give(Result<T> result) {
    if (then_ != nullptr) std::exchange(then_, nullptr)(std::move(result));
  }

 private:
  std::function<void(Result<T>)> then_;
};

}  // namespace

MemoryTransfer::MemoryTransfer(std::shared_ptr<MemoryFabric> fabric, std::weak_ptr<MemoryClientEnd> client,
                               BulkRequest request, std::variant<Get, Put> work)
    : MemoryConnection(std::move(fabric), request.peer.name),
      client_(std::move(client)),
      request_(std::move(request)),
      work_(std::move(work)) {}

void MemoryTransfer::Start(Duration extra_delay) {
  const Duration delay = fabric().DrawDelay(peer()) + extra_delay;
  fabric().After(delay, [self = shared_from_this()] { self->ArriveAtServer(); });
}

void MemoryTransfer::ArriveAtServer() {
  if (broken_) return;
  const auto server = fabric().server();
  if (server == nullptr) return Fail(Unavailable("the server is not there; it may be starting again"));
  if (!fabric().reachable(peer())) return Fail(Unavailable("the network does not reach the server"));
  if (request_.offset > request_.total && std::holds_alternative<Put>(work_)) {
    return Fail(
        InvalidArgument(fmt::format("a body of {} bytes cannot go on at byte {}", request_.total, request_.offset)));
  }
  if (fabric().Chance(fabric().OptionsOf(peer()).message_cut_chance)) return Break();
  server_ = server;
  server->transfers.emplace(serial(), shared_from_this());
  Tell(server_, [self = shared_from_this()] {
    if (self->broken_) return self->LeaveServer();
    if (std::holds_alternative<Get>(self->work_)) return self->AskGet();
    self->AskPut();
  });
}

template <typename T>
Answer<T> MemoryTransfer::AnswerThen(void (MemoryTransfer::*then)(Result<T>)) {
  // The answer comes back through the loop: it may be given within the driver's handler.
  auto once = std::make_shared<OneAnswer<T>>([self = shared_from_this(), then](Result<T> result) {
    Tell(self->server_, [self, then, result = std::move(result)] { ((*self).*then)(result); });
  });
  return [once](Result<T> result) { once->Give(std::move(result)); };
}

// --- GET ---

void MemoryTransfer::AskGet() {
  server_.lock()->handler->OnGet(request_, AnswerThen<std::shared_ptr<const ByteSource>>(&MemoryTransfer::OnSource));
}

void MemoryTransfer::OnSource(Result<std::shared_ptr<const ByteSource>> source) {
  if (broken_) return LeaveServer();
  if (!source.has_value()) return Fail(source.error());
  if (request_.offset > (*source)->size()) {
    return Fail(
        InvalidArgument(fmt::format("the object has {} bytes, none at {}", (*source)->size(), request_.offset)));
  }
  if (fabric().Chance(fabric().OptionsOf(peer()).message_cut_chance)) return Break();
  fabric().After(fabric().DrawDelay(peer()), [self = shared_from_this(), source = *std::move(source)] {
    Tell(self->client_, [self, source] {
      if (!self->broken_) self->ReceiveAtClient(source);
    });
  });
}

void MemoryTransfer::ReceiveAtClient(const std::shared_ptr<const ByteSource>& source) {
  const Status fits = std::get<Get>(work_).sink->Expect(source->size());
  if (!fits.has_value()) {
    LeaveServer();
    return Finish(fits.error());
  }
  got_ = source;
  PumpToClient();
}

void MemoryTransfer::PumpToClient() {
  if (broken_) return;
  ByteSink& sink = *std::get<Get>(work_).sink;
  const Status copied = CopyChunk(*got_, sink, got_->size());
  fabric().traffic(peer()).get_bytes += chunk_copied_;
  if (copied.has_value() && sink.offset() < got_->size()) return PumpLater(true);
  LeaveServer();
  if (!copied.has_value()) return Finish(copied.error());
  Finish(got_->size());
}

// --- PUT ---

void MemoryTransfer::AskPut() {
  server_.lock()->handler->OnPut(request_, AnswerThen<std::shared_ptr<ByteSink>>(&MemoryTransfer::OnSink));
}

void MemoryTransfer::OnSink(Result<std::shared_ptr<ByteSink>> sink) {
  if (!sink.has_value()) return Fail(sink.error());
  server_sink_ = *std::move(sink);
  if (broken_) return GiveBackSink();
  Status fits;
  if (server_sink_->offset() != request_.offset) {
    fits = FailedPrecondition(fmt::format("{} of these bytes are here, the body begins at {}; go on from there",
                                          server_sink_->offset(), request_.offset));
  } else {
    fits = server_sink_->Expect(request_.total);
  }
  if (!fits.has_value()) {
    GiveBackSink();
    return Fail(fits.error());
  }
  // The client hears that it may send, and the first bytes come.
  const Duration there_and_back = fabric().DrawDelay(peer()) + fabric().DrawDelay(peer());
  fabric().After(there_and_back,
                 [self = shared_from_this()] { Tell(self->server_, [self] { self->PumpToServer(); }); });
}

void MemoryTransfer::PumpToServer() {
  if (broken_) return;
  const Status copied = CopyChunk(*std::get<Put>(work_).source, *server_sink_, request_.total);
  fabric().traffic(peer()).put_bytes += chunk_copied_;
  if (!copied.has_value()) {
    GiveBackSink();
    return Fail(copied.error());
  }
  if (server_sink_->offset() < request_.total) return PumpLater(false);
  server_.lock()->handler->OnPutEnd(request_, std::exchange(server_sink_, nullptr), true,
                                    AnswerThen<Json>(&MemoryTransfer::OnReply));
}

void MemoryTransfer::OnReply(Result<Json> reply) {
  LeaveServer();
  if (broken_ || client_.lock() == nullptr) return;
  DeliverOnceMore();
  if (fabric().Chance(fabric().OptionsOf(peer()).message_cut_chance)) return Break();
  fabric().After(fabric().DrawDelay(peer()), [self = shared_from_this(), reply = std::move(reply)] {
    Tell(self->client_, [self, reply] {
      if (self->broken_) return;
      if (reply.has_value()) return self->Finish(*reply);
      self->Finish(reply.error());
    });
  });
}

void MemoryTransfer::DeliverOnceMore() {
  const MemoryNetworkOptions& options = fabric().OptionsOf(peer());
  if (!fabric().Chance(options.duplicate_put_chance)) return;
  ++fabric().traffic(peer()).duplicates;
  const auto again =
      std::make_shared<MemoryTransfer>(shared_fabric(), std::weak_ptr<MemoryClientEnd>(), request_,
                                       Put{.source = std::get<Put>(work_).source, .done = [](const Result<Json>&) {}});
  again->Start(fabric().DrawUpTo(options.reorder_max));
}

// --- Both ---

Status MemoryTransfer::CopyChunk(const ByteSource& source, ByteSink& sink, std::uint64_t total) {
  chunk_copied_ = 0;
  std::uint64_t left = std::min<std::uint64_t>(total - sink.offset(),
                                               std::max<std::size_t>(1, fabric().OptionsOf(peer()).chunk_bytes_max));
  while (left > 0) {
    const auto piece = source.At(sink.offset());
    const auto space = sink.Space();
    if (space.empty()) return Internal("the receiver has no room for what it has asked for");
    if (piece.empty()) return Internal("the object is shorter than it said");
    const auto bytes = static_cast<std::size_t>(std::min<std::uint64_t>({piece.size(), space.size(), left}));
    std::memcpy(space.data(), piece.data(), bytes);
    sink.Advance(bytes);
    chunk_copied_ += bytes;
    left -= bytes;
  }
  return {};
}

void MemoryTransfer::PumpLater(bool at_client) {
  const MemoryNetworkOptions& options = fabric().OptionsOf(peer());
  if (fabric().Chance(options.chunk_cut_chance)) return Break();
  Duration took{0};
  if (options.bytes_per_second > 0) {
    const double seconds = static_cast<double>(chunk_copied_) / options.bytes_per_second;
    took = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
  }
  fabric().After(took, [self = shared_from_this(), at_client] {
    if (at_client) return Tell(self->client_, [self] { self->PumpToClient(); });
    Tell(self->server_, [self] { self->PumpToServer(); });
  });
}

void MemoryTransfer::LeaveServer() {
  if (const auto server = server_.lock()) server->transfers.erase(serial());
}

void MemoryTransfer::GiveBackSink() {
  if (server_sink_ != nullptr) {
    Tell(server_, [self = shared_from_this(), sink = std::exchange(server_sink_, nullptr)] {
      self->server_.lock()->handler->OnPutEnd(self->request_, sink, false, [](const Result<Json>&) {});
    });
  }
  LeaveServer();
}

void MemoryTransfer::Fail(const Error& why) {
  LeaveServer();
  fabric().After(fabric().DrawDelay(peer()),
                 [self = shared_from_this(), why] { Tell(self->client_, [self, why] { self->Finish(why); }); });
}

// Answers, once. Runs on the client's loop, in a task of its own.
void MemoryTransfer::Finish(std::variant<Error, std::uint64_t, Json> outcome) {
  const auto client = client_.lock();
  if (client == nullptr || client->transfers.erase(serial()) == 0) return;
  broken_ = true;
  got_.reset();
  if (Get* get = std::get_if<Get>(&work_)) {
    const auto done = std::exchange(get->done, nullptr);
    get->sink.reset();
    if (const Error* error = std::get_if<Error>(&outcome)) return done(*error);
    return done(std::get<std::uint64_t>(outcome));
  }
  Put& put = std::get<Put>(work_);
  const auto done = std::exchange(put.done, nullptr);
  put.source.reset();
  if (Error* error = std::get_if<Error>(&outcome)) return done(*error);
  done(std::get<Json>(std::move(outcome)));
}

void MemoryTransfer::Break() {
  if (std::exchange(broken_, true)) return;
  ++fabric().traffic(peer()).breaks;
  const auto notice = fabric().DrawNotice(peer());
  fabric().After(notice.to_server, [self = shared_from_this()] { self->GiveBackSink(); });
  fabric().After(notice.to_client, [self = shared_from_this()] {
    Tell(self->client_, [self] { self->Finish(Unavailable("the connection broke")); });
  });
}

void MemoryTransfer::ForgetByClient() {
  work_ = std::holds_alternative<Get>(work_) ? std::variant<Get, Put>(Get{}) : std::variant<Get, Put>(Put{});
  got_.reset();
  if (std::exchange(broken_, true)) return;
  fabric().After(fabric().DrawDelay(peer()), [self = shared_from_this()] { self->GiveBackSink(); });
}

void MemoryTransfer::ForgetByServer() {
  server_sink_.reset();
  if (std::exchange(broken_, true)) return;
  fabric().After(fabric().DrawDelay(peer()), [self = shared_from_this()] {
    Tell(self->client_, [self] { self->Finish(Unavailable("the server went away")); });
  });
}

}  // namespace fed_learn
