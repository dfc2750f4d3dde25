#include "identity/testing.h"

#include <fmt/format.h>

#include <array>

#include "identity/name.h"
#include "identity/revocation.h"

namespace fed_learn {
namespace {

constexpr int kDays = 365;

class Maker {
 public:
  Maker(const TestPkiOptions& options, const Authority& authority) : options_(options), authority_(authority) {}

  Result<TestParty> Make(PartyRole role, std::string name, std::vector<std::string> hosts = {}) const {
    return Make({.subject = {options_.project, role, std::move(name)},
                 .now = options_.now,
                 .days = kDays,
                 .hosts = std::move(hosts)});
  }

  Result<TestParty> Make(const IssueOptions& issue) const {
    ASSIGN_OR_RETURN(const PrivateKey key, PrivateKey::Generate(options_.key_type));
    ASSIGN_OR_RETURN(const Certificate certificate, IssueCertificate(authority_, key.public_key(), issue));
    ASSIGN_OR_RETURN(std::string key_pem, key.ToPem());
    return TestParty{issue.subject.name, certificate.pem(), std::move(key_pem)};
  }

 private:
  const TestPkiOptions& options_;
  const Authority& authority_;
};

Result<std::string> Revoke(const Authority& authority, const TestParty& party, WallTime now) {
  ASSIGN_OR_RETURN(const Certificate certificate, Certificate::FromPem(party.certificate_pem, party.name));
  const std::array<Revocation, 1> revocations = {{{certificate.serial(), now}}};
  ASSIGN_OR_RETURN(const RevocationList list, RevocationList::Make(authority, revocations, now, 1));
  return list.pem();
}

}  // namespace

Result<TestPki> MakeTestPki(const TestPkiOptions& options) {
  const AuthorityOptions authority_options{
      .project = options.project, .key_type = options.key_type, .now = options.now};
  ASSIGN_OR_RETURN(const Authority authority, MakeAuthority(authority_options));
  ASSIGN_OR_RETURN(const Authority foreign, MakeAuthority(authority_options));
  const Maker maker(options, authority);
  TestPki pki;
  pki.root_pem = authority.certificate.pem();
  ASSIGN_OR_RETURN(pki.server,
                   maker.Make(PartyRole::kServer, std::string(kServerName), {"localhost", "127.0.0.1", "::1"}));
  for (int i = 1; i <= options.num_sites; ++i) {
    ASSIGN_OR_RETURN(TestParty site, maker.Make(PartyRole::kSite, fmt::format("site_{}", i)));
    pki.sites.push_back(std::move(site));
  }
  ASSIGN_OR_RETURN(pki.admin, maker.Make(PartyRole::kAdmin, "admin@example.org"));
  ASSIGN_OR_RETURN(pki.revoked, maker.Make(PartyRole::kSite, "revoked"));
  ASSIGN_OR_RETURN(pki.revocation_pem, Revoke(authority, pki.revoked, options.now));
  const std::chrono::hours before{24 * (kDays + 1)};
  ASSIGN_OR_RETURN(pki.expired, maker.Make({.subject = {options.project, PartyRole::kSite, "expired"},
                                            .now = options.now - before,
                                            .days = kDays}));
  ASSIGN_OR_RETURN(pki.stranger, Maker(options, foreign).Make(PartyRole::kSite, "site_1"));
  return pki;
}

}  // namespace fed_learn
