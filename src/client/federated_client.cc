#include "client/federated_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/log.h"
#include "base/text.h"
#include "client/local_values.h"

namespace fed_learn {
namespace {

constexpr Duration kBackOffFirst = std::chrono::milliseconds(500);
constexpr Duration kBackOffMax = std::chrono::seconds(30);
constexpr Duration kFirstSessionPatience = std::chrono::hours(2);
constexpr std::size_t kSelectionBytesMax = 4096;
constexpr Duration kGoodbyeMax = std::chrono::seconds(5);
constexpr Duration kProgressGap = std::chrono::seconds(1);
// What took longer than this is worth a file: it is kept on disk against a kill.
constexpr Duration kWorthKeeping = std::chrono::seconds(10);

std::string GlobalPath(const std::string& folder) { return folder + "/global.flmodel"; }
std::string KeptPath(const std::string& folder) { return folder + "/update.flmodel"; }
std::string KeptHeaderPath(const std::string& folder) { return folder + "/update.json"; }

// Only finite numbers travel; a metric that is not one says nothing.
EncodedMetrics FiniteOnly(EncodedMetrics metrics) {
  std::erase_if(metrics, [](const auto& metric) { return !std::isfinite(metric.second); });
  return metrics;
}

}  // namespace

struct FederatedClient::FitJob {
  RoundKey key;
  AppContext context;
  std::shared_ptr<const EncodedModel> global;
  MonotonicTime began;
  std::optional<Error> error;
  ContributionHeader header;
  std::shared_ptr<const EncodedModel> update;
};

FederatedClient::FederatedClient(FederatedClientOptions options, FederatedClientParts parts)
    : options_(std::move(options)),
      parts_(std::move(parts)),
      random_(DeriveSeed(options_.jitter_seed, options_.site)) {}

Result<std::unique_ptr<FederatedClient>> FederatedClient::Create(FederatedClientOptions options,
                                                                 FederatedClientParts parts) {
  std::unique_ptr<FederatedClient> client(new FederatedClient(std::move(options), std::move(parts)));
  for (const std::string& expression : client->options_.exclude_vars) {
    try {
      client->excluded_.emplace_back(expression);
    } catch (const std::regex_error& error) {
      return InvalidArgument("exclude_vars '" + expression + "' is no regular expression: " + error.what());
    }
  }
  return client;
}

FederatedClient::~FederatedClient() {
  if (fitting_) fitting_->context.abort.Set();
  for (TimerId timer : {reconnect_, heartbeat_timer_, progress_timer_, retry_}) parts_.loop.Cancel(timer);
}

Status FederatedClient::Start(std::function<void(const ClientOutcome&)> on_end) {
  on_end_ = std::move(on_end);
  RETURN_IF_ERROR(parts_.disk.MakeFolders(options_.folder));
  RETURN_IF_ERROR(parts_.fitter.Initialize(Context()));
  LoadKept();
  away_since_ = parts_.loop.Now();
  parts_.link.Start(*this);
  Connect();
  return {};
}

// ---- the session ----------------------------------------------------------------------------------------------------

void FederatedClient::Connect() {
  if (!ended_) parts_.link.Open();
}

void FederatedClient::OnOpen() {
  parts_.link.Send(ToJson(Hello{.versions = {kProtocolVersion},
                                .capabilities = {kCapabilities.begin(), kCapabilities.end()},
                                .task_name = options_.task_name,
                                .software = "fed_learn"}));
}

void FederatedClient::OnClose(const Error& why) {
  if (ended_) return;
  if (goodbye_) return End(*goodbye_);
  // A server that still holds an older session of ours is there; it notices the end of that session in a minute.
  if (std::exchange(connected_, false) || why.kind() == ErrorKind::kAlreadyExists) away_since_ = parts_.loop.Now();
  parts_.loop.Cancel(std::exchange(heartbeat_timer_, TimerId::kNone));
  // Who was welcome once may be again: then it is the way to the server, or its certificates, that has changed.
  const bool hopeless =
      !welcomed_ && (why.kind() == ErrorKind::kInvalidArgument || why.kind() == ErrorKind::kUnauthenticated ||
                     why.kind() == ErrorKind::kPermissionDenied);
  if (hopeless) return End({false, why.message()});
  if (parts_.loop.Now() - away_since_ > Patience()) {
    return End({false, fmt::format("the server has been away for {}: {}",
                                   welcomed_ ? fmt::format("retry_timeout = {:g} s", options_.retry_timeout.count())
                                             : HumanSeconds(std::chrono::duration<double>(Patience()).count()),
                                   why.message())});
  }
  if (attempts_ == 0) LogWarning("no session with the server: {}; trying again", why.message());
  const int doublings = std::min(attempts_++, 6);
  const auto longest = std::min(kBackOffMax, kBackOffFirst * (1 << doublings));
  const auto delay = std::chrono::duration_cast<Duration>(longest * (0.5 + 0.5 * random_.Uniform()));
  reconnect_ = parts_.loop.After(delay, [this] {
    reconnect_ = TimerId::kNone;
    Connect();
  });
}

void FederatedClient::OnMessage(Json json) {
  if (ended_ || goodbye_) return;
  attempts_ = 0;
  auto message = MessageFromJson(json);
  if (!message.has_value()) return LogWarning("from the server: {}", message.error().message());
  if (const auto* welcome = std::get_if<Welcome>(&*message)) {
    LogInfo("the server has welcomed {}", options_.site);
    connected_ = true;
    welcomed_ = true;
    parts_.link.SetToken(welcome->token);
    heartbeat_ = std::chrono::duration_cast<Duration>(
        std::chrono::duration<double>(std::clamp(welcome->heartbeat_seconds, 1.0, 3600.0)));
    ArmHeartbeat();
  } else if (const auto* offer = std::get_if<RoundOffer>(&*message)) {
    OnRound(*offer);
  } else if (const auto* done = std::get_if<Done>(&*message)) {
    OnDone(*done);
  }
}

Duration FederatedClient::Patience() const {
  const auto retry_timeout = std::chrono::duration_cast<Duration>(options_.retry_timeout);
  return welcomed_ ? retry_timeout : std::max(retry_timeout, kFirstSessionPatience);
}

void FederatedClient::OnDone(const Done& done) { SayGoodbye({done.completed, done.why}); }

void FederatedClient::Leave(std::string why) { SayGoodbye({false, std::move(why)}); }

// The server answers a Quit by closing the session; a server that does not is not waited for.
void FederatedClient::SayGoodbye(ClientOutcome outcome) {
  if (goodbye_ || ended_) return;
  StopWork();
  if (outcome.completed) ForgetKept();
  if (!connected_) return End(std::move(outcome));
  parts_.link.Send(ToJson(Quit{}));
  goodbye_ = std::move(outcome);
  reconnect_ = parts_.loop.After(kGoodbyeMax, [this] { End(*goodbye_); });
}

void FederatedClient::End(ClientOutcome outcome) {
  if (ended_) return;
  ended_ = true;
  StopWork();
  for (TimerId* timer : {&reconnect_, &heartbeat_timer_, &progress_timer_}) {
    parts_.loop.Cancel(std::exchange(*timer, TimerId::kNone));
  }
  parts_.loop.Post([outcome = std::move(outcome), on_end = std::exchange(on_end_, nullptr)] {
    if (on_end) on_end(outcome);
  });
}

// ---- a round --------------------------------------------------------------------------------------------------------

void FederatedClient::OnRound(const RoundOffer& offer) {
  const RoundKey key{offer.run, offer.round, offer.model};
  offer_ = offer;
  if (kept_ && !(kept_->key == key)) ForgetKept();
  if (offer.counted) {
    if (!(working_on_ == key) || fitting_ || receiving_) StopWork();
    return Idle();
  }
  if (key == refused_) return;
  if (key == working_on_ && (state_.phase != "waiting" || retry_ != TimerId::kNone)) return;
  StopWork();
  working_on_ = key;
  fit_failures_ = 0;
  if (kept_) return Offer();
  BeginRound();
}

// Forgets the work under way; what arrives of it later is not used.
void FederatedClient::StopWork() {
  ++job_;
  if (fitting_) {
    fitting_->context.abort.Set();
    parts_.post_processors.Abort(fitting_->context);
    parts_.pre_processors.Abort(fitting_->context);
    fitting_.reset();
  }
  receiving_.reset();
  failures_ = 0;
  parts_.loop.Cancel(std::exchange(retry_, TimerId::kNone));
  working_on_ = {};
}

void FederatedClient::Idle() {
  failures_ = 0;
  SetPhase("waiting");
}

void FederatedClient::Retry(const Error& why, void (FederatedClient::*step)()) {
  const int doublings = std::min(failures_++, 6);
  const auto longest = std::min(kBackOffMax, kBackOffFirst * (1 << doublings));
  const auto delay = std::chrono::duration_cast<Duration>(longest * (0.5 + 0.5 * random_.Uniform()));
  LogInfo("{}; again in {}", why.message(), HumanSeconds(std::chrono::duration<double>(delay).count()));
  parts_.loop.Cancel(retry_);
  retry_ = parts_.loop.After(delay, [this, step] {
    retry_ = TimerId::kNone;
    (this->*step)();
  });
}

void FederatedClient::BeginRound() {
  fetch_began_ = parts_.loop.Now();
  if (global_ && global_->id == working_on_.model) return Train();
  FetchManifest();
}

void FederatedClient::FetchManifest() {
  SetPhase("fetching");
  auto sink = std::make_shared<TextSink>(options_.limits.manifest_bytes);
  parts_.link.Get("/v1/models/" + working_on_.model + "/manifest", sink,
                  [this, sink, job = job_](Result<std::uint64_t> size) {
                    if (job != job_) return;
                    if (!size.has_value()) {
                      // The round has closed: the next offer is on its way.
                      if (size.error().kind() == ErrorKind::kNotFound) return Idle();
                      return Retry(size.error(), &FederatedClient::FetchManifest);
                    }
                    FetchData(std::move(*sink).Take());
                  });
}

void FederatedClient::FetchData(std::string manifest_text) {
  if (ModelIdOf(manifest_text) != working_on_.model) {
    return Retry(DataLoss("the manifest that came is not the one that was offered"), &FederatedClient::FetchManifest);
  }
  auto manifest = ParseManifest(manifest_text, "server", options_.limits);
  if (!manifest.has_value()) return OnFitFailed(manifest.error());
  if (!receiving_) {
    const auto pool = std::make_shared<BufferPool>(0);
    receiving_ =
        std::make_shared<ModelReceiver>(*manifest, global_ ? TensorsOf(global_) : ModelReceiver::Lookup(), pool);
    // A selection too ragged for a request's head costs more than sending everything.
    if (FormatSelection(receiving_->lacking()).size() > kSelectionBytesMax) {
      receiving_ = std::make_shared<ModelReceiver>(*std::move(manifest), ModelReceiver::Lookup(), pool);
    }
  }
  const std::string path =
      "/v1/models/" + working_on_.model + "/data?tensors=" + FormatSelection(receiving_->lacking());
  parts_.link.Get(path, receiving_, [this, job = job_, manifest_text](Result<std::uint64_t> size) {
    if (job != job_) return;
    if (size.has_value()) {
      return OnModel(std::exchange(receiving_, nullptr), manifest_text);
    }
    if (size.error().kind() == ErrorKind::kNotFound) {
      receiving_.reset();
      return Idle();
    }
    Retry(size.error(), &FederatedClient::FetchManifest);
  });
}

void FederatedClient::OnModel(std::shared_ptr<ModelReceiver> receiver, std::string manifest_text) {
  auto model = receiver->Finish();
  if (!model.has_value()) return Retry(model.error(), &FederatedClient::FetchManifest);
  auto manifest = ParseManifest(manifest_text, "server", options_.limits);
  global_ = std::make_shared<const EncodedModel>(
      EncodedModel{*std::move(model), *std::move(manifest), std::move(manifest_text), working_on_.model});
  if (parts_.loop.Now() - fetch_began_ > kWorthKeeping) {
    if (auto status = WritePackage(parts_.disk, GlobalPath(options_.folder), *global_); !status.has_value()) {
      LogWarning("the model is not kept on disk: {}", status.error().message());
    }
  }
  Train();
}

void FederatedClient::Train() {
  failures_ = 0;
  SetPhase("training");
  auto job = std::make_shared<FitJob>();
  job->key = working_on_;
  job->context = Context();
  job->global = global_;
  job->began = parts_.loop.Now();
  fitting_ = job;

  const auto work = [this, job] {
    const auto fit = [&]() -> Status {
      FLContext received(job->global->model);
      RETURN_IF_ERROR(parts_.post_processors.Process(received, job->context));
      ASSIGN_OR_RETURN(const ModelData start, WithLocalValues(received.model(), job->key));
      MetricManager initial;
      if (options_.validate_global) {
        ASSIGN_OR_RETURN(initial, parts_.fitter.Validate(start, job->context));
      }
      const auto on_progress = [this, job](const FitProgress& progress) {
        parts_.loop.Post([this, job, progress] {
          if (fitting_ == job) SetPhase("training", progress.done, progress.note);
        });
      };
      ASSIGN_OR_RETURN(FitResult result, parts_.fitter.Fit(start, job->context, on_progress));
      RETURN_IF_ERROR(KeepLocalValues(job->key, start, result));
      for (const auto& [group, metrics] : initial.ToMap()) RETURN_IF_ERROR(result.metrics.AddGroup(group, metrics));

      FLContext sent;
      for (const NamedTensor& entry : result.update) {
        if (!Excluded(entry.name)) RETURN_IF_ERROR(sent.model().Add(entry.name, entry.tensor, entry.role));
      }
      result.update = {};
      RETURN_IF_ERROR(parts_.pre_processors.Process(sent, job->context));
      job->header = {.run = job->key.run,
                     .round = job->key.round,
                     .base_model = job->key.model,
                     .n_iter = result.n_iter,
                     .kind = result.kind,
                     .metrics = FiniteOnly(result.metrics.Encode())};
      job->update = EncodeModel(std::move(sent.model()));
      return {};
    };
    if (auto status = fit(); !status.has_value()) job->error = status.error();
  };
  parts_.worker.Run(work, [this, job] { OnTrained(job); });
}

void FederatedClient::OnTrained(const std::shared_ptr<FitJob>& job) {
  if (fitting_ != job) return;
  fitting_.reset();
  if (job->error) return OnFitFailed(*job->error);
  fit_failures_ = 0;
  kept_ = KeptUpdate{job->key, job->header, job->update};
  if (parts_.loop.Now() - job->began > kWorthKeeping) StoreKept();
  Offer();
}

void FederatedClient::OnFitFailed(const Error& error) {
  LogError("round {}: {}", working_on_.round, error.message());
  parts_.link.Send(ToJson(Failed{working_on_.run, working_on_.round, error.message()}));
  if (++fit_failures_ >= options_.fit_attempts_max) {
    return Leave(fmt::format("{} attempts at round {} have failed; the last: {}", fit_failures_, working_on_.round,
                             error.message()));
  }
  failures_ = fit_failures_;
  Retry(error, &FederatedClient::BeginRound);
}

void FederatedClient::Offer() {
  SetPhase("sending");
  auto body = std::make_shared<TextSource>(ToJson(kept_->header).dump() + "\n" + kept_->update->manifest_text);
  parts_.link.Put("/v1/updates", body, 0, [this, job = job_](Result<Json> answer) {
    if (job != job_) return;
    if (!answer.has_value()) return OnSubmitFailed(answer.error());
    auto grant = UploadGrantFromJson(*answer);
    if (!grant.has_value()) return OnSubmitFailed(grant.error());
    OnGrant(*grant);
  });
}

void FederatedClient::OnGrant(const UploadGrant& grant) {
  if (grant.counted) return OnCounted();
  auto selection = ParseSelection(grant.tensors, kept_->update->model.size());
  if (!selection.has_value()) return OnSubmitFailed(selection.error());
  auto source = SendTensors(kept_->update, *selection);
  if (source->size() != grant.bytes || grant.offset > grant.bytes) {
    return OnSubmitFailed(DataLoss("the server asked for bytes that this update does not have"));
  }
  parts_.link.Put("/v1/uploads/" + grant.upload, source, grant.offset, [this, job = job_](Result<Json> answer) {
    if (job != job_) return;
    if (!answer.has_value()) return OnSubmitFailed(answer.error());
    OnCounted();
  });
}

void FederatedClient::OnSubmitFailed(const Error& error) {
  switch (error.kind()) {
    case ErrorKind::kInvalidArgument:
    case ErrorKind::kPermissionDenied:
      LogError("round {}: the server refuses the update: {}", working_on_.round, error.message());
      parts_.link.Send(ToJson(Failed{working_on_.run, working_on_.round, error.message()}));
      refused_ = working_on_;
      return Idle();
    case ErrorKind::kAlreadyExists:
      return Idle();
    case ErrorKind::kFailedPrecondition:
      // Too late for this round: the next offer says what to do. Or an older connection of ours still holds the upload.
      if (!offer_ || !(working_on_ == RoundKey{offer_->run, offer_->round, offer_->model})) return Idle();
      [[fallthrough]];
    default:
      Retry(error, &FederatedClient::Offer);
  }
}

void FederatedClient::OnCounted() {
  LogInfo("round {}: counted", working_on_.round);
  Idle();
}

// ---- signs of life --------------------------------------------------------------------------------------------------

void FederatedClient::SetPhase(std::string phase, double done, std::string note) {
  const bool news = phase != state_.phase;
  state_ = {std::move(phase), done, std::move(note)};
  if (news) return SendHeartbeat();
  if (progress_timer_ != TimerId::kNone || done == 0) return;
  progress_timer_ = parts_.loop.After(kProgressGap, [this] {
    progress_timer_ = TimerId::kNone;
    SendHeartbeat();
  });
}

void FederatedClient::SendHeartbeat() {
  if (connected_) parts_.link.Send(ToJson(state_));
}

void FederatedClient::ArmHeartbeat() {
  parts_.loop.Cancel(heartbeat_timer_);
  heartbeat_timer_ = parts_.loop.After(heartbeat_, [this] {
    SendHeartbeat();
    ArmHeartbeat();
  });
}

AppContext FederatedClient::Context() const {
  AppContext context;
  context.task_name = options_.task_name;
  context.side = Side::kClient;
  context.client_name = options_.site;
  context.local_epochs = options_.local_epochs;
  context.steps_aggregation = options_.steps_aggregation;
  if (offer_) {
    context.phase = Phase::kTrain;
    context.run_number = offer_->run;
    context.current_round = offer_->round;
    context.start_round = offer_->start_round;
    context.num_rounds = offer_->num_rounds;
    context.seed = offer_->seed;
  }
  return context;
}

// ---- variables that stay at the site --------------------------------------------------------------------------------

bool FederatedClient::Excluded(const std::string& name) const {
  return std::any_of(excluded_.begin(), excluded_.end(),
                     [&](const std::regex& expression) { return std::regex_search(name, expression); });
}

Result<ModelData> FederatedClient::WithLocalValues(const ModelData& global, const RoundKey& key) const {
  if (excluded_.empty()) return global;
  const LocalValues local(parts_.disk, options_.folder, key.run);
  return local.Apply(global, key.round);
}

Status FederatedClient::KeepLocalValues(const RoundKey& key, const ModelData& trained_on,
                                        const FitResult& result) const {
  if (excluded_.empty()) return {};
  ModelData kept;
  for (const NamedTensor& entry : result.update) {
    if (!Excluded(entry.name)) continue;
    const NamedTensor* before = trained_on.Find(entry.name);
    if (before == nullptr) continue;
    ASSIGN_OR_RETURN(Tensor after, result.kind == UpdateKind::kWeights ? Result<Tensor>(entry.tensor)
                                                                       : Sum(before->tensor, entry.tensor));
    RETURN_IF_ERROR(kept.Add(entry.name, std::move(after), entry.role));
  }
  const LocalValues local(parts_.disk, options_.folder, key.run);
  return local.Store(std::move(kept), key.round);
}

// ---- the kept update ------------------------------------------------------------------------------------------------

void FederatedClient::StoreKept() {
  const Json header = {{"model", kept_->update->id}, {"header", ToJson(kept_->header)}};
  auto status = WritePackage(parts_.disk, KeptPath(options_.folder), *kept_->update);
  if (status.has_value()) status = WriteFileAtomically(parts_.disk, KeptHeaderPath(options_.folder), header.dump());
  if (!status.has_value()) LogWarning("the update is not kept on disk: {}", status.error().message());
}

void FederatedClient::ForgetKept() {
  kept_.reset();
  for (const auto& path : {KeptHeaderPath(options_.folder), KeptPath(options_.folder)}) {
    if (auto status = parts_.disk.Remove(path); !status.has_value() && status.error().kind() != ErrorKind::kNotFound) {
      LogWarning("{}", status.error().message());
    }
  }
}

// What a killed client left behind. Anything that does not fit together is work to do again, not an error.
void FederatedClient::LoadKept() {
  if (auto global = ReadPackage(parts_.disk, GlobalPath(options_.folder), options_.limits); global.has_value()) {
    global_ = *std::move(global);
  }
  auto text = ReadFile(parts_.disk, KeptHeaderPath(options_.folder), 1 << 20);
  if (!text.has_value()) return;
  auto json = ParseJson(*text, KeptHeaderPath(options_.folder));
  auto update = ReadPackage(parts_.disk, KeptPath(options_.folder), options_.limits);
  if (!json.has_value() || !update.has_value() || !json->is_object() || !json->contains("header")) return;
  auto header = ContributionHeaderFromJson((*json)["header"]);
  if (!header.has_value() || json->value("model", Json()) != (*update)->id) return;
  // The site may exclude more now than when it trained this.
  for (const NamedTensor& entry : (*update)->model) {
    if (!Excluded(entry.name)) continue;
    return LogWarning("the kept update of round {} holds '{}', which exclude_vars matches now; it is not sent",
                      header->round, Escaped(entry.name));
  }
  LogInfo("an update of round {} was kept and will be offered again", header->round);
  kept_ = KeptUpdate{{header->run, header->round, header->base_model}, *header, *std::move(update)};
}

}  // namespace fed_learn
