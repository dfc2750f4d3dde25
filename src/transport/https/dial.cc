#include "transport/https/dial.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/basic_resolver.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <charconv>
#include <chrono>
#include <utility>
#include <vector>

#include "base/text.h"
#include "transport/https/http_head.h"

namespace fed_learn {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::size_t kProxyHeadBytesMax = 16 << 10;

std::string Base64(std::string_view text) {
  std::string encoded(4 * ((text.size() + 2) / 3) + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(encoded.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  encoded.resize(static_cast<std::size_t>(size));
  return encoded;
}

// %41 -> A; a '%' without two hex digits stays.
std::string PercentDecoded(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    const char* const hex = text.data() + i + 1;
    if (text[i] == '%' && i + 2 < text.size() && std::from_chars(hex, hex + 2, value, 16).ptr == hex + 2) {
      decoded += static_cast<char>(value);
      i += 2;
    } else {
      decoded += text[i];
    }
  }
  return decoded;
}

class Attempt : public Dial, public std::enable_shared_from_this<Attempt> {
 public:
  Attempt(asio::io_context& context, const DialTarget& target, const TlsContext& tls, const HttpsDeadlines& deadlines,
          GatherPool& pool, LinkCounters& counters, std::function<void(Result<TlsStream>)> done)
      : context_(context),
        target_(target),
        tls_(tls),
        deadlines_(deadlines),
        pool_(pool),
        counters_(counters),
        done_(std::move(done)),
        resolver_(context),
        timer_(context),
        socket_(context) {}

  void Start() {
    const HostPort& next = target_.proxy ? target_.proxy->address : target_.server;
    resolver_.async_resolve(next.host, next.port,
                            [self = shared_from_this()](error_code error, const tcp::resolver::results_type& found) {
                              self->OnResolved(error, found);
                            });
  }

  void Cancel() override {
    done_ = nullptr;
    Stop();
  }

 private:
  std::string Where() const {
    if (!target_.proxy) return target_.server.ToString();
    return fmt::format("{} by proxy {}", target_.server.ToString(), target_.proxy->address.ToString());
  }

  void Stop() {
    resolver_.cancel();
    timer_.cancel();
    error_code ignored;
    socket_.close(ignored);
    if (stream_) stream_->Close();
  }

  void Fail(Error error) {
    const auto done = std::exchange(done_, nullptr);
    Stop();
    if (done) done(std::move(error));
  }

  // Whatever runs now ends with an error in so long.
  void StartDeadline(Duration deadline) {
    timer_.expires_after(deadline);
    timer_.async_wait([self = shared_from_this(), step = ++step_](error_code cancelled) {
      // The handler may have been queued already when its step ended well.
      if (cancelled || step != self->step_ || !self->done_) return;
      self->timed_out_ = true;
      error_code ignored;
      self->socket_.close(ignored);
      if (self->stream_) self->Fail(Unavailable(self->Where() + ": no TLS handshake in time"));
    });
  }

  void OnResolved(error_code error, const tcp::resolver::results_type& found) {
    if (!done_) return;
    if (error) {
      const HostPort& host = target_.proxy ? target_.proxy->address : target_.server;
      return Fail(Unavailable(fmt::format("{}: the name is not known to this machine ({}); check its spelling and DNS",
                                          host.ToString(), error.message())));
    }
    for (const auto& entry : found) endpoints_.push_back(entry.endpoint());
    ConnectNext(asio::error::host_unreachable);
  }

  void ConnectNext(error_code last_error) {
    if (endpoint_ == endpoints_.size()) {
      return Fail(Unavailable(fmt::format("{}: {}; is it running, and may this machine reach it?", Where(),
                                          timed_out_ ? "no connection in time" : last_error.message())));
    }
    timed_out_ = false;
    error_code ignored;
    socket_.close(ignored);
    StartDeadline(deadlines_.connect);
    socket_.async_connect(endpoints_[endpoint_++],
                          [self = shared_from_this()](error_code error) { self->OnConnected(error); });
  }

  void OnConnected(error_code error) {
    if (!done_) return;
    if (error || timed_out_) return ConnectNext(error);
    if (!target_.proxy) return StartTls();
    const std::string server = target_.server.ToString();
    text_ = fmt::format("CONNECT {} HTTP/1.1\r\nHost: {}\r\n", server, server);
    if (!target_.proxy->authorization.empty()) {
      text_ += "Proxy-Authorization: " + target_.proxy->authorization + "\r\n";
    }
    text_ += "\r\n";
    asio::async_write(socket_, asio::buffer(text_),
                      [self = shared_from_this()](error_code failed, std::size_t) { self->OnAsked(failed); });
  }

  void OnAsked(error_code error) {
    if (!done_) return;
    if (error) return ConnectNext(error);
    text_.clear();
    asio::async_read_until(socket_, asio::dynamic_buffer(text_, kProxyHeadBytesMax), "\r\n\r\n",
                           [self = shared_from_this()](error_code failed, std::size_t) { self->OnProxied(failed); });
  }

  void OnProxied(error_code error) {
    if (!done_) return;
    if (error) return ConnectNext(error);
    const Result<ResponseHead> head = ParseResponseHead(std::string_view(text_).substr(0, HeadSize(text_)));
    if (!head) return Fail(Unavailable(Where() + ": the proxy does not speak HTTP; check its address"));
    if (head->status == 407) {
      return Fail(PermissionDenied(Where() + ": the proxy wants a user and password; put them into its URL"));
    }
    if (head->status / 100 != 2) {
      return Fail(Unavailable(fmt::format("{}: the proxy answered {} {}; ask its administrator to allow this address",
                                          Where(), head->status, ReasonOf(head->status))));
    }
    StartTls();
  }

  void StartTls() {
    stream_.emplace(std::move(socket_), tls_, pool_, counters_, target_.server.ToString());
    stream_->ExpectServerName(target_.server_name);
    StartDeadline(deadlines_.handshake);
    StepTls();
  }

  void StepTls() {
    if (!done_) return;
    const IoState state = stream_->Handshake();
    if (state == IoState::kWaitRead || state == IoState::kWaitWrite) {
      return stream_->Wait(state, [self = shared_from_this()](error_code) { self->StepTls(); });
    }
    if (state == IoState::kFailed) return Fail(stream_->failure()->error);
    if (state == IoState::kEnd) return Fail(Unavailable(Where() + ": closed during the TLS handshake"));
    const Result<Peer> peer = PeerOf(stream_->ssl(), TlsSide::kClient, target_.server.ToString());
    if (!peer) return Fail(peer.error());
    ++counters_.handshakes;
    timer_.cancel();
    TlsStream stream = std::move(*stream_);
    stream_.reset();
    std::exchange(done_, nullptr)(std::move(stream));
  }

  asio::io_context& context_;
  const DialTarget target_;
  const TlsContext& tls_;
  const HttpsDeadlines deadlines_;
  GatherPool& pool_;
  LinkCounters& counters_;
  std::function<void(Result<TlsStream>)> done_;  // null once called or cancelled
  asio::ip::basic_resolver<tcp, asio::io_context::executor_type> resolver_;
  asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>,
                             asio::io_context::executor_type>
      timer_;
  TlsStream::Socket socket_;
  std::vector<tcp::endpoint> endpoints_;
  std::size_t endpoint_ = 0;  // the next to try
  int step_ = 0;              // of connecting, each with its deadline
  bool timed_out_ = false;
  std::string text_;  // to and from the proxy
  std::optional<TlsStream> stream_;
};

}  // namespace

std::string HostPort::ToString() const {
  const bool v6 = host.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", v6 ? "[" : "", host, v6 ? "]" : "", port);
}

Result<HostPort> ParseHostPort(std::string_view text, std::string_view what) {
  const std::size_t colon = text.rfind(':');
  HostPort parsed;
  if (colon != std::string_view::npos) {
    std::string_view host = text.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    parsed = {.host = std::string(host), .port = std::string(text.substr(colon + 1))};
  }
  std::uint16_t port = 0;
  const char* const end = parsed.port.data() + parsed.port.size();
  const auto [at, failed] = std::from_chars(parsed.port.data(), end, port);
  const bool good = failed == std::errc() && at == end && port > 0 && !parsed.host.empty() &&
                    parsed.host.find_first_of(" \t\r\n/@") == std::string::npos;
  if (!good) return InvalidArgument(fmt::format("{} '{}': must be 'host:port'", what, Escaped(text)));
  return parsed;
}

Result<std::optional<Proxy>> ParseProxy(std::string_view url) {
  if (url.empty()) return std::optional<Proxy>();
  constexpr std::string_view kScheme = "http://";
  // The URL is not quoted: it may hold a password.
  if (!url.starts_with(kScheme)) return InvalidArgument("the proxy must be 'http://[user:password@]host:port'");
  url.remove_prefix(kScheme.size());
  if (url.ends_with('/')) url.remove_suffix(1);
  Proxy proxy;
  if (const std::size_t at = url.rfind('@'); at != std::string_view::npos) {
    proxy.authorization = "Basic " + Base64(PercentDecoded(url.substr(0, at)));
    url.remove_prefix(at + 1);
  }
  ASSIGN_OR_RETURN(proxy.address, ParseHostPort(url, "proxy"));
  return std::optional<Proxy>(std::move(proxy));
}

std::shared_ptr<Dial> StartDial(asio::io_context& context, const DialTarget& target, const TlsContext& tls,
                                const HttpsDeadlines& deadlines, GatherPool& pool, LinkCounters& counters,
                                std::function<void(Result<TlsStream>)> done) {
  auto attempt = std::make_shared<Attempt>(context, target, tls, deadlines, pool, counters, std::move(done));
  attempt->Start();
  return attempt;
}

}  // namespace fed_learn
