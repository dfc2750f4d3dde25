#include "transport/https/client.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <future>
#include <optional>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/text.h"
#include "transport/asio_loop.h"
#include "transport/https/bulk_connection.h"
#include "transport/https/control_channel.h"
#include "transport/https/dial.h"
#include "transport/https/http_head.h"

namespace fed_learn {
namespace {

constexpr Duration kSweepMax = std::chrono::seconds(1);

// The driver's side of the crossing. Touched on the driver's thread only.
struct DriverSide {
  explicit DriverSide(Loop& driver) : loop(driver) {}

  Loop& loop;
  ClientLinkHandler* handler = nullptr;  // null once the link is gone
  std::uint64_t era = 0;                 // counts Close; what was posted in an earlier one is not heard any more
};

// Calls back to the driver from the link's thread, as of one era.
class Caller {
 public:
  Caller(std::shared_ptr<DriverSide> driver, std::uint64_t era) : driver_(std::move(driver)), era_(era) {}

  template <typename Call>
  void Tell(Call call) const {
    driver_->loop.Post([driver = driver_, era = era_, call = std::move(call)]() mutable {
      if (driver->handler != nullptr && driver->era == era) call(*driver->handler);
    });
  }

  template <typename T>
  Answer<T> Wrap(Answer<T> answer) const {
    return [caller = *this, answer = std::move(answer)](Result<T> result) {
      caller.Tell([answer, result = std::move(result)](ClientLinkHandler&) mutable { answer(std::move(result)); });
    };
  }

 private:
  std::shared_ptr<DriverSide> driver_;
  std::uint64_t era_;
};

// What may stand in a request line or a header.
bool IsPlain(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return c > ' ' && c < 0x7f; });
}

// The link's thread and all that lives on it.
class ClientIo {
 public:
  ClientIo(DialTarget target, HttpsClientOptions options, std::shared_ptr<const TlsContext> tls)
      : target_(std::move(target)), options_(std::move(options)), tls_(std::move(tls)) {}

  ~ClientIo() {
    loop_.Stop();
    if (thread_.joinable()) thread_.join();
  }

  void Start() {
    Sweep();
    thread_ = std::thread([this] { loop_.Run(); });
  }

  void Post(Task task) { loop_.Post(std::move(task)); }
  LinkMetrics Metrics() const { return counters_.Snapshot(); }

  // The rest on this thread.

  void Open(const Caller& caller) {
    control_dial_ =
        StartDial(loop_.context(), target_, *tls_, options_.deadlines, pool_, counters_,
                  [this, caller](Result<TlsStream> stream) { OnControlDialled(caller, std::move(stream)); });
  }

  void Send(const std::string& text, const Caller& caller) {
    if (control_ == nullptr || !session_open_) return;
    queued_ += text.size();
    if (queued_ <= options_.outbox_bytes_max) return control_->Send(text);
    control_->Abort();
    EndSession(caller, ResourceExhausted(fmt::format("{}: {} bytes are queued that it does not read",
                                                     target_.server.ToString(), queued_)));
  }

  void Submit(std::shared_ptr<Transfer> transfer) {
    waiting_.push_back(std::move(transfer));
    StartTransfers();
  }

  // Ends the session and all transfers; when it returns, no sink or source is in use any more.
  void CloseAll() {
    if (control_dial_ != nullptr) control_dial_->Cancel();
    control_dial_.reset();
    if (control_ != nullptr) std::exchange(control_, nullptr)->Leave();
    session_open_ = false;
    waiting_.clear();
    for (const auto& [transfer, dial] : dials_) dial->Cancel();
    dials_.clear();
    for (const auto& connection : connections_) {
      if (connection->busy()) connection->Abort();
    }
    Tidy();
  }

