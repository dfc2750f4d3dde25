// fedlearn provision: makes the certificates and startup kits of a project.

#include "provision/provision.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <string>

#include "base/posix_disk.h"
#include "tools/fedlearn/commands.h"
#include "transport/asio_loop.h"

namespace fed_learn {
namespace {

constexpr std::uint64_t kProjectBytesMax = 16 << 20;

struct ProvisionFlags {
  std::string project;
  ProvisionOptions options;
};

std::string_view ToText(PartyOutcome::What what) {
  switch (what) {
    case PartyOutcome::What::kMade:
      return "new kit";
    case PartyOutcome::What::kSigned:
      return "request signed";
    case PartyOutcome::What::kUnchanged:
      return "unchanged";
    case PartyOutcome::What::kWaiting:
      return "waits for its request";
    case PartyOutcome::What::kRevoked:
      return "revoked";
    case PartyOutcome::What::kExpired:
      return "expired";
  }
  return "";
}

void Print(const ProvisionReport& report, const std::string& out) {
  std::size_t width = 0;
  for (const PartyOutcome& party : report.parties) width = std::max(width, party.name.size());
  for (const PartyOutcome& party : report.parties) {
    fmt::print("{:<{}}  {}{}{}\n", party.name, width, ToText(party.what), party.detail.empty() ? "" : ": ",
               party.detail);
  }
  for (const std::string& note : report.notes) fmt::print("note: {}\n", note);
  fmt::print("Keep {}/_authority secret and backed up. Root certificate SHA-256: {}\n", out, report.root_fingerprint);
}

Status ProvisionProject(ProvisionFlags flags) {
  PosixDisk disk("");
  ASSIGN_OR_RETURN(const std::string text, ReadFile(disk, flags.project, kProjectBytesMax));
  ASSIGN_OR_RETURN(const Project project, ParseProject(text, flags.project));
  if (flags.options.out.empty()) flags.options.out = project.name + "_kits";
  flags.options.now = AsioLoop().Wall();
  ASSIGN_OR_RETURN(const ProvisionReport report, Provision(disk, project, flags.options));
  Print(report, flags.options.out);
  return {};
}

}  // namespace

void AddProvisionCommand(Program& program) {
  auto* command = program.app.add_subcommand("provision", "Make the certificates and startup kits of a project");
  auto flags = std::make_shared<ProvisionFlags>();
  command->add_option("project,-p,--project", flags->project, "The project's description, project.yml")->required();
  command->add_option("-o,--out", flags->options.out, "Folder of the kits (default: ./<project's name>_kits)");
  command->add_option("--sign", flags->options.sign, "Certificate request of a site that made its own key");
  command->add_option("--revoke", flags->options.revoke, "Party whose certificates shall no longer count");
  command->add_option("--renew", flags->options.renew, "Party that gets a new key, certificate and kit");
  command->footer(R"(Running it again makes kits for who is new in project.yml and touches no other.

Examples:
  fedlearn provision project.yml
  fedlearn provision project.yml -o kits --sign site_3.csr
  fedlearn provision project.yml -o kits --revoke site_2)");
  command->callback([&program, flags] {
    if (const Status done = ProvisionProject(*flags); !done.has_value()) program.Fail(done.error());
  });
}

}  // namespace fed_learn
