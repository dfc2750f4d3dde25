// Throw-away identities for tests.
#pragma once

#include <string>
#include <vector>

#include "base/loop.h"
#include "base/result.h"
#include "identity/certificate.h"

namespace fed_learn {

struct TestParty {
  std::string name;
  std::string certificate_pem;
  std::string key_pem;
};

struct TestPki {
  std::string root_pem;
  std::string revocation_pem;    // of `revoked`
  TestParty server;              // for localhost, 127.0.0.1 and ::1
  std::vector<TestParty> sites;  // site_1, site_2, …
  TestParty admin;               // admin@example.org
  TestParty revoked;             // a site
  TestParty expired;             // a site whose certificate ended a day before `now`
  TestParty stranger;            // a site called site_1 of a project of the same name with another root
};

struct TestPkiOptions {
  std::string project = "test";
  int num_sites = 2;
  KeyType key_type = KeyType::kP256;
  WallTime now{};  // what the tests' clock says
};

Result<TestPki> MakeTestPki(const TestPkiOptions& options);

}  // namespace fed_learn
