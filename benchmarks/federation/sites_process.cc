#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/posix_disk.h"
#include "base/thread_worker.h"
#include "benchmarks/federation/light_site.h"
#include "benchmarks/federation/process_usage.h"
#include "benchmarks/federation/processes.h"
#include "client/federated_client.h"
#include "transport/asio_loop.h"
#include "transport/https/client.h"

namespace fed_learn {
namespace {

// Stands for training: the update is there already.
class WorkloadFitter : public Fitter {
 public:
  WorkloadFitter(int site, WorkloadOptions options, std::function<void(int round)> on_round)
      : site_(site), workload_(options), on_round_(std::move(on_round)) {}

  Status Initialize(const AppContext&) override { return {}; }
  Result<FitResult> Fit(const ModelData&, const AppContext& context,
                        const std::function<void(const FitProgress&)>&) override {
    on_round_(context.current_round);
    FitResult result;
    result.update = workload_.UpdateOf(site_, context.current_round);
    result.n_iter = workload_.Iterations(site_);
    return result;
  }
  Result<MetricManager> Validate(const ModelData&, const AppContext&) override { return MetricManager(); }

 private:
  int site_;
  Workload workload_;
  std::function<void(int round)> on_round_;
};

// The sites of one process, until all of them have ended.
class Sites {
 public:
  Sites(const ProcessOptions& options, PosixDisk& disk, AsioLoop& loop)
      : options_(options), disk_(disk), loop_(loop), workload_(options.workload), worker_(std::in_place, loop) {}

  ~Sites() {
    worker_.reset();
    for (Client& client : clients_) client.worker.reset();
  }

  Status Start() {
    for (int site = 0; site < options_.workload.sites; ++site) RETURN_IF_ERROR(StartSite(site));
    return {};
  }

  // The error of the first one that failed.
  Status Wait() {
    loop_.Run();
    return error_ ? Status(*error_) : Status();
  }

  Json Report() const {
    const ProcessUsage usage = UsageOfSelf();
    return {{"peak_rss_bytes", usage.peak_rss_bytes}, {"cpu_seconds", usage.cpu_seconds - cpu_at_second_round_}};
  }

 private:
  // In the order in which they must be taken apart, last first.
  struct Client {
    std::unique_ptr<HttpsClientLink> link;
    std::unique_ptr<LightSite> light;
    std::unique_ptr<WorkloadFitter> fitter;
    std::unique_ptr<FederatedClient> full;
    std::unique_ptr<ThreadWorker> worker;  // of the full one
  };

  Status StartSite(int site) {
    const std::string startup = options_.kits + "/" + SiteName(site) + "/startup/";
    Client& client = clients_.emplace_back();
    ASSIGN_OR_RETURN(client.link, HttpsClientLink::Create(loop_, {.server = options_.server,
                                                                  .tls = {.ca = startup + "rootCA.pem",
                                                                          .certificate = startup + "client.crt",
                                                                          .key = startup + "client.key"}}));
    if (options_.kind == SiteKind::kClient) return StartClient(site, client);
    client.light = std::make_unique<LightSite>(
        site, options_.task_name, options_.kind == SiteKind::kIdle,
        LightSiteParts{.loop = loop_, .link = *client.link, .worker = *worker_, .workload = workload_},
        LightSiteEvents{.on_round = [this](int round) { OnRound(round); },
                        .on_welcome = [this] { OnWelcome(); },
                        .on_end = [this](std::optional<Error> error) { OnEnd(std::move(error)); }});
    client.light->Start();
    return {};
  }

  Status StartClient(int site, Client& client) {
    client.fitter = std::make_unique<WorkloadFitter>(
        site, options_.workload, [this](int round) { loop_.Post([this, round] { OnRound(round); }); });
    client.worker = std::make_unique<ThreadWorker>(loop_);
    ASSIGN_OR_RETURN(client.full, FederatedClient::Create({.site = SiteName(site),
                                                           .task_name = options_.task_name,
                                                           .folder = options_.folder + "/" + SiteName(site)},
                                                          {.loop = loop_,
                                                           .link = *client.link,
                                                           .disk = disk_,
                                                           .worker = *client.worker,
                                                           .fitter = *client.fitter,
                                                           .pre_processors = {},
                                                           .post_processors = {}}));
    return client.full->Start([this](const ClientOutcome& outcome) {
      OnEnd(outcome.completed ? std::nullopt : std::optional<Error>(Internal(outcome.why)));
    });
  }

  void OnRound(int round) {
    if (round == 1 && cpu_at_second_round_ == 0) cpu_at_second_round_ = UsageOfSelf().cpu_seconds;
  }

  void OnWelcome() {
    if (++welcome_ < options_.workload.sites || options_.kind != SiteKind::kIdle) return;
    if (auto told = WriteReady(options_.ready_fd, welcome_); !told.has_value()) OnEnd(told.error());
  }

  void OnEnd(std::optional<Error> error) {
    if (error && !error_) error_ = std::move(error);
    if (++ended_ == options_.workload.sites || error_) loop_.Stop();
  }

  const ProcessOptions& options_;
  PosixDisk& disk_;
  AsioLoop& loop_;
  Workload workload_;
  std::vector<Client> clients_;
  std::optional<ThreadWorker> worker_;
  double cpu_at_second_round_ = 0;
  int welcome_ = 0;
  int ended_ = 0;
  std::optional<Error> error_;
};

}  // namespace

Status RunSitesProcess(const ProcessOptions& options) {
  PosixDisk disk("");
  AsioLoop loop;
  Sites sites(options, disk, loop);
  RETURN_IF_ERROR(sites.Start());
  RETURN_IF_ERROR(sites.Wait());
  return WriteFileAtomically(disk, options.report, sites.Report().dump());
}

}  // namespace fed_learn
