#include "transport/https/server.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <charconv>
#include <optional>
#include <utility>
#include <vector>

#include "transport/https/http_head.h"
#include "transport/https/server_connection.h"
#include "transport/https/server_core.h"

namespace fed_learn {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using Acceptor = asio::basic_socket_acceptor<tcp, asio::io_context::executor_type>;

// When the process is out of descriptors, accepting at once again would only burn the processor.
constexpr Duration kAcceptPause = std::chrono::milliseconds(100);
constexpr Duration kSweepMax = std::chrono::seconds(1);

Result<tcp::endpoint> ParseListen(const std::string& listen) {
  const auto bad = [&] {
    return InvalidArgument(
        fmt::format("listen address '{}': must be 'ADDRESS:PORT', for example '0.0.0.0:8002' or '[::]:8002'", listen));
  };
  const std::size_t colon = listen.rfind(':');
  if (colon == std::string::npos) return bad();
  std::string host = listen.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  std::uint16_t port = 0;
  const char* const end = listen.data() + listen.size();
  const auto [parsed, failed] = std::from_chars(listen.data() + colon + 1, end, port);
  if (failed != std::errc() || parsed != end) return bad();
  error_code error;
  const auto address = asio::ip::make_address(host, error);
  if (error) return bad();
  return tcp::endpoint(address, port);
}

std::string ToText(const tcp::endpoint& endpoint) {
  const auto address = endpoint.address();
  return fmt::format("{}{}{}:{}", address.is_v6() ? "[" : "", address.to_string(), address.is_v6() ? "]" : "",
                     endpoint.port());
}

// Often enough that a deadline is kept within a quarter.
Duration SweepPeriod(const HttpsDeadlines& deadlines) {
  return std::min({kSweepMax, deadlines.handshake / 4, deadlines.header / 4, deadlines.idle / 4, deadlines.progress / 4,
                   deadlines.heartbeat / 4, deadlines.linger / 4});
}

// Of descriptors, the usual soft limit of 1024 is fewer than the sites that are served.
void RaiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);
}

void SweepWorker(const ServerCore& core, ServerWorker& worker) {
  const MonotonicTime now = worker.loop.Now();
  const std::vector<std::shared_ptr<ServerConnection>> connections(worker.connections.begin(),
                                                                   worker.connections.end());
  for (const auto& connection : connections) connection->Sweep(now);
  worker.loop.After(SweepPeriod(core.options.deadlines), [&core, &worker] { SweepWorker(core, worker); });
}

}  // namespace

class HttpsServerLink::Impl {
 public:
  Impl(Loop& driver, HttpsServerOptions options, std::shared_ptr<const TlsContext> tls)
      : core_(std::make_shared<ServerCore>(driver, std::move(options), std::move(tls))) {}

  ~Impl() {
    core_->handler = nullptr;
    core_->sessions.clear();
    for (const auto& worker : workers_) worker->loop.Stop();
    for (const auto& worker : workers_) {
      if (worker->thread.joinable()) worker->thread.join();  // none has begun if Start failed
    }
    acceptor_.reset();
    // The first worker's loop may still hold a socket that was meant for another, so it goes first.
    for (auto& worker : workers_) worker.reset();
  }

  Status Start(ServerLinkHandler& handler) {
    ASSIGN_OR_RETURN(const tcp::endpoint endpoint, ParseListen(core_->options.listen));
    RaiseDescriptorLimit();
    AddWorkers();
    RETURN_IF_ERROR(Listen(endpoint));
    core_->handler = &handler;
    Accept();
    for (const auto& worker : workers_) {
      SweepWorker(*core_, *worker);
      worker->thread = std::thread([worker] { worker->loop.Run(); });
    }
    return {};
  }

  void Send(SessionId session, const Json& message) {
    const auto found = core_->sessions.find(session);
    if (found == core_->sessions.end()) return;
    std::string text = DumpJson(message);
    std::atomic<std::size_t>& queued = *found->second.queued;
    if (queued + text.size() > core_->options.outbox_bytes_max) {
      return End(
          session, [](ServerConnection& connection) { connection.AbortSession(); },
          ResourceExhausted(fmt::format("{} bytes are queued for a session that does not read them", queued.load())));
    }
    queued += text.size();
    ToConnection(found->second,
                 [text = std::move(text)](ServerConnection& connection) { connection.SendMessage(text); });
  }

  void Close(SessionId session, const Error& why) {
    End(
        session, [why](ServerConnection& connection) { connection.FinishSession(why); }, why);
  }

  std::uint16_t port() const { return port_; }
  LinkMetrics Metrics() const { return core_->counters.Snapshot(); }

