#include "server/federated_server.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/secret.h"
#include "base/text.h"
#include "server/bulk_paths.h"

namespace fed_learn {
namespace {

constexpr Duration kHelloDeadline = std::chrono::seconds(30);
// What a peer says of itself is kept and shown to others, so it is short.
constexpr std::size_t kPhaseBytesMax = 40;
constexpr std::size_t kNoteBytesMax = 4096;
constexpr std::size_t kMetricsMax = 1000;
constexpr std::size_t kMetricNameBytesMax = 256;
constexpr Duration kRecordRetry = std::chrono::seconds(5);
constexpr Duration kLateSites = std::chrono::seconds(60);
constexpr Duration kStatusPushGap = std::chrono::milliseconds(100);
constexpr std::uint64_t kOfferHeaderBytesMax = 1 << 20;
constexpr std::uint64_t kOfferManifestSpareBytes = 1 << 20;

Duration ToDuration(Seconds seconds) { return std::chrono::duration_cast<Duration>(seconds); }

double SecondsBetween(MonotonicTime from, MonotonicTime to) { return Seconds(to - from).count(); }

// Peers' own words may be cut in the middle of a character.
std::string Text(const Json& json) { return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"; }

std::string Rfc3339(WallTime time) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(
                         std::chrono::time_point_cast<std::chrono::system_clock::duration>(time))));
}

std::string PackagePath(const std::string& folder, const std::string& id) { return folder + "/" + id + ".flmodel"; }

// Two large uploads keep a wire busy; of small ones more may come at once, since each costs a round trip.
int UploadSlots(std::uint64_t staging_bytes, std::uint64_t model_bytes) {
  return static_cast<int>(std::clamp<std::uint64_t>(staging_bytes / std::max<std::uint64_t>(model_bytes, 1), 2, 32));
}

// The manifest of an update is about as long as the model's. A peer gets no memory for much more than that.
std::uint64_t OfferBytesMax(const EncodedModel& model, const PackageLimits& limits) {
  const std::uint64_t manifest = 2 * model.manifest_text.size() + kOfferManifestSpareBytes;
  return std::min(limits.manifest_bytes, manifest) + kOfferHeaderBytesMax;
}

std::vector<std::string> SharedCapabilities(const Hello& hello) {
  std::vector<std::string> shared;
  for (const std::string_view ours : kCapabilities) {
    if (std::find(hello.capabilities.begin(), hello.capabilities.end(), ours) != hello.capabilities.end()) {
      shared.emplace_back(ours);
    }
  }
  return shared;
}

Answer<UploadGrant> AsJson(Answer<Json> answer) {
  return [answer = std::move(answer)](Result<UploadGrant> grant) {
    if (grant.has_value()) {
      answer(ToJson(*grant));
    } else {
      answer(grant.error());
    }
  };
}

}  // namespace

FederatedServer::FederatedServer(FederatedServerOptions options, FederatedServerParts parts)
    : options_(std::move(options)),
      parts_(std::move(parts)),
      desk_(parts_.loop, options_.uploads, std::make_shared<BufferPool>()) {}

FederatedServer::~FederatedServer() {
  for (auto& [timer, id] : timers_) parts_.loop.Cancel(id);
  for (auto& [id, session] : sessions_) parts_.loop.Cancel(session.hello_deadline);
  parts_.loop.Cancel(heartbeat_check_);
  parts_.loop.Cancel(status_push_);
  parts_.loop.Cancel(record_retry_);
  parts_.loop.Cancel(late_sites_);
}

// ---- start and recovery ---------------------------------------------------------------------------------------------

Status FederatedServer::Start(std::function<void(const RunOutcome&)> on_end) {
  on_end_ = std::move(on_end);
  RETURN_IF_ERROR(parts_.disk.MakeFolders(options_.folder));
  RETURN_IF_ERROR(Recover());
  RETURN_IF_ERROR(parts_.link.Start(*this));
  CheckHeartbeats();
  if (state_ == RunState::kRunning) {
    if (round_ >= options_.start_round) LogInfo("run {} goes on after round {}", options_.run, round_);
    Carry(workflow_->On(event::Started{}));
  } else {
    ended_ = true;
    AwaitLateSites();
  }
  return {};
}

