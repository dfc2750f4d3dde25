// The manifest of a startup kit: whose it is, and the SHA-256 of each of its files.
//
// Signed by the project's root over its bytes as they stand in startup/manifest.json (the signature is
// startup/manifest.sig). Not listed are the private key, which the certificate vouches for and which may never have
// left the site, and the server's revocation list, which the root signs by itself so that it can be replaced alone.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "identity/certificate.h"

namespace fed_learn {

struct KitManifest {
  Subject subject;
  std::string org;                           // of the party; empty if none was given
  bool key_made_at_site = false;             // the kit came without a key
  std::string created;                       // UTC, for people
  std::map<std::string, std::string> files;  // name in startup/ -> SHA-256 in hex
};

std::string ToJsonText(const KitManifest& manifest);

// InvalidArgument, naming `source` and the key, for anything that ToJsonText does not write; a file name with a '/' in
// it among them.
Result<KitManifest> ParseKitManifest(std::string_view text, std::string_view source);

// SHA-256 in lower-case hex.
std::string Sha256Hex(std::string_view bytes);

}  // namespace fed_learn
