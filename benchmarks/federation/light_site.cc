#include "benchmarks/federation/light_site.h"

#include <numeric>
#include <utility>
#include <vector>

namespace fed_learn {
namespace {

constexpr std::size_t kPieceBytes = 1 << 20;

// Hashes the tensors of a manifest as they arrive and keeps nothing.
class CheckingSink : public ByteSink {
 public:
  explicit CheckingSink(Manifest manifest) : manifest_(std::move(manifest)) {
    for (const ManifestEntry& entry : manifest_.tensors) total_ += entry.length;
  }

  Status Expect(std::uint64_t total) override {
    if (total != total_) return InvalidArgument("another size than the manifest says");
    piece_.resize(kPieceBytes);
    return {};
  }
  std::uint64_t offset() const override { return offset_; }
  std::span<std::byte> Space() override {
    if (offset_ == total_) return {};
    return std::span(piece_).first(std::min<std::uint64_t>(piece_.size(), current().length - filled_));
  }
  void Advance(std::size_t bytes) override {
    hasher_.Update(std::span(piece_).first(bytes));
    offset_ += bytes;
    filled_ += bytes;
    if (filled_ < current().length) return;
    intact_ = intact_ && hasher_.Finish() == current().hash;
    hasher_ = ContentHasher();
    filled_ = 0;
    ++tensor_;
  }
  bool intact() const { return intact_ && offset_ == total_; }

 private:
  const ManifestEntry& current() const { return manifest_.tensors[tensor_]; }

  Manifest manifest_;
  std::uint64_t total_ = 0;
  std::vector<std::byte> piece_;
  std::uint64_t offset_ = 0;
  std::size_t tensor_ = 0;
  std::uint64_t filled_ = 0;
  ContentHasher hasher_;
  bool intact_ = true;
};

}  // namespace

LightSite::LightSite(int site, std::string task_name, bool idle, LightSiteParts parts, LightSiteEvents events)
    : site_(site), task_name_(std::move(task_name)), idle_(idle), parts_(parts), events_(std::move(events)) {}

void LightSite::Start() {
  parts_.link.Start(*this);
  parts_.link.Open();
}

void LightSite::OnOpen() {
  parts_.link.Send(ToJson(
      Hello{.versions = {kProtocolVersion}, .capabilities = {"zeros"}, .task_name = task_name_, .software = "bench"}));
}

void LightSite::OnClose(const Error& why) { End(done_ ? std::nullopt : std::optional(why)); }

void LightSite::OnMessage(Json json) {
  const auto message = MessageFromJson(json);
  if (!message.has_value()) return End(message.error());
  if (const auto* welcome = std::get_if<Welcome>(&*message)) {
    parts_.link.SetToken(welcome->token);
    events_.on_welcome();
  } else if (const auto* offer = std::get_if<RoundOffer>(&*message)) {
    if (!idle_) OnRound(*offer);
  } else if (const auto* done = std::get_if<Done>(&*message)) {
    if (!done->completed) return End(Internal(done->why));
    done_ = true;
    parts_.link.Send(ToJson(Quit{}));
  }
}

void LightSite::OnRound(const RoundOffer& offer) {
  offer_ = offer;
  events_.on_round(offer.round);
  SetPhase("fetching");
  auto sink = std::make_shared<TextSink>(PackageLimits().manifest_bytes);
  parts_.link.Get("/v1/models/" + offer.model + "/manifest", sink, [this, sink](const Result<std::uint64_t>& size) {
    if (!size.has_value()) return End(size.error());
    FetchData(std::move(*sink).Take());
  });
}

void LightSite::FetchData(const std::string& manifest_text) {
  if (ModelIdOf(manifest_text) != offer_.model) return End(DataLoss("another manifest than was offered"));
  auto manifest = ParseManifest(manifest_text, "server");
  if (!manifest.has_value()) return End(manifest.error());
  Selection all(manifest->tensors.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  auto sink = std::make_shared<CheckingSink>(*std::move(manifest));
  parts_.link.Get("/v1/models/" + offer_.model + "/data?tensors=" + FormatSelection(all), sink,
                  [this, sink](const Result<std::uint64_t>& size) {
                    if (!size.has_value()) return End(size.error());
                    if (!sink->intact()) return End(DataLoss("the model arrived with other bytes"));
                    Train();
                  });
}

void LightSite::Train() {
  SetPhase("training");
  auto update = std::make_shared<std::shared_ptr<const EncodedModel>>();
  parts_.worker.Run(
      [this, update, round = offer_.round] { *update = EncodeModel(parts_.workload.UpdateOf(site_, round)); },
      [this, update] { Offer(*update); });
}

void LightSite::Offer(const std::shared_ptr<const EncodedModel>& update) {
  SetPhase("sending");
  const ContributionHeader header{.run = offer_.run,
                                  .round = offer_.round,
                                  .base_model = offer_.model,
                                  .n_iter = parts_.workload.Iterations(site_),
                                  .kind = UpdateKind::kDifference,
                                  .metrics = {}};
  auto body = std::make_shared<TextSource>(ToJson(header).dump() + "\n" + update->manifest_text);
  parts_.link.Put("/v1/updates", body, 0, [this, update](const Result<Json>& answer) { OnGrant(update, answer); });
}

void LightSite::OnGrant(const std::shared_ptr<const EncodedModel>& update, const Result<Json>& answer) {
  if (!answer.has_value()) return End(answer.error());
  const auto grant = UploadGrantFromJson(*answer);
  if (!grant.has_value()) return End(grant.error());
  const auto selection = ParseSelection(grant->tensors, update->model.size());
  if (!selection.has_value()) return End(selection.error());
  parts_.link.Put("/v1/uploads/" + grant->upload, SendTensors(update, *selection), grant->offset,
                  [this](const Result<Json>& counted) {
                    if (!counted.has_value()) return End(counted.error());
                    SetPhase("waiting");
                  });
}

void LightSite::SetPhase(std::string phase) { parts_.link.Send(ToJson(Heartbeat{std::move(phase), 0, ""})); }

void LightSite::End(std::optional<Error> error) {
  if (std::exchange(ended_, true)) return;
  events_.on_end(std::move(error));
}

}  // namespace fed_learn