Status FederatedServer::Recover() {
  ASSIGN_OR_RETURN(const auto sites, parts_.store.Sites());
  for (const SiteRecord& record : sites) {
    Site& site = sites_[record.site];
    site.name = record.site;
    site.token = record.token;
    site.heard_at = parts_.loop.Now();
  }
  ASSIGN_OR_RETURN(const auto run, parts_.store.FindRun(options_.run));
  if (run && run->config_sha256 != options_.config_sha256) {
    return FailedPrecondition(fmt::format(
        "run {} in '{}' was begun with another configuration; start the server with that one, or take another run "
        "number",
        options_.run, options_.folder));
  }
  ASSIGN_OR_RETURN(const auto last, parts_.store.LastRound(options_.run));
  if (last) {
    RETURN_IF_ERROR(LoadRound(*last));
  } else {
    RETURN_IF_ERROR(BeginRun());
  }
  if (run && run->state != RunState::kRunning) {
    state_ = run->state;
    why_ = run->why;
  } else {
    RETURN_IF_ERROR(parts_.store.RecordRun({options_.run, options_.task_name, options_.config_sha256}));
  }
  workflow_ = std::make_unique<FedAvg>(FedAvgOptions{.first_round = round_ + 1,
                                                     .num_rounds = options_.num_rounds,
                                                     .min_num_clients = options_.min_num_clients,
                                                     .wait_after_min_clients = options_.wait_after_min_clients,
                                                     .round_timeout = options_.round_timeout});
  return {};
}

Status FederatedServer::BeginRun() {
  ASSIGN_OR_RETURN(ModelData model, parts_.first_model());
  if (model.empty()) return InvalidArgument("the first model has no tensors; look at 'model' in the configuration");
  return MakeDurable(MakePending({.run = options_.run, .round = options_.start_round - 1}, std::move(model)));
}

Status FederatedServer::LoadRound(const RoundRecord& last) {
  ASSIGN_OR_RETURN(global_, ReadPackage(parts_.disk, PackagePath(options_.folder, last.model_id), options_.limits));
  round_ = last.round;
  state_id_ = last.state_id;
  last_metrics_ = last.metrics;
  // Whoever recorded that round may not have lived to do this.
  if (last.round >= options_.start_round) SaveForPeople();
  if (last.state_id.empty()) return {};
  ASSIGN_OR_RETURN(const auto state,
                   ReadPackage(parts_.disk, PackagePath(options_.folder, last.state_id), options_.limits));
  return parts_.aggregator->LoadState(state->model);
}

// ---- what the workflow decides --------------------------------------------------------------------------------------

void FederatedServer::Carry(std::vector<Decision> decisions) {
  for (const Decision& decision : decisions) {
    std::visit([this](const auto& d) { Do(d); }, decision);
  }
  Changed();
}

void FederatedServer::Do(const decision::OpenRound& open) {
  round_ = open.round;
  FLContext context(global_->model);
  if (auto status = parts_.pre_processors.Process(context, Context(Phase::kTrain)); !status.has_value()) {
    return EndWith(RunState::kFailed, status.error().In("pre_processors").message());
  }
  broadcast_ = parts_.pre_processors.empty() ? global_ : EncodeModel(std::move(context.model()));
  if (auto status = parts_.aggregator->Begin(round_, global_->model); !status.has_value()) {
    return EndWith(RunState::kFailed, status.error().In("aggregator").message());
  }
  desk_.StartRound(TensorsOf(broadcast_), UploadSlots(options_.staging_bytes, broadcast_->model.byte_size()));
  round_open_ = true;
  round_opened_at_ = parts_.loop.Now();
  site_metrics_.clear();
  for (auto& [name, site] : sites_) {
    site.counted_id.clear();
    OfferRound(site);
  }
}

void FederatedServer::Do(const decision::StartTimer& start) {
  if (ended_) return;
  Do(decision::StopTimer{start.timer});
  timers_[start.timer] = parts_.loop.After(ToDuration(start.delay), [this, timer = start.timer] {
    timers_.erase(timer);
    Carry(workflow_->On(event::TimerFired{timer}));
  });
}

void FederatedServer::Do(const decision::StopTimer& stop) {
  const auto found = timers_.find(stop.timer);
  if (found == timers_.end()) return;
  parts_.loop.Cancel(found->second);
  timers_.erase(found);
}

void FederatedServer::Do(const decision::CloseRound& close) {
  round_open_ = false;
  desk_.EndRound(FailedPrecondition(fmt::format("Contrib: round {} has closed", close.round)));
  auto result = parts_.aggregator->Finish();
  if (!result.has_value()) return EndWith(RunState::kFailed, result.error().In("aggregator").message());

  std::vector<std::string> counted;
  for (const auto& [name, site] : sites_) {
    if (!site.counted_id.empty()) counted.push_back(name);
  }
  pending_ =
      MakePending({.run = options_.run,
                   .round = close.round,
                   .sites = std::move(counted),
                   .metrics = {{"mean", result->metrics.Encode()}, {"sites", site_metrics_}, {"best", result->is_best}},
                   .seconds = SecondsBetween(round_opened_at_, parts_.loop.Now())},
                  std::move(result->model));
  RecordPending();
}

