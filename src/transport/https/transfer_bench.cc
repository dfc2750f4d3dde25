// One transfer of 300 MB each way through the link, against a plain blocking SSL_write and SSL_read loop with the same
// TLS settings and the same destination. The two take turns within one process, because machines have days.
#include <arpa/inet.h>
#include <benchmark/benchmark.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "transport/asio_loop.h"
#include "transport/https/client.h"
#include "transport/https/server.h"
#include "transport/https/test_certificates.h"

namespace fed_learn {
namespace {

constexpr std::size_t kBytes = 300'000'000;

// A sink over memory that is there already, as the server's slots are.
class WarmSink : public ByteSink {
 public:
  explicit WarmSink(std::vector<std::byte>& place) : place_(place) {}
  Status Expect(std::uint64_t total) override {
    return total == place_.size() ? Status() : Status(InvalidArgument("another size"));
  }
  std::uint64_t offset() const override { return offset_; }
  std::span<std::byte> Space() override { return std::span(place_).subspan(offset_); }
  void Advance(std::size_t bytes) override { offset_ += bytes; }

 private:
  std::vector<std::byte>& place_;
  std::uint64_t offset_ = 0;
};

class BytesSource : public ByteSource {
 public:
  explicit BytesSource(const std::vector<std::byte>& bytes) : bytes_(bytes) {}
  std::uint64_t size() const override { return bytes_.size(); }
  std::span<const std::byte> At(std::uint64_t offset) const override { return std::span(bytes_).subspan(offset); }

 private:
  const std::vector<std::byte>& bytes_;
};

class Server : public ServerLinkHandler {
 public:
  Server(const std::vector<std::byte>& object, std::vector<std::byte>& place) : object_(object), place_(place) {}
  void OnOpen(SessionId, const Peer&) override {}
  void OnMessage(SessionId, Json) override {}
  void OnClose(SessionId, const Error&) override {}
  void OnGet(const BulkRequest&, Answer<std::shared_ptr<const ByteSource>> answer) override {
    answer(std::shared_ptr<const ByteSource>(std::make_shared<BytesSource>(object_)));
  }
  void OnPut(const BulkRequest&, Answer<std::shared_ptr<ByteSink>> answer) override {
    answer(std::shared_ptr<ByteSink>(std::make_shared<WarmSink>(place_)));
  }
  void OnPutEnd(const BulkRequest&, std::shared_ptr<ByteSink>, bool, Answer<Json> answer) override { answer(Json{}); }

 private:
  const std::vector<std::byte>& object_;
  std::vector<std::byte>& place_;
};

class Client : public ClientLinkHandler {
 public:
  void OnOpen() override {}
  void OnMessage(Json) override {}
  void OnClose(const Error&) override {}
};

// A connected pair of blocking TLS ends over loopback.
class PlainPair {
 public:
  PlainPair(const TlsContext& server, const TlsContext& client) {
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    bind(listener, reinterpret_cast<sockaddr*>(&address), size);
    listen(listener, 1);
    getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
    sockets_[1] = socket(AF_INET, SOCK_STREAM, 0);
    connect(sockets_[1], reinterpret_cast<sockaddr*>(&address), size);
    sockets_[0] = accept(listener, nullptr, nullptr);
    close(listener);
    ends_[0] = SSL_new(server.get());
    ends_[1] = SSL_new(client.get());
    for (int i = 0; i < 2; ++i) SSL_set_fd(ends_[i], sockets_[i]);
    std::thread other([this] { SSL_accept(ends_[0]); });
    SSL_connect(ends_[1]);
    other.join();
  }
  ~PlainPair() {
    for (int i = 0; i < 2; ++i) {
      SSL_free(ends_[i]);
      close(sockets_[i]);
    }
  }
  PlainPair(const PlainPair&) = delete;
  PlainPair& operator=(const PlainPair&) = delete;

  void Transfer(const std::vector<std::byte>& from, std::vector<std::byte>& to) {
    std::thread sender([&] {
      for (std::size_t sent = 0; sent < from.size();) {
        std::size_t written = 0;
        if (SSL_write_ex(ends_[0], from.data() + sent, from.size() - sent, &written) != 1) return;
        sent += written;
      }
    });
    for (std::size_t received = 0; received < to.size();) {
      std::size_t read = 0;
      if (SSL_read_ex(ends_[1], to.data() + received, to.size() - received, &read) != 1) break;
      received += read;
    }
    sender.join();
  }

 private:
  int sockets_[2];
  SSL* ends_[2];
};

double SecondsOf(const auto& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void AgainstPlainLoop(benchmark::State& state, bool put) {
  testing::TestCa ca;
  const TlsOptions server_tls = ca.Server();
  const TlsOptions site_tls = ca.Site("site_1");
  const std::vector<std::byte> object(kBytes, std::byte{7});
  std::vector<std::byte> place(kBytes, std::byte{1});

  AsioLoop driver;
  Server handler(object, place);
  auto server = *HttpsServerLink::Create(driver, {.listen = "127.0.0.1:0", .threads = 1, .tls = server_tls});
  if (!server->Start(handler)) return state.SkipWithError("no server");
  auto client =
      *HttpsClientLink::Create(driver, {.server = "127.0.0.1:" + std::to_string(server->port()), .tls = site_tls});
  Client listener;
  client->Start(listener);
  bool failed = false;
  const auto transfer = [&] {
    const auto end = [&](const auto& result) {
      failed = failed || !result.has_value();
      driver.Stop();
    };
    if (put) {
      client->Put("/v1/x", std::make_shared<BytesSource>(object), 0, end);
    } else {
      client->Get("/v1/x", std::make_shared<WarmSink>(place), end);
    }
    driver.Run();
  };
  PlainPair plain(**TlsContext::Create(TlsSide::kServer, server_tls), **TlsContext::Create(TlsSide::kClient, site_tls));
  transfer();  // connects
  plain.Transfer(object, place);

  std::vector<double> link_rates;
  std::vector<double> plain_rates;
  std::vector<double> ratios;
  for (auto _ : state) {
    const double link = SecondsOf(transfer);
    const double loop = SecondsOf([&] { plain.Transfer(object, place); });
    state.SetIterationTime(link);
    link_rates.push_back(kBytes / link / 1e9);
    plain_rates.push_back(kBytes / loop / 1e9);
    ratios.push_back(loop / link);
  }
  if (failed) return state.SkipWithError("a transfer failed");
  state.counters["link_GBps"] = Median(link_rates);
  state.counters["plain_GBps"] = Median(plain_rates);
  state.counters["ratio"] = Median(ratios);
}

BENCHMARK_CAPTURE(AgainstPlainLoop, Get300MB, false)->UseManualTime()->Iterations(7)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(AgainstPlainLoop, Put300MB, true)->UseManualTime()->Iterations(7)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace fed_learn
