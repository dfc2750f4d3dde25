// FederatedServer: the driver. It turns messages, transfers and timers into the workflow's events and carries out what
// the workflow decides: opens a round, takes contributions whole into the sum, closes it, makes it durable, tells the
// sites. Production, simulation and the fault tests run this class; they differ in what the constructor is given.
//
// Lives on one Loop; not thread-safe.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/disk.h"
#include "base/loop.h"
#include "components/aggregator.h"
#include "components/model_saver.h"
#include "components/processor_chain.h"
#include "formats/package.h"
#include "server/store.h"
#include "server/upload_desk.h"
#include "transport/link.h"
#include "transport/messages.h"
#include "workflows/fed_avg.h"

namespace fed_learn {

struct FederatedServerOptions {
  std::string task_name;
  std::int64_t run = 1;
  std::string config_sha256;  // a stored run goes on only under the configuration it was begun with
  std::string folder;         // for models, inside the disk
  std::uint64_t seed = 0;
  int min_num_clients = 2;
  int max_num_clients = 100;
  Seconds wait_after_min_clients{10};
  Seconds heart_beat_timeout{600};
  std::optional<Seconds> round_timeout;
  int start_round = 0;
  int num_rounds = 1;
  UploadDeskOptions uploads;
  // Memory for uploads on their way, beyond two models: room for more of them where models are small.
  std::uint64_t staging_bytes = 32 << 20;
  PackageLimits limits;
};

// What happened, for whoever watches (table, TensorBoard, checkers). A watcher gets copies and has no vote; a call
// happens on the server's loop.
class ServerObserver {
 public:
  virtual ~ServerObserver() = default;
  virtual void OnSite(const std::string& site, std::string_view what) {
    static_cast<void>(site), static_cast<void>(what);
  }
  virtual void OnCounted(const Contribution& contribution) { static_cast<void>(contribution); }
  virtual void OnRoundRecorded(const RoundRecord& round, const ModelData& model) {
    static_cast<void>(round), static_cast<void>(model);
  }
};

struct RunOutcome {
  RunState state = RunState::kCompleted;
  std::string why;
  int rounds = 0;  // the number after the last recorded round
  std::string model_id;
};

// What the server is given. Everything referred to outlives it.
struct FederatedServerParts {
  Loop& loop;
  ServerLink& link;
  Store& store;
  Disk& disk;
  std::unique_ptr<Aggregator> aggregator;
  std::unique_ptr<ModelSaver> saver;               // null: only the store keeps models
  std::function<Result<ModelData>()> first_model;  // called when there is no stored round
  ProcessorChain pre_processors;
  ProcessorChain post_processors;
  std::function<std::string()> make_token;  // unguessable in production, seeded in a simulation
  std::vector<ServerObserver*> observers;
};

class FederatedServer : public ServerLinkHandler {
 public:
  FederatedServer(FederatedServerOptions options, FederatedServerParts parts);
  ~FederatedServer() override;

  // Goes on where the store says, or begins. `on_end` is called once, when the run is over and the sites were told.
  // FailedPrecondition if the stored run was begun with another configuration; DataLoss if its model is damaged.
  Status Start(std::function<void(const RunOutcome&)> on_end);

  // Ends the run for good.
  void AbortRun(std::string why);

  // Tells the sites that the server goes away for a while, then calls `on_gone`. What is recorded stays; they will
  // come back.
  void GoAway(Task on_gone);

  // For people and machines: run, round, who is awaited and since when, which setting decides, sites.
  Json StatusJson() const;

  // Every recorded round with its sites, metrics and seconds.
  Result<Json> RoundsJson() const;

  bool ended() const { return ended_; }
  int buffers_held() const { return desk_.slots_used(); }
  const std::shared_ptr<const EncodedModel>& model() const { return global_; }

