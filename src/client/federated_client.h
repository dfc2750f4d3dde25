// FederatedClient: the driver at a site. It holds the session with the server, fetches the model of each round, has it
// trained, lets the site's rules work on the result, and sees the contribution through to "counted".
//
// A kill costs the work in flight: an update that took longer to train than to write is kept on disk and offered again
// after a restart; anything else is done again and gives the same bits. Lives on one Loop; not thread-safe.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <regex>
#include <string>
#include <vector>

#include "base/disk.h"
#include "base/loop.h"
#include "base/random.h"
#include "base/worker.h"
#include "components/fitter.h"
#include "components/processor_chain.h"
#include "formats/package.h"
#include "transport/link.h"
#include "transport/messages.h"

namespace fed_learn {

struct FederatedClientOptions {
  std::string site;  // the certificate's CN
  std::string task_name;
  std::string folder;  // for what survives a restart, inside the disk
  // Regular expressions; a variable that matches one somewhere neither comes from the server nor goes to it.
  std::vector<std::string> exclude_vars;
  int local_epochs = 0;
  int steps_aggregation = 0;
  bool validate_global = false;  // metrics of the received model, before training
  // Patience with a server that is away, from the end of a session; before the first one it is two hours at least,
  // since sites may start before the server does.
  std::chrono::duration<double> retry_timeout{7200};
  int fit_attempts_max = 3;  // failures in a row before the site gives up
  std::uint64_t jitter_seed = 0;
  PackageLimits limits;
};

// Everything referred to outlives the client; but the worker stops before the client goes, since its work uses it.
struct FederatedClientParts {
  Loop& loop;
  ClientLink& link;
  Disk& disk;
  Worker& worker;
  Fitter& fitter;
  ProcessorChain pre_processors;
  ProcessorChain post_processors;
};

struct ClientOutcome {
  bool completed = false;
  std::string why;
};

class FederatedClient : public ClientLinkHandler {
 public:
  // InvalidArgument for an exclude_vars that is no regular expression.
  static Result<std::unique_ptr<FederatedClient>> Create(FederatedClientOptions options, FederatedClientParts parts);
  ~FederatedClient() override;

  // Connects and goes on until the run ends, or this site gives up. `on_end` is called once.
  Status Start(std::function<void(const ClientOutcome&)> on_end);

  // Leaves: stops training, tells the server, ends.
  void Leave(std::string why);

  void OnOpen() override;
  void OnMessage(Json message) override;
  void OnClose(const Error& why) override;

 private:
  // A round's model as offered; what is done for one key is never used for another.
  struct RoundKey {
    std::int64_t run = 0;
    int round = -1;
    std::string model;
    friend bool operator==(const RoundKey&, const RoundKey&) = default;
  };
  struct KeptUpdate {
    RoundKey key;
    ContributionHeader header;
    std::shared_ptr<const EncodedModel> update;
  };
  struct FitJob;

  FederatedClient(FederatedClientOptions options, FederatedClientParts parts);

  void Connect();
  void OnRound(const RoundOffer& offer);
  void OnDone(const Done& done);
  void BeginRound();
  void FetchManifest();
  void FetchData(std::string manifest_text);
  void OnModel(std::shared_ptr<ModelReceiver> receiver, std::string manifest_text);
  void Train();
  void OnTrained(const std::shared_ptr<FitJob>& job);
  void OnFitFailed(const Error& error);
  void Offer();
  void OnGrant(const UploadGrant& grant);
  void OnSubmitFailed(const Error& error);
  void OnCounted();
  void StopWork();
  void Idle();
  void Retry(const Error& why, void (FederatedClient::*step)());
  Duration Patience() const;
  void SayGoodbye(ClientOutcome outcome);
  void End(ClientOutcome outcome);
  void SetPhase(std::string phase, double done = 0, std::string note = {});
  void SendHeartbeat();
  void ArmHeartbeat();
  AppContext Context() const;

  bool Excluded(const std::string& name) const;
  Result<ModelData> WithLocalValues(const ModelData& global, const RoundKey& key) const;
  Status KeepLocalValues(const RoundKey& key, const ModelData& trained_on, const FitResult& result) const;

  void LoadKept();
  void StoreKept();
  void ForgetKept();

  FederatedClientOptions options_;
  FederatedClientParts parts_;
  std::vector<std::regex> excluded_;
  std::function<void(const ClientOutcome&)> on_end_;
  Random random_;

  bool connected_ = false;
  std::optional<ClientOutcome> goodbye_;  // said; the session is about to close
  bool ended_ = false;
  bool welcomed_ = false;     // at least once
  MonotonicTime away_since_;  // the server, while there is no session
  int attempts_ = 0;          // of connecting, since something was heard
  TimerId reconnect_ = TimerId::kNone;
  Duration heartbeat_{std::chrono::seconds(60)};
  TimerId heartbeat_timer_ = TimerId::kNone;
  TimerId progress_timer_ = TimerId::kNone;

  std::optional<RoundOffer> offer_;
  RoundKey working_on_;    // what the steps below are about
  RoundKey refused_;       // the server will not take it; not tried again
  std::uint64_t job_ = 0;  // goes up when work is dropped, so that late answers are known as such
  int failures_ = 0;       // of the current step, in a row
  int fit_failures_ = 0;
  TimerId retry_ = TimerId::kNone;
  MonotonicTime fetch_began_;
  std::shared_ptr<ModelReceiver> receiving_;
  std::shared_ptr<const EncodedModel> global_;
  std::shared_ptr<FitJob> fitting_;
  std::optional<KeptUpdate> kept_;
  Heartbeat state_{"waiting", 0, ""};
};

}  // namespace fed_learn
