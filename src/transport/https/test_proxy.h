// An HTTP proxy for tests: CONNECTs, and fails on request as networks do.
#pragma once

#include <array>
#include <atomic>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "transport/asio_loop.h"
#include "transport/https/tls_stream.h"

namespace fed_learn::testing {

class TestProxy {
 public:
  TestProxy() : acceptor_(loop_.context(), Endpoint(0)), port_(acceptor_.local_endpoint().port()) {
    Accept();
    thread_ = std::thread([this] { loop_.Run(); });
  }
  ~TestProxy() {
    loop_.Stop();
    thread_.join();
  }
  TestProxy(const TestProxy&) = delete;
  TestProxy& operator=(const TestProxy&) = delete;

  std::uint16_t port() const { return port_; }
  std::string Url(const std::string& user = {}) const {
    return "http://" + user + "127.0.0.1:" + std::to_string(port_);
  }

  // Any thread.
  int tunnels() const { return tunnels_; }
  void AnswerWith(std::string status_line) {
    Do([this, status_line] { status_line_ = status_line; });
  }
  void DemandAuthorization(std::string value) {
    Do([this, value] { authorization_ = value; });
  }

  // Resets all tunnels.
  void Cut() {
    Do([this] {
      for (const auto& weak : open_) {
        if (const auto tunnel = weak.lock()) tunnel->Close();
      }
      open_.clear();
    });
  }

  // From `bytes` more on, nothing passes any more, and nobody is told.
  void StallAfter(std::uint64_t bytes) { bytes_left_ = static_cast<std::int64_t>(bytes); }
  void Resume() { bytes_left_ = kAll; }

 private:
  using tcp = boost::asio::ip::tcp;
  using Error = boost::system::error_code;
  static constexpr std::int64_t kAll = INT64_MAX;

  static tcp::endpoint Endpoint(std::uint16_t port) { return {boost::asio::ip::address_v4::loopback(), port}; }

  struct Tunnel {
    Tunnel(TlsStream::Socket socket, boost::asio::io_context& context) : inner(std::move(socket)), outer(context) {}
    void Close() {
      Error ignored;
      for (auto* socket : {&inner, &outer}) {
        socket->set_option(boost::asio::socket_base::linger(true, 0), ignored);
        socket->close(ignored);
      }
    }
    TlsStream::Socket inner;
    TlsStream::Socket outer;
    std::string head;
    std::array<std::array<char, 16384>, 2> buffers;
  };

  void Do(Task task) { loop_.Post(std::move(task)); }

  void Accept() {
    acceptor_.async_accept(loop_.context(), [this](Error error, TlsStream::Socket socket) {
      if (error) return;
      const auto tunnel = std::make_shared<Tunnel>(std::move(socket), loop_.context());
      open_.push_back(tunnel);
      boost::asio::async_read_until(tunnel->inner, boost::asio::dynamic_buffer(tunnel->head), "\r\n\r\n",
                                    [this, tunnel](Error failed, std::size_t) {
                                      if (!failed) Connect(tunnel);
                                    });
      Accept();
    });
  }

  // "CONNECT 127.0.0.1:PORT HTTP/1.1"
  void Connect(const std::shared_ptr<Tunnel>& tunnel) {
    std::string answer = status_line_;
    if (tunnel->head.find(authorization_) == std::string::npos) answer = "407 Proxy Authentication Required";
    if (tunnel->head.starts_with("CONNECT ") && answer.starts_with("200")) {
      const std::size_t colon = tunnel->head.find(':');
      Error failed;
      tunnel->outer.connect(Endpoint(static_cast<std::uint16_t>(std::stoi(tunnel->head.substr(colon + 1)))), failed);
      if (failed) answer = "502 Bad Gateway";
    }
    const auto text = std::make_shared<std::string>("HTTP/1.1 " + answer + "\r\n\r\n");
    boost::asio::async_write(tunnel->inner, boost::asio::buffer(*text),
                             [this, tunnel, text](Error failed, std::size_t) {
                               if (failed || !text->starts_with("HTTP/1.1 200")) return;
                               ++tunnels_;
                               Pump(tunnel, tunnel->inner, tunnel->outer, tunnel->buffers[0]);
                               Pump(tunnel, tunnel->outer, tunnel->inner, tunnel->buffers[1]);
                             });
  }

  void Pump(const std::shared_ptr<Tunnel>& tunnel, TlsStream::Socket& from, TlsStream::Socket& to,
            std::array<char, 16384>& buffer) {
    from.async_read_some(boost::asio::buffer(buffer),
                         [this, tunnel, &from, &to, &buffer](Error failed, std::size_t size) {
                           if (failed) return tunnel->Close();
                           if ((bytes_left_ -= static_cast<std::int64_t>(size)) < 0) return;  // and read no more
                           boost::asio::async_write(to, boost::asio::buffer(buffer, size),
                                                    [this, tunnel, &from, &to, &buffer](Error cut, std::size_t) {
                                                      if (cut) return tunnel->Close();
                                                      Pump(tunnel, from, to, buffer);
                                                    });
                         });
  }

  AsioLoop loop_;
  boost::asio::basic_socket_acceptor<tcp, boost::asio::io_context::executor_type> acceptor_;
  const std::uint16_t port_;
  std::string status_line_ = "200 Connection established";
  std::string authorization_;
  std::vector<std::weak_ptr<Tunnel>> open_;
  std::atomic<int> tunnels_{0};
  std::atomic<std::int64_t> bytes_left_{kAll};
  std::thread thread_;
};

}  // namespace fed_learn::testing
