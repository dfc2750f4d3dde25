// A certificate request (CSR): a site that made its own key asks for a certificate, and the key stays where it is.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "identity/key.h"

namespace fed_learn {

struct CertificateRequest {
  std::string name;  // the CN asked for; whoever signs decides whether the sender may have it
  std::string org;   // empty if it says none
  PublicKey key;     // its owner has proved to hold the private half
};

// PEM. The subject is O=<org>, CN=<name>; InvalidArgument if `name` cannot be a site's, or `org` is longer than 64
// bytes.
Result<std::string> MakeCertificateRequest(const PrivateKey& key, std::string_view name, std::string_view org);

// InvalidArgument, naming `source`, for what is not a request, or is not signed by the key that it holds.
Result<CertificateRequest> ParseCertificateRequest(std::string_view pem, std::string_view source);

}  // namespace fed_learn