FederatedServer::PendingRound FederatedServer::MakePending(RoundRecord record, ModelData model) const {
  PendingRound pending{.record = std::move(record), .model = EncodeModel(std::move(model))};
  pending.record.model_id = pending.model->id;
  if (ModelData state = parts_.aggregator->SaveState(); !state.empty()) {
    pending.state = EncodeModel(std::move(state));
    pending.record.state_id = pending.state->id;
  }
  return pending;
}

// A disk that is full or away costs time, not the round: it is tried again until it works or somebody ends the run.
void FederatedServer::RecordPending() {
  if (auto status = MakeDurable(*pending_); !status.has_value()) {
    trouble_ = status.error().message();
    LogError("round {} cannot be stored: {}; trying again in {}", pending_->record.round, trouble_,
             HumanSeconds(Seconds(kRecordRetry).count()));
    record_retry_ = parts_.loop.After(kRecordRetry, [this] {
      record_retry_ = TimerId::kNone;
      if (!ended_) RecordPending();
    });
    return Changed();
  }
  trouble_.clear();
  pending_.reset();
  SaveForPeople();
  Carry(workflow_->On(event::RoundRecorded{round_}));
}

Status FederatedServer::MakeDurable(const PendingRound& pending) {
  if (pending.state) RETURN_IF_ERROR(KeepPackage(pending.state));
  RETURN_IF_ERROR(KeepPackage(pending.model));
  RETURN_IF_ERROR(parts_.store.RecordRound(pending.record));
  for (const std::string& id : {global_ ? global_->id : std::string(), state_id_}) {
    // By their contents, the state of now may be the model of before.
    const bool still_needed = id == pending.record.model_id || id == pending.record.state_id;
    if (!id.empty() && !still_needed) ForgetPackage(id);
  }
  state_id_ = pending.record.state_id;
  global_ = pending.model;
  round_ = pending.record.round;
  last_metrics_ = pending.record.metrics;
  if (!pending.record.sites.empty()) {
    LogInfo("round {} is recorded: {} sites, {}", round_, pending.record.sites.size(),
            HumanSeconds(pending.record.seconds));
  }
  for (ServerObserver* observer : parts_.observers) observer->OnRoundRecorded(pending.record, global_->model);
  return {};
}

Status FederatedServer::KeepPackage(const std::shared_ptr<const EncodedModel>& encoded) {
  const std::string path = PackagePath(options_.folder, encoded->id);
  if (options_.uploads.bugs.acknowledge_before_sync) {
    ASSIGN_OR_RETURN(const auto file, parts_.disk.Open(path, {OpenMode::kCreate}));
    const auto bytes = SendPackage(encoded);
    for (std::uint64_t at = 0; at < bytes->size(); at += bytes->At(at).size()) {
      RETURN_IF_ERROR(file->WriteAt(at, bytes->At(at)));
    }
    return {};
  }
  return WritePackage(parts_.disk, path, *encoded);
}

// A package that no record names any more; that it stays after a failure costs space only.
void FederatedServer::ForgetPackage(const std::string& id) {
  if (auto status = parts_.disk.Remove(PackagePath(options_.folder, id)); !status.has_value()) {
    LogDebug("{}", status.error().message());
  }
}

// The global model, as of the last recorded round.
void FederatedServer::SaveForPeople() {
  if (parts_.saver == nullptr) return;
  const bool is_best = last_metrics_.value("best", false);
  if (auto status = parts_.saver->SaveModel(global_->model, is_best, Context(Phase::kTrain)); !status.has_value()) {
    LogWarning("model_saver: {}; the run goes on, its own copy is safe", status.error().message());
  }
}

void FederatedServer::Do(const decision::EndRun& end) {
  EndWith(end.completed ? RunState::kCompleted : RunState::kAborted, end.why);
}

