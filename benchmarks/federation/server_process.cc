#include <fmt/format.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "aggregation/model_aggregator.h"
#include "base/network_file_system.h"
#include "base/posix_disk.h"
#include "base/secret.h"
#include "benchmarks/federation/process_usage.h"
#include "benchmarks/federation/processes.h"
#include "identity/kit.h"
#include "server/federated_server.h"
#include "server/sqlite_store.h"
#include "server/tensorboard_journal.h"
#include "transport/asio_loop.h"
#include "transport/https/server.h"

namespace fed_learn {
namespace {

// Looks at the clock and at the process whenever a round is on disk.
class RoundMeter : public ServerObserver {
 public:
  RoundMeter(const Loop& loop, const HttpsServerLink& link) : loop_(loop), link_(link) {}

  void OnRoundRecorded(const RoundRecord& round, const ModelData&) override {
    marks_.push_back({loop_.Now(), UsageOfSelf(), link_.Metrics()});
    model_ = round.model_id;
  }

  // The first mark is the model that the run begins with, the second the end of the first round, which has the
  // connections in it.
  Json Report() const {
    Json seconds = Json::array();
    Json rss = Json::array();
    for (std::size_t i = 1; i < marks_.size(); ++i) {
      seconds.push_back(std::chrono::duration<double>(marks_[i].time - marks_[i - 1].time).count());
      rss.push_back(marks_[i].usage.rss_bytes);
    }
    const Mark& first = marks_[1];
    const Mark& last = marks_.back();
    return {{"model", model_},
            {"round_seconds", seconds},
            {"rss_bytes", rss},
            {"peak_rss_bytes", UsageOfSelf().peak_rss_bytes},
            {"cpu_seconds", last.usage.cpu_seconds - first.usage.cpu_seconds},
            {"bytes_in", last.metrics.body_bytes_in - first.metrics.body_bytes_in},
            {"bytes_out", last.metrics.body_bytes_out - first.metrics.body_bytes_out}};
  }

 private:
  struct Mark {
    MonotonicTime time;
    ProcessUsage usage;
    LinkMetrics metrics;
  };
  const Loop& loop_;
  const HttpsServerLink& link_;
  std::vector<Mark> marks_;
  std::string model_;
};

FederatedServerOptions ServerOptions(const ProcessOptions& options) {
  FederatedServerOptions server;
  server.task_name = options.task_name;
  server.folder = options.folder + "/store";
  server.min_num_clients = options.workload.sites;
  server.max_num_clients = options.workload.sites;
  server.num_rounds = options.workload.rounds;
  return server;
}

}  // namespace

Status WriteReady(int fd, int number) {
  if (fd < 0) return {};
  const std::string line = fmt::format("{}\n", number);
  const bool written = write(fd, line.data(), line.size()) == static_cast<ssize_t>(line.size());
  close(fd);
  return written ? Status() : Status(Internal("--ready-fd cannot be written"));
}

Status RunServerProcess(const ProcessOptions& options) {
  PosixDisk disk("");
  AsioLoop loop;
  ASSIGN_OR_RETURN(const Kit kit,
                   LoadKit(disk, options.kits + "/server", {.role = PartyRole::kServer, .now = loop.Wall()}));
  RETURN_IF_ERROR(RequireLocalFileSystem(options.folder));
  const FederatedServerOptions server_options = ServerOptions(options);
  RETURN_IF_ERROR(disk.MakeFolders(server_options.folder));
  ASSIGN_OR_RETURN(const auto store,
                   OpenSqliteStore(disk, server_options.folder, {.system_path = server_options.folder}));
  ASSIGN_OR_RETURN(const auto link, HttpsServerLink::Create(loop, {.listen = "127.0.0.1:0",
                                                                   .tls = {.ca = kit.root_path,
                                                                           .certificate = kit.certificate_path,
                                                                           .key = kit.key_path,
                                                                           .crl = kit.revocation_path}}));
  ASSIGN_OR_RETURN(auto aggregator, ModelAggregator::Make(Json::object()));
  TensorboardJournal journal(disk, loop, options.folder + "/tensorboard");
  RoundMeter meter(loop, *link);
  FederatedServer server(server_options,
                         FederatedServerParts{.loop = loop,
                                              .link = *link,
                                              .store = *store,
                                              .disk = disk,
                                              .aggregator = std::move(aggregator),
                                              .saver = nullptr,
                                              .first_model = [&] { return Workload(options.workload).FirstModel(); },
                                              .pre_processors = {},
                                              .post_processors = {},
                                              .make_token = RandomToken,
                                              .observers = {&journal, &meter}});
  std::optional<RunOutcome> outcome;
  RETURN_IF_ERROR(server.Start([&](const RunOutcome& end) {
    outcome = end;
    loop.Stop();
  }));
  RETURN_IF_ERROR(WriteReady(options.ready_fd, link->port()));
  loop.Run();
  if (!outcome || outcome->state != RunState::kCompleted) return Internal("the run did not complete");
  return WriteFileAtomically(disk, options.report, meter.Report().dump());
}

}  // namespace fed_learn
