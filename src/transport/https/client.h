// HttpsClientLink: a ClientLink to an HttpsServerLink, by one outbound address, through a proxy if need be.
//
// One WebSocket for the session and a few connections for transfers, kept for a while after use, all on one thread of
// the link's own. The handler and the answers are called on the driver's Loop only.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "base/loop.h"
#include "base/result.h"
#include "transport/https/deadlines.h"
#include "transport/https/metrics.h"
#include "transport/https/tls.h"
#include "transport/link.h"

namespace fed_learn {

struct HttpsClientOptions {
  std::string server = {};       // "host:port"
  std::string server_name = {};  // what the server's certificate has to carry; empty: the host
  std::string proxy = {};        // "http://[user:password@]host:port"; empty: none
  TlsOptions tls = {};
  std::size_t transfers_max = 4;            // at a time; more wait their turn
  std::size_t message_bytes_max = 1 << 20;  // of a control message from the server
  std::size_t outbox_bytes_max = 4 << 20;   // queued for the server; beyond, the session ends (ResourceExhausted)
  HttpsDeadlines deadlines = {};
};

class HttpsClientLink : public ClientLink {
 public:
  // `driver` outlives the link and what was posted to it. InvalidArgument, naming the option, for options that cannot
  // be.
  static Result<std::unique_ptr<HttpsClientLink>> Create(Loop& driver, HttpsClientOptions options);

  ~HttpsClientLink() override;

  void Start(ClientLinkHandler& handler) override;
  void Open() override;
  void Send(Json message) override;
  void Close() override;
  void SetToken(std::string token) override;
  void Get(std::string path, std::shared_ptr<ByteSink> sink, Answer<std::uint64_t> done) override;
  void Put(std::string path, std::shared_ptr<const ByteSource> source, std::uint64_t offset,
           Answer<Json> done) override;

  // Safe from any thread.
  LinkMetrics Metrics() const;

 private:
  class Impl;
  explicit HttpsClientLink(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace fed_learn
