// A peer for tests that does on the wire exactly what it is told, also what no client of ours would. Blocks; gives up
// after half a minute.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "transport/https/tls.h"

namespace fed_learn::testing {

class RawClient {
 public:
  explicit RawClient(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    const timeval patience{.tv_sec = 30, .tv_usec = 0};
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    std::signal(SIGPIPE, SIG_IGN);  // OpenSSL's own socket BIO raises it
    const int no_delay = 1;
    setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &no_delay, sizeof no_delay);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  ~RawClient() {
    ssl_.reset();
    close(socket_);
  }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool connected() const { return connected_; }

  // Without a certificate if that of `options` is empty.
  bool Handshake(const TlsOptions& options, int version = TLS1_3_VERSION) {
    context_.reset(SSL_CTX_new(TLS_client_method()));
    SSL_CTX_set_min_proto_version(context_.get(), version);
    SSL_CTX_set_max_proto_version(context_.get(), version);
    if (!options.certificate.empty()) {
      const std::unique_ptr<BIO, decltype(&BIO_free_all)> in(
          BIO_new_mem_buf(options.certificate.data(), static_cast<int>(options.certificate.size())), BIO_free_all);
      const std::unique_ptr<X509, decltype(&X509_free)> own(PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr),
                                                            X509_free);
      SSL_CTX_use_certificate(context_.get(), own.get());
      const std::unique_ptr<BIO, decltype(&BIO_free_all)> key_in(
          BIO_new_mem_buf(options.key.data(), static_cast<int>(options.key.size())), BIO_free_all);
      const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(
          PEM_read_bio_PrivateKey(key_in.get(), nullptr, nullptr, nullptr), EVP_PKEY_free);
      SSL_CTX_use_PrivateKey(context_.get(), key.get());
    }
    ssl_.reset(SSL_new(context_.get()));
    SSL_set_fd(ssl_.get(), socket_);
    return SSL_connect(ssl_.get()) == 1;
  }

  // Over TLS after Handshake, else bare.
  bool Write(std::string_view text) {
    if (ssl_ == nullptr)
      return ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<long>(text.size());
    return text.empty() || SSL_write(ssl_.get(), text.data(), static_cast<int>(text.size())) > 0;
  }

  // What comes until the other side closes, or `enough` has come.
  std::string Read(std::string_view enough = {}) {
    std::string text;
    std::array<char, 16384> piece;
    while (enough.empty() || text.find(enough) == std::string::npos) {
      const long size = ssl_ == nullptr ? ::recv(socket_, piece.data(), piece.size(), 0)
                                        : SSL_read(ssl_.get(), piece.data(), static_cast<int>(piece.size()));
      if (size <= 0) break;
      text.append(piece.data(), static_cast<std::size_t>(size));
    }
    return text;
  }

 private:
  int socket_;
  bool connected_ = false;
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_{nullptr, SSL_CTX_free};
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl_{nullptr, SSL_free};
};

}  // namespace fed_learn::testing