void FederatedServer::EndWith(RunState state, std::string why) {
  if (ended_) return;
  ended_ = true;
  round_open_ = false;
  pending_.reset();
  state_ = state;
  why_ = std::move(why);
  for (const auto timer : {RunTimer::kWaitAfterMinClients, RunTimer::kRound}) Do(decision::StopTimer{timer});
  desk_.EndRound(FailedPrecondition("Contrib: the run has ended"));
  const RunRecord record{options_.run, options_.task_name, options_.config_sha256, state_, why_};
  if (auto status = parts_.store.RecordRun(record); !status.has_value()) {
    LogError("the end of run {} could not be recorded: {}", options_.run, status.error().message());
  }
  if (state_ == RunState::kCompleted) {
    LogInfo("run {} has completed", options_.run);
  } else {
    LogError("run {} has ended: {}", options_.run, why_);
  }
  for (const auto& [id, session] : sessions_) {
    if (session.greeted && session.peer.role == PeerRole::kSite) TellDone(id);
  }
  Changed();
  FinishIfAllHaveLeft();
}

void FederatedServer::TellDone(SessionId session) {
  parts_.link.Send(
      session, ToJson(Done{options_.run, state_ == RunState::kCompleted, why_, global_ ? global_->id : std::string()}));
}

// The server stays until every living site has heard that it is over; a dead one stops counting at its timeout.
void FederatedServer::FinishIfAllHaveLeft() {
  if (!ended_ || !on_end_) return;
  const bool all_left =
      std::none_of(sites_.begin(), sites_.end(), [](const auto& entry) { return entry.second.alive; });
  if (!all_left) return;
  parts_.loop.Post([outcome = RunOutcome{state_, why_, round_ + 1, global_ ? global_->id : std::string()},
                    on_end = std::exchange(on_end_, nullptr)] { on_end(outcome); });
}

// The run was over before this start, and a server that was killed may not have told everybody. A site that has not
// heard of it is back within its longest pause between two attempts.
void FederatedServer::AwaitLateSites() {
  LogInfo(
      "run {} was over before; staying up to {} until its {} sites have heard so. Another run number begins a new one",
      options_.run, HumanSeconds(Seconds(kLateSites).count()), sites_.size());
  for (auto& [name, site] : sites_) site.alive = true;
  late_sites_ = parts_.loop.After(kLateSites, [this] {
    for (auto& [name, site] : sites_) {
      if (!site.session) Lose(site, "has not come back to hear that the run is over");
    }
  });
  FinishIfAllHaveLeft();
}

void FederatedServer::AbortRun(std::string why) { Carry(workflow_->On(event::Aborted{std::move(why)})); }

void FederatedServer::GoAway(Task on_gone) {
  on_gone_ = std::move(on_gone);
  std::vector<SessionId> ids;
  for (const auto& [id, session] : sessions_) ids.push_back(id);
  for (SessionId id : ids) parts_.link.Close(id, Unavailable("the server goes down; it will be back"));
  if (ids.empty()) parts_.loop.Post(std::exchange(on_gone_, nullptr));
}

// ---- sessions -------------------------------------------------------------------------------------------------------

void FederatedServer::OnOpen(SessionId id, const Peer& peer) {
  if (on_gone_) parts_.link.Close(id, Unavailable("the server goes down; it will be back"));
  Session& session = sessions_[id];
  session.peer = peer;
  session.hello_deadline = parts_.loop.After(
      kHelloDeadline, [this, id] { parts_.link.Close(id, InvalidArgument("no hello within 30 s of connecting")); });
}

void FederatedServer::OnMessage(SessionId id, Json json) {
  const auto found = sessions_.find(id);
  if (found == sessions_.end()) return;
  Session& session = found->second;
  auto message = MessageFromJson(json);
  if (!message.has_value()) {
    LogWarning("{} at {}: {}", session.peer.name, session.peer.address, message.error().message());
    return parts_.link.Close(id, message.error());
  }
  if (session.peer.role == PeerRole::kAdmin) return OnAdminMessage(id, session, *message);
  if (const auto* hello = std::get_if<Hello>(&*message)) return OnHello(id, session, *hello);
  const auto site = sites_.find(session.peer.name);
  if (!session.greeted || site == sites_.end() || site->second.session != id) {
    return parts_.link.Close(id, FailedPrecondition("say hello first"));
  }
  Touch(site->second);
  if (const auto* heartbeat = std::get_if<Heartbeat>(&*message)) {
    site->second.last = {heartbeat->phase.substr(0, kPhaseBytesMax), heartbeat->done,
                         heartbeat->note.substr(0, kNoteBytesMax)};
    Changed();
  } else if (const auto* failed = std::get_if<Failed>(&*message)) {
    site->second.failure = Escaped(failed->message.substr(0, kNoteBytesMax));
    LogWarning("{} reports in round {}: {}", site->first, failed->round, site->second.failure);
    Changed();
  } else if (std::holds_alternative<Quit>(*message)) {
    parts_.link.Close(id, Cancelled("goodbye"));
    Lose(site->second, "has left");
  } else {
    parts_.link.Close(id, InvalidArgument("that message is not for a server"));
  }
}

