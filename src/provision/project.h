// project.yml: who takes part. Clara Train's keys are understood; ours are added where it has none.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "identity/key.h"

namespace fed_learn {

struct ServerEntry {
  std::string host;                    // `host` or Clara's `cn`: what sites connect to
  std::vector<std::string> alt_names;  // further host names and IP addresses in its certificate
  int port = 8002;                     // `fed_learn_port`
  std::string org;
  std::optional<int> min_num_clients;
  std::optional<int> max_num_clients;
};

struct SiteEntry {
  std::string name;  // `client_name`
  std::string org;
  bool own_key = false;  // the site makes its key (`fedlearn client enroll`); no kit until its request is signed
};

struct AdminEntry {
  std::string email;  // is the admin's name
  std::string org;
};

struct Project {
  std::string name;
  ServerEntry server;
  std::vector<SiteEntry> sites;
  std::vector<AdminEntry> admins;
  KeyType key_type = KeyType::kP256;  // of keys made from now on
  int days = 365;                     // validity of certificates issued from now on
  std::string source;                 // the file, for messages
  std::vector<std::string> notes;     // keys without effect, each a line for the user
};

// InvalidArgument with file and line for text that is not YAML, an unknown key (and the nearest known one), a value of
// the wrong kind, a name that cannot be one, or a name that stands twice.
Result<Project> ParseProject(std::string_view text, std::string_view source);

}  // namespace fed_learn
