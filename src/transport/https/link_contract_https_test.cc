// The promises of link.h, kept by HTTPS: each site by a proxy of its own, which can cut it off.
#include <boost/asio/executor_work_guard.hpp>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "transport/asio_loop.h"
#include "transport/https/client.h"
#include "transport/https/server.h"
#include "transport/https/test_certificates.h"
#include "transport/https/test_proxy.h"
#include "transport/link_contract.h"

namespace fed_learn {
namespace {

class HttpsLinkPair : public LinkPair {
 public:
  std::unique_ptr<ServerLink> MakeServer() override {
    auto made = HttpsServerLink::Create(
        driver_, {.listen = "127.0.0.1:" + std::to_string(port_), .threads = 2, .tls = server_tls_});
    EXPECT_TRUE(made.has_value()) << made.error().message();
    server_ = made->get();
    return *std::move(made);
  }

  std::unique_ptr<ClientLink> MakeClient(const std::string& name) override {
    port_ = server_->port();
    auto made = HttpsClientLink::Create(
        driver_,
        {.server = "127.0.0.1:" + std::to_string(port_), .proxy = proxies_[name].Url(), .tls = ca_.Site(name)});
    EXPECT_TRUE(made.has_value()) << made.error().message();
    return *std::move(made);
  }

  bool RunUntil(const std::function<bool()>& done) override {
    const auto work = boost::asio::make_work_guard(driver_.context());
    driver_.context().restart();
    while (!done()) {
      if (driver_.context().run_one_for(std::chrono::seconds(30)) == 0) return false;
    }
    return true;
  }

  bool Break(const std::string& name) override {
    proxies_[name].Cut();
    return true;
  }

 private:
  testing::TestCa ca_;
  const TlsOptions server_tls_ = ca_.Server();
  std::map<std::string, testing::TestProxy> proxies_;
  AsioLoop driver_;
  HttpsServerLink* server_ = nullptr;
  std::uint16_t port_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Https, LinkContract, ::testing::Values([]() -> std::unique_ptr<LinkPair> {
                           return std::make_unique<HttpsLinkPair>();
                         }));

}  // namespace
}  // namespace fed_learn
