// What five hundred idle sites cost.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "transport/https/https_test_fixture.h"
#include "transport/https/raw_client.h"

namespace fed_learn {
namespace {

using testing::HttpsTest;
using testing::RawClient;

constexpr std::size_t kSessions = 500;
constexpr std::size_t kBytesMax = 60 << 20;

std::size_t ResidentBytes() {
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  if (file == nullptr) return 0;
  unsigned long total = 0;
  unsigned long resident = 0;
  const int read = std::fscanf(file, "%lu %lu", &total, &resident);
  std::fclose(file);
  return read == 2 ? resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE)) : 0;
}

class ManySessionsTest : public HttpsTest {};

TEST_F(ManySessionsTest, FiveHundredIdleSessionsAreSmallAndAllAreReached) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_max < 2 * kSessions + 100) GTEST_SKIP() << "too few descriptors for both ends";
  const TlsOptions tls = ca.Site("site_1");
  HttpsServerOptions options = ServerOptions();
  options.limits.connections_per_peer_max = kSessions;
  StartServer(options);

  const std::size_t before = ResidentBytes();
  std::vector<std::unique_ptr<RawClient>> peers;
  const bool all_open = Beside([&] {
    for (std::size_t i = 0; i < kSessions; ++i) {
      peers.push_back(std::make_unique<RawClient>(server->port()));
      if (!peers.back()->Handshake(tls)) return false;
      peers.back()->Write(
          "GET /v1/control HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
          "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
      if (peers.back()->Read("\r\n\r\n").empty()) return false;
    }
    return true;
  });
  ASSERT_TRUE(all_open);
  RunUntil([&] { return handler.order.size() == kSessions; });
  const std::size_t used = ResidentBytes() - before;
  RecordProperty("bytes_per_session_both_ends", static_cast<int>(used / kSessions));
  std::printf("%zu bytes a session, both ends\n", used / kSessions);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  EXPECT_LT(used, kBytesMax);
#endif

  for (const SessionId session : handler.order) server->Send(session, {{"type", "hello"}});
  const bool all_heard = Beside([&] {
    for (const auto& peer : peers) {
      if (peer->Read("hello").empty()) return false;
    }
    return true;
  });
  EXPECT_TRUE(all_heard);
}

}  // namespace
}  // namespace fed_learn