 private:
  void OnControlDialled(const Caller& caller, Result<TlsStream> stream) {
    control_dial_.reset();
    if (!stream) return caller.Tell([why = stream.error()](ClientLinkHandler& handler) { handler.OnClose(why); });
    queued_ = 0;
    closed_by_server_.reset();
    ControlChannelEvents events;
    events.on_open = [this, caller] {
      session_open_ = true;
      caller.Tell([](ClientLinkHandler& handler) { handler.OnOpen(); });
    };
    events.on_message = [this, caller](Json message) {
      closed_by_server_ = ErrorFromClosedMessage(message);
      if (closed_by_server_) return;
      caller.Tell([message = std::move(message)](ClientLinkHandler& handler) mutable {
        handler.OnMessage(std::move(message));
      });
    };
    events.on_close = [this, caller](const Error& why) { EndSession(caller, closed_by_server_.value_or(why)); };
    events.on_sent = [this](std::size_t bytes) { queued_ -= bytes; };
    control_ = ConnectControlChannel(
        *std::move(stream), target_.server.ToString(), std::string(kControlPath),
        {.deadlines = options_.deadlines, .message_bytes_max = options_.message_bytes_max, .pace = nullptr}, counters_,
        std::move(events));
  }

  void EndSession(const Caller& caller, const Error& why) {
    control_.reset();
    session_open_ = false;
    caller.Tell([why](ClientLinkHandler& handler) { handler.OnClose(why); });
  }

  // --- Transfers ---

  void StartTransfers() {
    while (!waiting_.empty() && Busy() < options_.transfers_max) {
      auto transfer = std::move(waiting_.front());
      waiting_.pop_front();
      const auto idle = std::find_if(connections_.begin(), connections_.end(),
                                     [](const auto& connection) { return connection->idle(); });
      if (transfer->retried || idle == connections_.end()) {
        DialFor(transfer);
      } else {
        (*idle)->Start(std::move(transfer));
      }
    }
  }

  std::size_t Busy() const {
    return dials_.size() + static_cast<std::size_t>(std::count_if(connections_.begin(), connections_.end(),
                                                                  [](const auto& it) { return it->busy(); }));
  }

  void DialFor(const std::shared_ptr<Transfer>& transfer) {
    dials_.emplace(transfer,
                   StartDial(loop_.context(), target_, *tls_, options_.deadlines, pool_, counters_,
                             [this, transfer](Result<TlsStream> stream) { OnDialled(transfer, std::move(stream)); }));
  }

  void OnDialled(const std::shared_ptr<Transfer>& transfer, Result<TlsStream> stream) {
    dials_.erase(transfer);
    if (!stream) {
      transfer->Fail(stream.error());
      return StartTransfers();
    }
    const auto connection = std::make_shared<BulkConnection>(*std::move(stream), target_.server.ToString(), loop_,
                                                             options_.deadlines, counters_);
    connection->SetOwner({.on_free = [this] { loop_.Post([this] { OnFree(); }); },
                          .on_retry =
                              [this](const std::shared_ptr<Transfer>& again) {
                                again->retried = true;
                                waiting_.push_front(again);
                                loop_.Post([this] { OnFree(); });
                              }});
    connections_.push_back(connection);
    connection->Start(transfer);
  }

  // Posted, for it may drop the connection whose step has led here.
  void OnFree() {
    Tidy();
    StartTransfers();
  }

  void Tidy() {
    std::erase_if(connections_, [](const auto& connection) { return !connection->busy() && !connection->idle(); });
  }

  void Sweep() {
    const MonotonicTime now = loop_.Now();
    for (const auto& connection : std::vector(connections_)) connection->Sweep(now);
    loop_.After(std::min({kSweepMax, options_.deadlines.progress / 4, options_.deadlines.reuse / 4}),
                [this] { Sweep(); });
  }

  const DialTarget target_;
  const HttpsClientOptions options_;
  const std::shared_ptr<const TlsContext> tls_;
  LinkCounters counters_;
  GatherPool pool_;
  AsioLoop loop_;  // and what its handlers still hold, gone before the pool

  std::shared_ptr<Dial> control_dial_;
  std::shared_ptr<ControlChannel> control_;
  bool session_open_ = false;
  std::size_t queued_ = 0;  // bytes for the session, not yet sent
  std::optional<Error> closed_by_server_;