void FederatedServer::OnHello(SessionId id, Session& session, const Hello& hello) {
  parts_.loop.Cancel(std::exchange(session.hello_deadline, TimerId::kNone));
  auto admitted = Admit(id, session, hello);
  if (!admitted.has_value()) {
    LogWarning("{} at {} is not admitted: {}", session.peer.name, session.peer.address, admitted.error().message());
    return parts_.link.Close(id, admitted.error());
  }
  Site& site = **admitted;
  const bool joins = !site.alive;
  session.greeted = true;
  site.session = id;
  site.address = session.peer.address;
  site.alive = true;
  Touch(site);
  parts_.link.Send(id, ToJson(Welcome{.capabilities = SharedCapabilities(hello),
                                      .token = site.token,
                                      .heartbeat_seconds = options_.heart_beat_timeout.count() / 10}));
  if (joins) {
    LogInfo("{} has joined from {}", site.name, site.address);
    for (ServerObserver* observer : parts_.observers) observer->OnSite(site.name, "joined");
  }
  if (ended_) return TellDone(id);
  if (joins) Carry(workflow_->On(event::Joined{site.name}));
  OfferRound(site);
  Changed();
}

Result<FederatedServer::Site*> FederatedServer::Admit(SessionId id, const Session& session, const Hello& hello) {
  const std::string& name = session.peer.name;
  if (session.greeted) return FailedPrecondition("hello was said already");
  if (std::find(hello.versions.begin(), hello.versions.end(), kProtocolVersion) == hello.versions.end()) {
    return FailedPrecondition(
        fmt::format("this server speaks protocol version {} only; update fed_learn at '{}'", kProtocolVersion, name));
  }
  if (hello.task_name != options_.task_name) {
    return InvalidArgument(
        fmt::format("this server runs '{}', not '{}'; look at servers[0].name of the site's "
                    "configuration",
                    options_.task_name, Escaped(hello.task_name)));
  }
  const auto found = sites_.find(name);
  if (found != sites_.end()) {
    Site& site = found->second;
    if (site.session && *site.session != id) {
      return AlreadyExists(
          fmt::format("'{}' is connected already, from {}; stop that client first", name, site.address));
    }
    return &site;
  }
  if (static_cast<int>(sites_.size()) >= options_.max_num_clients) {
    return ResourceExhausted(
        fmt::format("max_num_clients = {} sites are registered already", options_.max_num_clients));
  }
  const SiteRecord record{name, parts_.make_token(), static_cast<std::int64_t>(sites_.size())};
  RETURN_IF_ERROR(parts_.store.RecordSite(record));
  Site& site = sites_[name];
  site.name = name;
  site.token = record.token;
  return &site;
}

void FederatedServer::OnAdminMessage(SessionId id, Session& session, const Message& message) {
  parts_.loop.Cancel(std::exchange(session.hello_deadline, TimerId::kNone));
  if (std::holds_alternative<Watch>(message)) {
    session.watches = true;
    parts_.link.Send(id, ToJson(StatusPush{StatusJson()}));
  } else if (const auto* abort = std::get_if<Abort>(&message)) {
    const std::string why = "aborted by " + session.peer.name + (abort->why.empty() ? "" : ": " + Escaped(abort->why));
    if (auto status = parts_.store.RecordAudit(Rfc3339(parts_.loop.Wall()), session.peer.name, "abort " + why);
        !status.has_value()) {
      return parts_.link.Close(id, status.error());
    }
    AbortRun(why);
  } else if (!std::holds_alternative<Hello>(message)) {
    parts_.link.Close(id, InvalidArgument("that message is not for an admin"));
  }
}

void FederatedServer::OnClose(SessionId id, const Error& why) {
  const auto found = sessions_.find(id);
  if (found == sessions_.end()) return;
  parts_.loop.Cancel(found->second.hello_deadline);
  const auto site = sites_.find(found->second.peer.name);
  if (site != sites_.end() && site->second.session == id) {
    site->second.session.reset();
    LogInfo("{} is disconnected: {}", site->first, why.message());
  }
  sessions_.erase(found);
  if (sessions_.empty() && on_gone_) parts_.loop.Post(std::exchange(on_gone_, nullptr));
  Changed();
}