 private:
  void AddWorkers() {
    const unsigned cores = std::max(1u, std::thread::hardware_concurrency());
    const int count = core_->options.threads > 0 ? core_->options.threads : static_cast<int>(cores);
    for (int lane = 0; lane < count; ++lane) workers_.push_back(std::make_shared<ServerWorker>(lane));
  }

  Status Listen(const tcp::endpoint& endpoint) {
    acceptor_.emplace(workers_.front()->loop.context());
    error_code error;
    acceptor_->open(endpoint.protocol(), error);
    if (!error) acceptor_->set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_->bind(endpoint, error);
    if (!error) acceptor_->listen(asio::socket_base::max_listen_connections, error);
    if (error == asio::error::address_in_use) {
      return AlreadyExists(
          fmt::format("port {} is in use; stop what listens there (ss -ltnp shows it) or choose another in 'listen'",
                      ToText(endpoint)));
    }
    if (error) {
      return InvalidArgument(fmt::format("cannot listen on {}: {}; choose an address of this machine, or 0.0.0.0",
                                         ToText(endpoint), error.message()));
    }
    port_ = acceptor_->local_endpoint(error).port();
    return {};
  }

  // On the first worker's thread. Connections are dealt out in turn: the kernel's own way of sharing a port may put the
  // few connections of a federation all on one thread.
  void Accept() {
    next_worker_ = (next_worker_ + 1) % workers_.size();
    acceptor_->async_accept(workers_[next_worker_]->loop.context(), [this](error_code error, TlsStream::Socket socket) {
      if (error == asio::error::operation_aborted) return;
      if (error) {
        workers_.front()->loop.After(kAcceptPause, [this] { Accept(); });
        return;
      }
      Welcome(workers_[next_worker_], std::move(socket));
      Accept();
    });
  }

  void Welcome(const std::shared_ptr<ServerWorker>& worker, TlsStream::Socket socket) {
    error_code error;
    std::string address = ToText(socket.remote_endpoint(error));
    if (error) return;  // gone already
    if (!core_->admission.Enter()) {
      core_->refusals.Note(Refusal::kConnections, address + ": too many connections", worker->loop.Now());
      return;
    }
    auto handed = std::make_shared<TlsStream::Socket>(std::move(socket));
    worker->loop.Post([core = core_, weak = std::weak_ptr(worker), handed, address = std::move(address)] {
      const auto owner = weak.lock();
      const auto connection = std::make_shared<ServerConnection>(core, owner, std::move(*handed), address);
      owner->connections.insert(connection);
      connection->Run();
    });
  }

  template <typename Call>
  void ToConnection(const SessionRoute& route, Call call) {
    const auto worker = route.worker.lock();
    if (worker == nullptr) return;
    worker->loop.Post([connection = route.connection, call = std::move(call)] {
      if (const auto alive = connection.lock()) call(*alive);
    });
  }

  template <typename Call>
  void End(SessionId session, Call call, const Error& why) {
    const auto found = core_->sessions.find(session);
    if (found == core_->sessions.end()) return;
    ToConnection(found->second, std::move(call));
    core_->sessions.erase(found);
    core_->Tell([session, why](ServerLinkHandler& handler) { handler.OnClose(session, why); });
  }

  const std::shared_ptr<ServerCore> core_;
  std::vector<std::shared_ptr<ServerWorker>> workers_;
  std::optional<Acceptor> acceptor_;  // on the first worker's loop, and gone before it
  std::size_t next_worker_ = 0;
  std::uint16_t port_ = 0;
};

HttpsServerLink::HttpsServerLink(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpsServerLink::~HttpsServerLink() = default;

Result<std::unique_ptr<HttpsServerLink>> HttpsServerLink::Create(Loop& driver, HttpsServerOptions options) {
  ASSIGN_OR_RETURN(auto tls, TlsContext::Create(TlsSide::kServer, options.tls));
  return std::unique_ptr<HttpsServerLink>(
      new HttpsServerLink(std::make_unique<Impl>(driver, std::move(options), std::move(tls))));
}

Status HttpsServerLink::Start(ServerLinkHandler& handler) { return impl_->Start(handler); }
void HttpsServerLink::Send(SessionId session, Json message) { impl_->Send(session, message); }
void HttpsServerLink::Close(SessionId session, const Error& why) { impl_->Close(session, why); }
std::uint16_t HttpsServerLink::port() const { return impl_->port(); }
LinkMetrics HttpsServerLink::Metrics() const { return impl_->Metrics(); }

}  // namespace fed_learn
