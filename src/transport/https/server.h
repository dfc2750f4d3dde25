// HttpsServerLink: a ServerLink over HTTP/1.1 and WebSocket in mutual TLS 1.3, on one port.
//
// docs/protocol.md says what goes over the wire. Connections live on threads of the link's own; the handler is called
// on the driver's Loop only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/loop.h"
#include "base/result.h"
#include "transport/https/admission.h"
#include "transport/https/deadlines.h"
#include "transport/https/metrics.h"
#include "transport/https/tls.h"
#include "transport/link.h"

namespace fed_learn {

struct HttpsServerOptions {
  std::string listen = "0.0.0.0:8002";  // "address:port" or "[address]:port"; port 0 takes a free one
  int threads = 0;                      // 0: one a core
  TlsOptions tls = {};
  AdmissionLimits limits = {};
  std::size_t header_bytes_max = 16 << 10;
  std::size_t message_bytes_max = 1 << 20;  // of a control message
  std::size_t outbox_bytes_max = 4 << 20;   // queued for one session
  HttpsDeadlines deadlines = {};
};

class HttpsServerLink : public ServerLink {
 public:
  // `driver` outlives the link and what was posted to it.
  static Result<std::unique_ptr<HttpsServerLink>> Create(Loop& driver, HttpsServerOptions options);

  ~HttpsServerLink() override;

  // Opens the port. InvalidArgument for an address that is none of this machine's, AlreadyExists for a port in use; the
  // message says how to mend it.
  Status Start(ServerLinkHandler& handler) override;
  void Send(SessionId session, Json message) override;
  void Close(SessionId session, const Error& why) override;

  // Where it listens. REQUIRES: Start has succeeded.
  std::uint16_t port() const;

  // Safe from any thread.
  LinkMetrics Metrics() const;

 private:
  class Impl;
  explicit HttpsServerLink(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace fed_learn
