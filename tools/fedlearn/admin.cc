// fedlearn admin: looks at a running federation, and ends it if need be.

#include <fmt/format.h>

#include <memory>
#include <string>

#include "base/posix_disk.h"
#include "base/signal_watcher.h"
#include "demo/round_table.h"
#include "demo/status_watcher.h"
#include "demo/terminal.h"
#include "identity/kit.h"
#include "tools/fedlearn/common_options.h"
#include "transport/asio_loop.h"
#include "transport/https/client.h"
#include "transport/messages.h"

namespace fed_learn {
namespace {

struct AdminFlags {
  std::string action = "status";
  std::string kit = ".";
  std::string server;
  std::string why;
  bool json = false;
  LogFlags log{.level = "warning"};
};

bool Ended(const Json& status) { return status.value("state", "running") != "running"; }

// What each action does with a status, until it has seen enough.
class Console {
 public:
  Console(const AdminFlags& flags, AsioLoop& loop, ClientLink& link)
      : flags_(flags), loop_(loop), link_(link), began_(loop.Now()), terminal_(stdout) {}

  void OnStatus(const Json& status) {
    if (flags_.action == "abort" && !std::exchange(abort_sent_, true)) link_.Send(ToJson(Abort{flags_.why}));
    if (flags_.action == "watch" && terminal_.live() && !flags_.json) {
      const double seconds = std::chrono::duration<double>(loop_.Now() - began_).count();
      terminal_.Redraw(RoundTable(status, seconds, {.columns = terminal_.columns()}));
    }
    const bool enough = flags_.action == "status" || Ended(status);
    if (flags_.json || flags_.action == "status") {
      Show(status);
    } else if (enough) {
      const std::string why = status.value("why", "");
      terminal_.Print("the run is " + status.value("state", "") + (why.empty() ? "" : ": " + why));
    }
    seen_ = true;
    if (enough) loop_.Stop();
  }

  bool seen() const { return seen_; }

 private:
  void Show(const Json& status) {
    if (flags_.json) return terminal_.Print(status.dump());
    for (const std::string& line : RoundTable(status, status.value("round_seconds", 0.0), {})) terminal_.Print(line);
  }

  const AdminFlags& flags_;
  AsioLoop& loop_;
  ClientLink& link_;
  MonotonicTime began_;
  Terminal terminal_;
  bool abort_sent_ = false;
  bool seen_ = false;
};

Status Administer(const AdminFlags& flags) {
  PosixDisk disk("");
  AsioLoop loop;
  ASSIGN_OR_RETURN(const Kit kit, LoadKit(disk, flags.kit, {.role = PartyRole::kAdmin, .now = loop.Wall()}));
  const Json::json_pointer target("/servers/0/service/target");
  const std::string server = flags.server.empty() ? kit.config.value(target, std::string()) : flags.server;
  ASSIGN_OR_RETURN(const auto link,
                   HttpsClientLink::Create(
                       loop, {.server = server,
                              .tls = {.ca = kit.root_path, .certificate = kit.certificate_path, .key = kit.key_path}}));
  SignalWatcher signals(loop, [&](int) { loop.Stop(); });
  Console console(flags, loop, *link);
  std::optional<Error> lost;
  StatusWatcher watcher(*link, {.on_status = [&](const Json& status) { console.OnStatus(status); },
                                .on_close =
                                    [&](const Error& why) {
                                      lost = why;
                                      loop.Stop();
                                    }});
  watcher.Start();
  loop.Run();
  if (lost && !console.seen()) return *lost;
  return {};
}

}  // namespace

void AddAdminCommand(Program& program) {
  auto* command = program.app.add_subcommand("admin", "Look at a running federation, or end it");
  auto flags = std::make_shared<AdminFlags>();
  command->add_option("action", flags->action, "status: once; watch: until the run has ended; abort: end the run")
      ->check(CLI::IsMember({"status", "watch", "abort"}))
      ->capture_default_str();
  command->add_option("--kit", flags->kit, "Folder of the admin's startup kit")->capture_default_str();
  command->add_option("--server", flags->server, "host:port instead of the kit's");
  command->add_option("--why", flags->why, "Reason of an abort, for the log and the sites");
  command->add_flag("--json", flags->json, "The server's status as JSON, a line each");
  flags->log.AddTo(*command);
  command->footer("Example:\n  fedlearn admin watch --kit kits/lead@example.org");
  command->callback([&program, flags] {
    flags->log.Start();
    if (auto status = Administer(*flags); !status.has_value()) program.Fail(status.error());
  });
}

}  // namespace fed_learn