  std::deque<std::shared_ptr<Transfer>> waiting_;
  std::unordered_map<std::shared_ptr<Transfer>, std::shared_ptr<Dial>> dials_;
  std::vector<std::shared_ptr<BulkConnection>> connections_;
  std::thread thread_;
};

}  // namespace

class HttpsClientLink::Impl {
 public:
  Impl(Loop& driver, DialTarget target, HttpsClientOptions options, std::shared_ptr<const TlsContext> tls)
      : driver_(std::make_shared<DriverSide>(driver)), io_(std::move(target), std::move(options), std::move(tls)) {}
  ~Impl() { driver_->handler = nullptr; }

  void Start(ClientLinkHandler& handler) {
    driver_->handler = &handler;
    io_.Start();
  }

  void Open() {
    io_.Post([this, caller = Now()] { io_.Open(caller); });
  }

  void Send(const Json& message) {
    io_.Post([this, text = DumpJson(message), caller = Now()] { io_.Send(text, caller); });
  }

  void Close() {
    ++driver_->era;
    std::promise<void> closed;
    io_.Post([this, &closed] {
      io_.CloseAll();
      closed.set_value();
    });
    closed.get_future().wait();
  }

  void SetToken(std::string token) { token_ = std::move(token); }

  void Submit(Transfer transfer) {
    transfer.token = token_;
    transfer.got = Now().Wrap(std::move(transfer.got));
    transfer.put = Now().Wrap(std::move(transfer.put));
    if (!transfer.path.starts_with('/') || !IsPlain(transfer.path) || !IsPlain(transfer.token)) {
      return transfer.Fail(InvalidArgument(fmt::format(
          "path '{}': must begin with '/' and, like the token, hold printable ASCII only", Escaped(transfer.path))));
    }
    if (transfer.is_put() && transfer.offset > transfer.source->size()) {
      return transfer.Fail(InvalidArgument(fmt::format("{}: offset {} lies behind the end, {}", transfer.path,
                                                       transfer.offset, transfer.source->size())));
    }
    io_.Post([this, shared = std::make_shared<Transfer>(std::move(transfer))] { io_.Submit(shared); });
  }

  LinkMetrics Metrics() const { return io_.Metrics(); }

 private:
  Caller Now() const { return Caller(driver_, driver_->era); }

  const std::shared_ptr<DriverSide> driver_;
  std::string token_;
  ClientIo io_;
};

HttpsClientLink::HttpsClientLink(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpsClientLink::~HttpsClientLink() = default;

Result<std::unique_ptr<HttpsClientLink>> HttpsClientLink::Create(Loop& driver, HttpsClientOptions options) {
  DialTarget target;
  ASSIGN_OR_RETURN(target.server, ParseHostPort(options.server, "server"));
  ASSIGN_OR_RETURN(target.proxy, ParseProxy(options.proxy));
  target.server_name = options.server_name.empty() ? target.server.host : options.server_name;
  ASSIGN_OR_RETURN(auto tls, TlsContext::Create(TlsSide::kClient, options.tls));
  return std::unique_ptr<HttpsClientLink>(
      new HttpsClientLink(std::make_unique<Impl>(driver, std::move(target), std::move(options), std::move(tls))));
}

void HttpsClientLink::Start(ClientLinkHandler& handler) { impl_->Start(handler); }
void HttpsClientLink::Open() { impl_->Open(); }
void HttpsClientLink::Send(Json message) { impl_->Send(message); }
void HttpsClientLink::Close() { impl_->Close(); }
void HttpsClientLink::SetToken(std::string token) { impl_->SetToken(std::move(token)); }

void HttpsClientLink::Get(std::string path, std::shared_ptr<ByteSink> sink, Answer<std::uint64_t> done) {
  impl_->Submit({.path = std::move(path), .sink = std::move(sink), .got = std::move(done)});
}

void HttpsClientLink::Put(std::string path, std::shared_ptr<const ByteSource> source, std::uint64_t offset,
                          Answer<Json> done) {
  impl_->Submit({.path = std::move(path), .source = std::move(source), .offset = offset, .put = std::move(done)});
}

LinkMetrics HttpsClientLink::Metrics() const { return impl_->Metrics(); }

}  // namespace fed_learn
