// A server and its clients on 127.0.0.1 for tests, with handlers that remember what they heard.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/executor_work_guard.hpp>
#include <chrono>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "transport/asio_loop.h"
#include "transport/https/client.h"
#include "transport/https/server.h"
#include "transport/https/test_certificates.h"

namespace fed_learn::testing {

inline constexpr std::uint64_t kObjectBytesMax = 1ULL << 30;

// Serves `objects` by GET and takes them by PUT.
class RecordingServer : public ServerLinkHandler {
 public:
  struct Session {
    Peer peer;
    std::vector<Json> messages;
    std::optional<Error> closed;
  };

  void OnOpen(SessionId session, const Peer& peer) override {
    sessions[session].peer = peer;
    order.push_back(session);
  }
  void OnMessage(SessionId session, Json message) override { sessions[session].messages.push_back(std::move(message)); }
  void OnClose(SessionId session, const Error& why) override { sessions[session].closed = why; }

  void OnGet(const BulkRequest& request, Answer<std::shared_ptr<const ByteSource>> answer) override {
    requests.push_back(request);
    if (hold_gets) {
      held_gets.push_back(std::move(answer));
      return;
    }
    const auto found = objects.find(request.path);
    if (found == objects.end()) return answer(NotFound("no object " + request.path));
    answer(std::shared_ptr<const ByteSource>(std::make_shared<TextSource>(found->second)));
  }

  void OnPut(const BulkRequest& request, Answer<std::shared_ptr<ByteSink>> answer) override {
    requests.push_back(request);
    if (refuse_puts) return answer(*refuse_puts);
    auto& sink = sinks[request.path];
    if (sink == nullptr) sink = std::make_shared<TextSink>(object_bytes_max);
    if (hold_puts) {
      held_puts.push_back([sink, answer = std::move(answer)] { answer(std::shared_ptr<ByteSink>(sink)); });
      return;
    }
    answer(std::shared_ptr<ByteSink>(sink));
  }

  void OnPutEnd(const BulkRequest& request, std::shared_ptr<ByteSink> sink, bool complete,
                Answer<Json> answer) override {
    if (!complete) {
      ++cut_puts;
      return;
    }
    objects[request.path] = static_cast<TextSink&>(*sink).text();
    sinks.erase(request.path);
    answer(Json{{"size", request.total}});
  }

  std::map<SessionId, Session> sessions;
  std::vector<SessionId> order;
  std::vector<BulkRequest> requests;
  std::map<std::string, std::string> objects;
  std::map<std::string, std::shared_ptr<TextSink>> sinks;  // PUTs under way
  std::uint64_t object_bytes_max = kObjectBytesMax;
  int cut_puts = 0;
  std::optional<Error> refuse_puts;
  bool hold_gets = false;
  std::vector<Answer<std::shared_ptr<const ByteSource>>> held_gets;
  bool hold_puts = false;
  std::vector<std::function<void()>> held_puts;
};

class RecordingClient : public ClientLinkHandler {
 public:
  void OnOpen() override { ++opened; }
  void OnMessage(Json message) override { messages.push_back(std::move(message)); }
  void OnClose(const Error& why) override { closed.push_back(why); }

  int opened = 0;
  std::vector<Json> messages;
  std::vector<Error> closed;
};

class HttpsTest : public ::testing::Test {
 protected:
  HttpsServerOptions ServerOptions() {
    HttpsServerOptions options;
    options.listen = "127.0.0.1:0";
    options.threads = 2;
    options.tls = ca.Server();
    return options;
  }

  void StartServer(HttpsServerOptions options) {
    auto made = HttpsServerLink::Create(driver, std::move(options));
    ASSERT_TRUE(made.has_value()) << made.error().message();
    server = *std::move(made);
    const Status started = server->Start(handler);
    ASSERT_TRUE(started.has_value()) << started.error().message();
  }
  void StartServer() { StartServer(ServerOptions()); }

  HttpsClientOptions ClientOptions(const std::string& name = "site_1") {
    HttpsClientOptions options;
    options.server = "127.0.0.1:" + std::to_string(server->port());
    options.tls = ca.Site(name);
    return options;
  }

  std::unique_ptr<HttpsClientLink> StartClient(HttpsClientOptions options, RecordingClient& recorder) {
    auto made = HttpsClientLink::Create(driver, std::move(options));
    EXPECT_TRUE(made.has_value()) << made.error().message();
    (*made)->Start(recorder);
    return *std::move(made);
  }
  std::unique_ptr<HttpsClientLink> StartClient(RecordingClient& recorder) {
    return StartClient(ClientOptions(), recorder);
  }

  // Runs the driver's loop until `done`; fails the test if that takes implausibly long.
  void RunUntil(const std::function<bool()>& done) {
    const auto work = boost::asio::make_work_guard(driver.context());
    driver.context().restart();
    while (!done()) {
      if (driver.context().run_one_for(std::chrono::seconds(60)) == 0) {
        FAIL() << "nothing more happens, and what the test waits for has not";
      }
    }
  }

  // The same for what no task of the driver announces: a counter, another thread.
  void PollUntil(const std::function<bool()>& done) {
    polling_ = true;
    Tick();
    RunUntil(done);
    polling_ = false;
  }

  // Runs `work`, which may block, on a thread of its own while the driver goes on.
  template <typename Work>
  auto Beside(Work work) {
    auto result = std::async(std::launch::async, std::move(work));
    PollUntil([&] { return result.wait_for(std::chrono::seconds(0)) == std::future_status::ready; });
    return result.get();
  }

  Result<std::uint64_t> GetNow(HttpsClientLink& client, const std::string& path, std::shared_ptr<ByteSink> sink) {
    std::optional<Result<std::uint64_t>> got;
    client.Get(path, std::move(sink), [&](Result<std::uint64_t> result) { got = std::move(result); });
    RunUntil([&] { return got.has_value(); });
    return got ? *got : Result<std::uint64_t>(Internal("no answer"));
  }

  Result<Json> PutNow(HttpsClientLink& client, const std::string& path, const std::string& text,
                      std::uint64_t offset = 0) {
    std::optional<Result<Json>> reply;
    client.Put(path, std::make_shared<TextSource>(text), offset,
               [&](Result<Json> result) { reply = std::move(result); });
    RunUntil([&] { return reply.has_value(); });
    return reply ? *reply : Result<Json>(Internal("no answer"));
  }

  std::uint64_t Refused(Refusal refusal) { return server->Metrics().refused_for(refusal); }

  TestCa ca;
  AsioLoop driver;
  RecordingServer handler;
  std::unique_ptr<HttpsServerLink> server;

 private:
  void Tick() {
    if (polling_) driver.After(std::chrono::milliseconds(2), [this] { Tick(); });
  }

  bool polling_ = false;
};

// Bytes that do not repeat within a record.
inline std::string Pattern(std::size_t size) {
  std::string text(size, '\0');
  std::uint32_t state = 1;
  for (char& c : text) {
    state = state * 1664525 + 1013904223;
    c = static_cast<char>(state >> 24);
  }
  return text;
}

}  // namespace fed_learn::testing
