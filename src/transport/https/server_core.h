// What the connections of one HttpsServerLink share, and the crossing between their threads and the driver's.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "base/loop.h"
#include "transport/asio_loop.h"
#include "transport/https/admission.h"
#include "transport/https/gathering_bio.h"
#include "transport/https/server.h"
#include "transport/link.h"

namespace fed_learn {

class ServerConnection;

// One thread with its loop and the connections that live on it.
struct ServerWorker {
  explicit ServerWorker(int which) : lane(which) {}

  const int lane;   // of the transfers on it
  GatherPool pool;  // outlives the connections, also those that only the loop's handlers still hold
  AsioLoop loop;
  std::unordered_set<std::shared_ptr<ServerConnection>> connections;
  std::thread thread;
};

// Where a session's messages go.
struct SessionRoute {
  std::weak_ptr<ServerWorker> worker;
  std::weak_ptr<ServerConnection> connection;        // locked on the worker's thread only
  std::shared_ptr<std::atomic<std::size_t>> queued;  // bytes given to the session and not yet sent
};

struct ServerCore : std::enable_shared_from_this<ServerCore> {
  ServerCore(Loop& driver_loop, HttpsServerOptions server_options, std::shared_ptr<const TlsContext> tls_context)
      : driver(driver_loop),
        options(std::move(server_options)),
        tls(std::move(tls_context)),
        admission(options.limits),
        refusals(counters) {}

  Loop& driver;
  const HttpsServerOptions options;
  const std::shared_ptr<const TlsContext> tls;
  LinkCounters counters;
  Admission admission;
  RefusalLog refusals;
  std::atomic<std::uint64_t> last_session{0};

  // The driver's thread only.
  ServerLinkHandler* handler = nullptr;  // null once the link is gone
  std::unordered_map<SessionId, SessionRoute> sessions;

  // Runs call(handler) on the driver's loop, unless the link is gone by then.
  template <typename Call>
  void Tell(Call call) {
    driver.Post([core = shared_from_this(), call = std::move(call)]() mutable {
      if (core->handler != nullptr) call(*core->handler);
    });
  }
};

// An Answer that comes back to a worker's thread: `then` is run there with what the driver answered, or with
// Unavailable if it dropped the Answer.
template <typename T>
Answer<T> AnswerOn(const std::shared_ptr<ServerWorker>& worker, std::function<void(Result<T>)> then) {
  struct Pending {
    std::weak_ptr<ServerWorker> worker;
    std::function<void(Result<T>)> then;

    Pending(std::weak_ptr<ServerWorker> to, std::function<void(Result<T>)> call)
        : worker(std::move(to)), then(std::move(call)) {}
    Pending(const Pending&) = delete;
    Pending& operator=(const Pending&) = delete;
    ~Pending() { Give(Unavailable("the server gave no answer; try again")); }

    void Give(Result<T> result) {
      if (then == nullptr) return;
      const auto alive = worker.lock();
      if (alive == nullptr) return;
      alive->loop.Post([call = std::exchange(then, nullptr), result = std::move(result)]() { call(result); });
    }
  };
  auto pending = std::make_shared<Pending>(worker, std::move(then));
  return [pending](Result<T> result) { pending->Give(std::move(result)); };
}

}  // namespace fed_learn
