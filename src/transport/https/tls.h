// TLS as fed_learn uses it: version 1.3 only, a certificate from both sides always.
//
// A certificate's subject says who its owner is: CN is the name, OU the role ("site", "admin" or "server").
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "transport/https/metrics.h"
#include "transport/link.h"

struct ssl_st;
struct ssl_ctx_st;

namespace fed_learn {

enum class TlsSide { kServer, kClient };

// Each is the path of a PEM file, or, if it begins with "-----BEGIN", the PEM text itself.
struct TlsOptions {
  std::string ca = {};           // who may sign the peer's certificate
  std::string certificate = {};  // our own, then those that link it to the CA, if any
  std::string key = {};          // the private key of `certificate`
  std::string crl = {};          // revocation list of the CA; empty: nothing is revoked
};

// What all connections of one link share. Immutable, safe from any thread.
class TlsContext {
 public:
  // InvalidArgument, naming the file and how to mend it, for anything missing, malformed or not belonging together, and
  // for a certificate of our own that has expired.
  static Result<std::shared_ptr<const TlsContext>> Create(TlsSide side, const TlsOptions& options);

  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  ssl_ctx_st* get() const { return context_; }
  TlsSide side() const { return side_; }

 private:
  TlsContext(TlsSide side, ssl_ctx_st* context) : side_(side), context_(context) {}

  TlsSide side_;
  ssl_ctx_st* context_;  // owned
};

// A failure together with what it counts as.
struct TlsFailure {
  Refusal refusal = Refusal::kOther;
  Error error;
};

// Why the handshake, read or write that just failed on this thread did so: OpenSSL's error queue in words that say what
// to do. `peer` is the address for the message.
TlsFailure ExplainTlsFailure(const ssl_st* ssl, TlsSide side, std::string_view peer);

// Who the peer is, by its certificate. PermissionDenied if its role does not fit: a server sees sites and admins, a
// client sees servers. REQUIRES: the handshake is done.
Result<Peer> PeerOf(const ssl_st* ssl, TlsSide side, std::string_view address);

}  // namespace fed_learn
