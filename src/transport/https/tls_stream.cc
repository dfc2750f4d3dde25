#include "transport/https/tls_stream.h"

#include <fmt/format.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace fed_learn {
namespace {

constexpr std::size_t kRecordPayload = 16384;

// A peer whose machine has gone silent is given up after a minute, whether or not we are sending.
constexpr int kKeepIdleSeconds = 20;
constexpr int kKeepIntervalSeconds = 10;
constexpr int kKeepCount = 4;
constexpr int kUserTimeoutMilliseconds = 60'000;

void SetOption(int descriptor, int level, int option, int value) {
  // An option that this kernel lacks costs a later detection, nothing else.
  (void)setsockopt(descriptor, level, option, &value, sizeof value);
}

void SetSocketOptions(int descriptor) {
  SetOption(descriptor, IPPROTO_TCP, TCP_NODELAY, 1);
  SetOption(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1);
  SetOption(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, kKeepIdleSeconds);
  SetOption(descriptor, IPPROTO_TCP, TCP_KEEPINTVL, kKeepIntervalSeconds);
  SetOption(descriptor, IPPROTO_TCP, TCP_KEEPCNT, kKeepCount);
  SetOption(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, kUserTimeoutMilliseconds);
}

}  // namespace

void TlsStream::SslFreer::operator()(ssl_st* ssl) const { SSL_free(ssl); }

TlsStream::TlsStream(Socket socket, const TlsContext& context, GatherPool& pool, LinkCounters& counters,
                     std::string peer)
    : peer_(std::move(peer)),
      side_(context.side()),
      socket_(std::move(socket)),
      gather_(std::make_unique<Gather>(socket_.native_handle(), pool, counters)),
      ssl_(SSL_new(context.get())) {
  boost::system::error_code ignored;
  socket_.native_non_blocking(true, ignored);
  SetSocketOptions(socket_.native_handle());
  bio_st* bio = gather_->NewBio();
  SSL_set_bio(ssl_.get(), bio, bio);
  if (side_ == TlsSide::kServer) {
    SSL_set_accept_state(ssl_.get());
  } else {
    SSL_set_connect_state(ssl_.get());
  }
}

TlsStream::~TlsStream() = default;
TlsStream::TlsStream(TlsStream&&) noexcept = default;

void TlsStream::ExpectServerName(const std::string& name) {
  if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_.get()), name.c_str()) == 1) return;
  SSL_set1_host(ssl_.get(), name.c_str());
  SSL_set_tlsext_host_name(ssl_.get(), name.c_str());
}

IoState TlsStream::Fail() {
  failure_ = std::make_unique<TlsFailure>(ExplainTlsFailure(ssl_.get(), side_, peer_));
  return IoState::kFailed;
}

IoState TlsStream::StateAfter(int ssl_result) {
  switch (SSL_get_error(ssl_.get(), ssl_result)) {
    case SSL_ERROR_WANT_READ:
      return IoState::kWaitRead;
    case SSL_ERROR_ZERO_RETURN:
      return IoState::kEnd;
    default:
      // A peer that ends without goodbye: lengths are announced, so nothing cut short passes for whole.
      if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING) return IoState::kEnd;
      return Fail();
  }
}

IoState TlsStream::Handshake() {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  const IoState state = result == 1 ? IoState::kDone : StateAfter(result);
  const IoState flushed = Flush();  // also the alert that tells the peer why
  if (state == IoState::kWaitRead || state == IoState::kDone) return flushed == IoState::kDone ? state : flushed;
  return state;
}

IoResult TlsStream::Read(std::span<std::byte> space) {
  IoResult io;
  while (io.bytes < space.size()) {
    ERR_clear_error();
    std::size_t read = 0;
    const int result = SSL_read_ex(ssl_.get(), space.data() + io.bytes, space.size() - io.bytes, &read);
    if (result != 1) {
      io.state = StateAfter(result);
      break;
    }
    io.bytes += read;
  }
  // Reading may have answered a key update.
  if (!gather_->empty() && io.state != IoState::kFailed && Flush() == IoState::kFailed) io.state = IoState::kFailed;
  if (io.bytes > 0) io.state = IoState::kDone;  // the next call meets the rest again
  return io;
}

IoResult TlsStream::Write(std::span<const std::byte> bytes) {
  IoResult io;
  while (io.bytes < bytes.size()) {
    if (!gather_->HasRoom()) {
      io.state = Flush();
      if (io.state != IoState::kDone) return io;
    }
    ERR_clear_error();
    std::size_t written = 0;
    const std::size_t size = std::min(bytes.size() - io.bytes, kRecordPayload);
    if (SSL_write_ex(ssl_.get(), bytes.data() + io.bytes, size, &written) != 1) {
      io.state = Fail();
      return io;
    }
    io.bytes += written;
  }
  return io;
}

IoState TlsStream::Flush() {
  switch (gather_->Flush()) {
    case Gather::Flushed::kAll:
      return IoState::kDone;
    case Gather::Flushed::kBlocked:
      return IoState::kWaitWrite;
    case Gather::Flushed::kBroken:
      break;
  }
  failure_ = std::make_unique<TlsFailure>(
      TlsFailure{Refusal::kOther, Unavailable(fmt::format("{}: connection lost while sending", peer_))});
  return IoState::kFailed;
}

void TlsStream::Shutdown() {
  ERR_clear_error();
  if (SSL_is_init_finished(ssl_.get()) && gather_->HasRoom()) (void)SSL_shutdown(ssl_.get());
  (void)gather_->Flush();
  boost::system::error_code ignored;  // the peer may be gone already
  socket_.shutdown(Socket::shutdown_send, ignored);
}

void TlsStream::Close() {
  gather_->Disconnect();
  boost::system::error_code ignored;
  socket_.close(ignored);
}

IoResult TlsStream::Discard(std::size_t bytes_max) {
  std::array<char, 16384> scratch;
  IoResult io;
  while (io.bytes < bytes_max) {
    const long received = gather_->Receive(scratch.data(), scratch.size());
    if (received <= 0) {
      const bool blocked = received < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
      io.state = blocked ? IoState::kWaitRead : IoState::kEnd;
      return io;
    }
    io.bytes += static_cast<std::size_t>(received);
  }
  return io;
}

int TlsStream::UnsentBytes() {
  int bytes = 0;
  (void)ioctl(socket_.native_handle(), SIOCOUTQ, &bytes);
  return bytes;
}

bool TlsStream::PeerHasClosed() {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (getsockopt(socket_.native_handle(), IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return true;
  return info.tcpi_state != TCP_ESTABLISHED;
}

}  // namespace fed_learn