void FederatedServer::Lose(Site& site, std::string_view why) {
  if (!site.alive) return;
  site.alive = false;
  site.session.reset();
  LogInfo("{} {}", site.name, why);
  for (ServerObserver* observer : parts_.observers) observer->OnSite(site.name, why);
  if (ended_) return FinishIfAllHaveLeft();
  Carry(workflow_->On(event::Left{site.name}));
}

void FederatedServer::CheckHeartbeats() {
  heartbeat_check_ = parts_.loop.After(ToDuration(options_.heart_beat_timeout / 4), [this] { CheckHeartbeats(); });
  for (auto& [name, site] : sites_) {
    if (!site.alive || parts_.loop.Now() - site.heard_at <= ToDuration(options_.heart_beat_timeout)) continue;
    const std::string why =
        fmt::format("has been silent for heart_beat_timeout = {:g} s", options_.heart_beat_timeout.count());
    if (site.session) parts_.link.Close(*site.session, Unavailable("'" + name + "' " + why));
    Lose(site, why);
  }
}

void FederatedServer::Touch(Site& site) { site.heard_at = parts_.loop.Now(); }

void FederatedServer::OfferRound(Site& site) {
  if (!round_open_ || !site.session) return;
  parts_.link.Send(*site.session, ToJson(RoundOffer{.run = options_.run,
                                                    .round = round_,
                                                    .start_round = options_.start_round,
                                                    .num_rounds = options_.num_rounds,
                                                    .seed = options_.seed,
                                                    .model = broadcast_->id,
                                                    .counted = !site.counted_id.empty()}));
}

// ---- transfers ------------------------------------------------------------------------------------------------------

Status FederatedServer::Authorize(const BulkRequest& request, Site** site) {
  *site = nullptr;
  if (request.peer.role == PeerRole::kAdmin) return {};
  const auto found = sites_.find(request.peer.name);
  if (found == sites_.end() || !EqualInConstantTime(found->second.token, request.token)) {
    return Unauthenticated("'" + request.peer.name +
                           "' sent no token of its own; say hello on the control channel first");
  }
  *site = &found->second;
  Touch(found->second);
  return {};
}

void FederatedServer::OnGet(const BulkRequest& request, Answer<std::shared_ptr<const ByteSource>> answer) {
  answer(FindBytes(request));
}

Result<std::shared_ptr<const ByteSource>> FederatedServer::FindBytes(const BulkRequest& request) {
  const BulkPath path = ParseBulkPath(request.path);
  if (path.kind == BulkPath::kHealth) return std::make_shared<TextSource>("ok\n");
  Site* site = nullptr;
  RETURN_IF_ERROR(Authorize(request, &site));
  if (path.kind == BulkPath::kStatus && site == nullptr) return std::make_shared<TextSource>(Text(StatusJson()));
  if (path.kind == BulkPath::kRounds && site == nullptr) {
    ASSIGN_OR_RETURN(const Json rounds, RoundsJson());
    return std::make_shared<TextSource>(Text(rounds));
  }
  std::shared_ptr<const EncodedModel> model;
  for (const auto& candidate : {broadcast_, global_}) {
    if (candidate && candidate->id == path.id) model = candidate;
  }
  if (!model) return NotFound("nothing is kept at '" + Escaped(request.path) + "'; the round may have closed");
  switch (path.kind) {
    case BulkPath::kModelManifest:
      return std::make_shared<TextSource>(model->manifest_text);
    case BulkPath::kModelData: {
      ASSIGN_OR_RETURN(const Selection selection, ParseSelection(path.tensors, model->model.size()));
      return SendTensors(model, selection);
    }
    case BulkPath::kModel:
      return SendPackage(model);
    default:
      return NotFound("nothing is kept at '" + Escaped(request.path) + "'");
  }
}

void FederatedServer::OnPut(const BulkRequest& request, Answer<std::shared_ptr<ByteSink>> answer) {
  Site* site = nullptr;
  if (auto status = Authorize(request, &site); !status.has_value()) return answer(status.error());
  if (site == nullptr) return answer(PermissionDenied("an admin contributes nothing"));
  const BulkPath path = ParseBulkPath(request.path);
  if (path.kind == BulkPath::kOffer) {
    return answer(std::make_shared<TextSink>(OfferBytesMax(*global_, options_.limits)));
  }
  if (path.kind == BulkPath::kUpload) return answer(desk_.Attach(site->name, path.id));
  answer(NotFound("nothing is taken at '" + Escaped(request.path) + "'"));
}

