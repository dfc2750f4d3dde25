// fedlearn client enroll: makes a site's key, which stays there, and the request for its certificate.

#include "provision/enroll.h"

#include <fmt/format.h>

#include <memory>
#include <string>

#include "base/posix_disk.h"
#include "tools/fedlearn/commands.h"

namespace fed_learn {
namespace {

struct EnrollFlags {
  EnrollOptions options;
  std::string key_type = "p256";
};

Status EnrollHere(EnrollFlags flags) {
  PosixDisk disk("");
  ASSIGN_OR_RETURN(flags.options.key_type, KeyTypeFromString(flags.key_type));
  const std::string& name = flags.options.name;
  if (flags.options.folder.empty()) flags.options.folder = name;
  ASSIGN_OR_RETURN(const Enrolment enrolment, Enroll(disk, flags.options));
  fmt::print(
      "{} is the private key: it stays on this machine.\n"
      "Send {} to whoever provisions the project, who signs it with:\n"
      "  fedlearn provision project.yml --sign {}.csr\n"
      "and compares this with you, by telephone say. Key SHA-256: {}\n"
      "Unpack the {}.zip that comes back so that its startup/ goes into {}/startup.\n",
      enrolment.key_path, enrolment.request_path, name, enrolment.key_fingerprint, name, flags.options.folder);
  return {};
}

}  // namespace

void AddEnrollCommand(Program& program, CLI::App& client) {
  auto* command = client.add_subcommand("enroll", "Make the site's own key and the request for its certificate");
  auto flags = std::make_shared<EnrollFlags>();
  command->add_option("--name", flags->options.name, "The site's name, as in project.yml")->required();
  command->add_option("--org", flags->options.org, "The institution, for whoever signs");
  command->add_option("-o,--out", flags->options.folder, "Folder of the site's kit (default: ./<name>)");
  command->add_option("--key-type", flags->key_type, "Kind of key")
      ->check(CLI::IsMember({"p256", "ed25519"}))
      ->capture_default_str();
  command->footer(R"(Example:
  fedlearn client enroll --name site_3 --org "General Hospital"
  unzip site_3.zip        # in the same folder, once it has come back
  site_3/startup/start.sh --app my_app)");
  command->callback([&program, flags] {
    if (const Status done = EnrollHere(*flags); !done.has_value()) program.Fail(done.error());
  });
}

}  // namespace fed_learn
