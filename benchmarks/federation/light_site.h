// LightSite: a site that speaks the whole protocol through the real link, but keeps no model of its own.
//
// What it fetches is hashed and compared like a client does, then forgotten; what it sends are views of the workload's
// pool. So a hundred sites with 100 MB each fit beside the server on one machine. Lives on one Loop; not thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "base/loop.h"
#include "base/worker.h"
#include "benchmarks/federation/workload.h"
#include "formats/package.h"
#include "transport/link.h"
#include "transport/messages.h"

namespace fed_learn {

struct LightSiteParts {
  Loop& loop;
  ClientLink& link;
  Worker& worker;  // makes the manifest of an update, as a client's does
  Workload& workload;
};

struct LightSiteEvents {
  std::function<void(int round)> on_round = [](int) {};
  std::function<void()> on_welcome = [] {};
  std::function<void(std::optional<Error>)> on_end = [](const std::optional<Error>&) {};  // once
};

class LightSite : public ClientLinkHandler {
 public:
  // An idle one says hello and takes part in no round. `parts` outlive it, but the worker ends before.
  LightSite(int site, std::string task_name, bool idle, LightSiteParts parts, LightSiteEvents events);

  void Start();

  void OnOpen() override;
  void OnMessage(Json message) override;
  void OnClose(const Error& why) override;

 private:
  void OnRound(const RoundOffer& offer);
  void FetchData(const std::string& manifest_text);
  void Train();
  void Offer(const std::shared_ptr<const EncodedModel>& update);
  void OnGrant(const std::shared_ptr<const EncodedModel>& update, const Result<Json>& answer);
  void SetPhase(std::string phase);
  void End(std::optional<Error> error);

  int site_;
  std::string task_name_;
  bool idle_;
  LightSiteParts parts_;
  LightSiteEvents events_;
  RoundOffer offer_;
  bool done_ = false;
  bool ended_ = false;
};

}  // namespace fed_learn