void FederatedServer::OnPutEnd(const BulkRequest& request, std::shared_ptr<ByteSink> sink, bool complete,
                               Answer<Json> answer) {
  const BulkPath path = ParseBulkPath(request.path);
  if (path.kind == BulkPath::kUpload) {
    auto upload = desk_.Detach(path.id, sink, complete);
    if (upload) {
      auto counted = Count(std::move(*upload));
      return AsJson(std::move(answer))(std::move(counted));
    }
    return answer(FailedPrecondition("Contrib: the round closed, or a later offer replaced this one"));
  }
  const auto site = sites_.find(request.peer.name);
  if (!complete || site == sites_.end()) return answer(Unavailable("the offer was cut short"));
  OnOffer(request, site->second, std::move(static_cast<TextSink&>(*sink)).Take(), answer);
}

void FederatedServer::OnOffer(const BulkRequest& request, Site& site, std::string body, const Answer<Json>& answer) {
  const std::size_t newline = body.find('\n');
  if (newline == std::string::npos || newline > kOfferHeaderBytesMax) {
    return answer(InvalidArgument(fmt::format("an offer is a line of JSON of at most {}, a newline, and the manifest",
                                              HumanBytes(kOfferHeaderBytesMax))));
  }
  auto json = ParseJson(std::string_view(body).substr(0, newline), request.peer.name);
  if (!json.has_value()) return answer(json.error());
  auto header = ContributionHeaderFromJson(*json);
  if (!header.has_value()) return answer(header.error());
  const std::string_view manifest_text = std::string_view(body).substr(newline + 1);
  auto manifest = ParseManifest(manifest_text, request.peer.name, options_.limits);
  if (!manifest.has_value()) return answer(manifest.error());

  if (auto status = CheckOffer(*header, *manifest); !status.has_value()) return answer(status.error());
  const std::string manifest_id = ModelIdOf(manifest_text);
  if (auto counted = FindCounted(site, manifest_id)) return AsJson(answer)(*std::move(counted));
  desk_.Offer({site.name, *std::move(header), *std::move(manifest), manifest_id, request.lane}, AsJson(answer));
}

// What can be refused before a byte of the update has travelled.
Status FederatedServer::CheckOffer(const ContributionHeader& header, const Manifest& manifest) const {
  if (header.run != options_.run) {
    return FailedPrecondition(
        fmt::format("Contrib: run {} is not the run of this server, {}", header.run, options_.run));
  }
  if (!round_open_ || header.round != round_) {
    return FailedPrecondition(
        ended_ ? std::string("Contrib: the run has ended")
               : fmt::format("Contrib: round {} is not open; the current one is {}", header.round, round_));
  }
  for (const auto& [name, value] : header.metrics) {
    if (header.metrics.size() > kMetricsMax || name.size() > kMetricNameBytesMax) {
      return InvalidArgument(fmt::format("{} metrics, one called '{}…'; at most {} with names of {} bytes are taken",
                                         header.metrics.size(), Escaped(name.substr(0, 40)), kMetricsMax,
                                         kMetricNameBytesMax));
    }
  }
  if (header.base_model != broadcast_->id) {
    return FailedPrecondition(fmt::format("Contrib: trained on model '{}', but round {} starts from '{}'",
                                          Escaped(header.base_model), round_, broadcast_->id));
  }
  if (manifest.decoded_size() > 2 * global_->model.byte_size() + (1 << 20)) {
    return InvalidArgument(fmt::format("an update of {} for a model of {}", HumanBytes(manifest.decoded_size()),
                                       HumanBytes(global_->model.byte_size())));
  }
  return {};
}

// The answer to a site whose contribution is in the sum already.
std::optional<Result<UploadGrant>> FederatedServer::FindCounted(const Site& site,
                                                                const std::string& manifest_id) const {
  if (site.counted_id.empty() || options_.uploads.bugs.count_reoffer_twice) return std::nullopt;
  if (site.counted_id == manifest_id) return UploadGrant{.counted = true};
  return AlreadyExists(fmt::format("Contrib: another update of '{}' is counted in round {}", site.name, round_));
}