  void OnOpen(SessionId session, const Peer& peer) override;
  void OnMessage(SessionId session, Json message) override;
  void OnClose(SessionId session, const Error& why) override;
  void OnGet(const BulkRequest& request, Answer<std::shared_ptr<const ByteSource>> answer) override;
  void OnPut(const BulkRequest& request, Answer<std::shared_ptr<ByteSink>> answer) override;
  void OnPutEnd(const BulkRequest& request, std::shared_ptr<ByteSink> sink, bool complete,
                Answer<Json> answer) override;

 private:
  struct Session {
    Peer peer;
    bool greeted = false;
    bool watches = false;
    TimerId hello_deadline = TimerId::kNone;
  };
  struct Site {
    std::string name;
    std::string token;
    std::string address;
    std::optional<SessionId> session;
    bool alive = false;
    MonotonicTime heard_at;
    Heartbeat last;
    std::string failure;     // the last one it reported, until it contributes
    std::string counted_id;  // manifest id of what is in the open sum
  };

  // A closed round on its way to the disk.
  struct PendingRound {
    RoundRecord record;
    std::shared_ptr<const EncodedModel> model;
    std::shared_ptr<const EncodedModel> state;  // of the aggregator; null if it has none
  };

  Status Recover();
  Status BeginRun();
  Status LoadRound(const RoundRecord& last);
  void Carry(std::vector<Decision> decisions);
  void Do(const decision::OpenRound& open);
  void Do(const decision::StartTimer& start);
  void Do(const decision::StopTimer& stop);
  void Do(const decision::CloseRound& close);
  void Do(const decision::EndRun& end);
  PendingRound MakePending(RoundRecord record, ModelData model) const;
  Status MakeDurable(const PendingRound& pending);
  void RecordPending();
  Status KeepPackage(const std::shared_ptr<const EncodedModel>& encoded);
  void ForgetPackage(const std::string& id);
  void SaveForPeople();
  void EndWith(RunState state, std::string why);
  void FinishIfAllHaveLeft();
  void AwaitLateSites();

  void OnHello(SessionId id, Session& session, const Hello& hello);
  Result<Site*> Admit(SessionId id, const Session& session, const Hello& hello);
  void OnAdminMessage(SessionId id, Session& session, const Message& message);
  void Lose(Site& site, std::string_view why);
  void CheckHeartbeats();
  void OfferRound(Site& site);
  void TellDone(SessionId session);
  void Touch(Site& site);
  void Changed();

  Status Authorize(const BulkRequest& request, Site** site);
  Result<std::shared_ptr<const ByteSource>> FindBytes(const BulkRequest& request);
  void OnOffer(const BulkRequest& request, Site& site, std::string body, const Answer<Json>& answer);
  Status CheckOffer(const ContributionHeader& header, const Manifest& manifest) const;
  std::optional<Result<UploadGrant>> FindCounted(const Site& site, const std::string& manifest_id) const;
  Result<UploadGrant> Count(StagedUpload upload);
  AppContext Context(Phase phase) const;

  FederatedServerOptions options_;
  FederatedServerParts parts_;
  std::function<void(const RunOutcome&)> on_end_;
  std::unique_ptr<Workflow> workflow_;
  UploadDesk desk_;

  RunState state_ = RunState::kRunning;
  std::string why_;
  bool ended_ = false;
  Task on_gone_;
  int round_ = 0;  // the open round, or the last one
  bool round_open_ = false;
  MonotonicTime round_opened_at_;
  std::optional<PendingRound> pending_;
  std::string trouble_;  // why the pending round is not on disk yet
  TimerId record_retry_ = TimerId::kNone;
  std::string state_id_;
  Json last_metrics_;                              // of the last recorded round
  std::shared_ptr<const EncodedModel> global_;     // as aggregated
  std::shared_ptr<const EncodedModel> broadcast_;  // as sent: after the pre-processors
  std::map<std::string, Site> sites_;
  std::map<SessionId, Session> sessions_;
  std::map<RunTimer, TimerId> timers_;
  TimerId heartbeat_check_ = TimerId::kNone;
  TimerId late_sites_ = TimerId::kNone;
  TimerId status_push_ = TimerId::kNone;
  std::map<std::string, double> site_metrics_;  // of the open round: "site/group/metric"
};

}  // namespace fed_learn
