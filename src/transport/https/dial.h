// Dial: from a host name to a TLS connection whose server has proved its name.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "transport/https/deadlines.h"
#include "transport/https/gathering_bio.h"
#include "transport/https/metrics.h"
#include "transport/https/tls.h"
#include "transport/https/tls_stream.h"

namespace fed_learn {

struct HostPort {
  std::string host;  // without the brackets of an IPv6 address
  std::string port;

  std::string ToString() const;
};

// "host:port" or "[address]:port". `what` names the option in the error.
Result<HostPort> ParseHostPort(std::string_view text, std::string_view what);

// An HTTP proxy that is asked to CONNECT.
struct Proxy {
  HostPort address;
  std::string authorization;  // value of Proxy-Authorization; empty: none
};

// "http://[user:password@]host:port"; nothing for an empty text.
Result<std::optional<Proxy>> ParseProxy(std::string_view url);

struct DialTarget {
  HostPort server;
  std::string server_name;  // what the server's certificate has to carry
  std::optional<Proxy> proxy;
};

// One attempt. Lives on the thread of the io_context, and calls back from there, never from inside a call.
class Dial {
 public:
  virtual ~Dial() = default;
  virtual void Cancel() = 0;  // nothing is called any more
};

// `done` gets the stream after its handshake, or Unavailable (away), Unauthenticated (certificates) or PermissionDenied
// (not a server's certificate). What is referred to outlives the attempt.
std::shared_ptr<Dial> StartDial(boost::asio::io_context& context, const DialTarget& target, const TlsContext& tls,
                                const HttpsDeadlines& deadlines, GatherPool& pool, LinkCounters& counters,
                                std::function<void(Result<TlsStream>)> done);

}  // namespace fed_learn