Result<UploadGrant> FederatedServer::Count(StagedUpload upload) {
  // An update that was offered again while it arrived can arrive twice.
  if (auto counted = FindCounted(sites_[upload.site], upload.manifest_id)) return *std::move(counted);
  ASSIGN_OR_RETURN(ModelData update, upload.receiver->Finish());
  ASSIGN_OR_RETURN(MetricManager metrics, DecodeMetrics(upload.header.metrics));
  FLContext context(std::move(update));
  if (auto status = parts_.post_processors.Process(context, Context(Phase::kTrain)); !status.has_value()) {
    return status.error().In("post_processors");
  }
  std::string counted_as = upload.site;
  if (options_.uploads.bugs.count_reoffer_twice && !sites_[upload.site].counted_id.empty()) counted_as += " again";
  const Contribution contribution{.run = options_.run,
                                  .round = round_,
                                  .site = std::move(counted_as),
                                  .n_iter = upload.header.n_iter,
                                  .kind = upload.header.kind,
                                  .metrics = std::move(metrics),
                                  .update = std::move(context.model())};
  if (auto status = parts_.aggregator->Accept(contribution); !status.has_value()) {
    LogWarning("the contribution of {} to round {} is refused: {}", upload.site, round_, status.error().message());
    sites_[upload.site].failure = status.error().message();
    return status.error();
  }
  Site& site = sites_[upload.site];
  site.counted_id = upload.manifest_id;
  site.failure.clear();
  for (const auto& [key, value] : contribution.metrics.Encode()) site_metrics_[site.name + "/" + key] = value;
  for (ServerObserver* observer : parts_.observers) observer->OnCounted(contribution);
  // Not from inside the answer to this PUT: closing a round takes a while, and the site waits for its reply.
  parts_.loop.Post([this, name = site.name, round = round_] {
    if (!ended_) Carry(workflow_->On(event::Contributed{name, round}));
  });
  return UploadGrant{.counted = true};
}

// ---- status ---------------------------------------------------------------------------------------------------------

AppContext FederatedServer::Context(Phase phase) const {
  AppContext context;
  context.task_name = options_.task_name;
  context.run_number = options_.run;
  context.side = Side::kServer;
  context.phase = phase;
  context.current_round = round_;
  context.start_round = options_.start_round;
  context.num_rounds = options_.num_rounds;
  context.seed = options_.seed;
  return context;
}

Json FederatedServer::StatusJson() const {
  Json sites = Json::object();
  for (const auto& [name, site] : sites_) {
    sites[name] = {{"alive", site.alive},
                   {"connected", site.session.has_value()},
                   {"address", site.address},
                   {"counted", !site.counted_id.empty()},
                   {"silent_seconds", SecondsBetween(site.heard_at, parts_.loop.Now())},
                   {"phase", site.last.phase},
                   {"done", site.last.done},
                   {"note", site.last.note},
                   {"failure", site.failure}};
  }
  const Waiting waiting = workflow_ ? workflow_->waiting() : Waiting{};
  return {{"task_name", options_.task_name},
          {"run", options_.run},
          {"state", state_ == RunState::kRunning     ? "running"
                    : state_ == RunState::kCompleted ? "completed"
                    : state_ == RunState::kAborted   ? "aborted"
                                                     : "failed"},
          {"why", why_},
          {"round", round_},
          {"start_round", options_.start_round},
          {"num_rounds", options_.num_rounds},
          {"round_open", round_open_},
          {"last_metrics", last_metrics_},
          {"trouble", trouble_},
          {"round_seconds", round_open_ ? SecondsBetween(round_opened_at_, parts_.loop.Now()) : 0.0},
          {"model", global_ ? global_->id : ""},
          {"uploads", {{"staged", desk_.slots_used()}, {"waiting", desk_.waiting()}}},
          {"waiting",
           {{"sites", waiting.sites},
            {"since_seconds", round_open_ ? SecondsBetween(round_opened_at_, parts_.loop.Now()) : 0.0},
            {"setting", waiting.setting}}},
          {"sites", std::move(sites)}};
}

Result<Json> FederatedServer::RoundsJson() const {
  ASSIGN_OR_RETURN(const auto rounds, parts_.store.Rounds(options_.run));
  Json json = Json::array();
  for (const RoundRecord& round : rounds) {
    json.push_back({{"round", round.round},
                    {"model", round.model_id},
                    {"sites", round.sites},
                    {"metrics", round.metrics},
                    {"seconds", round.seconds}});
  }
  return json;
}

// At most one push a while, so that a thousand heartbeats are not a thousand pushes.
void FederatedServer::Changed() {
  if (status_push_ != TimerId::kNone) return;
  const bool watched = std::any_of(sessions_.begin(), sessions_.end(), [](const auto& s) { return s.second.watches; });
  if (!watched) return;
  status_push_ = parts_.loop.After(kStatusPushGap, [this] {
    status_push_ = TimerId::kNone;
    const Json push = ToJson(StatusPush{StatusJson()});
    for (const auto& [id, session] : sessions_) {
      if (session.watches) parts_.link.Send(id, push);
    }
  });
}

}  // namespace fed_learn
