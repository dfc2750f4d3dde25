// The words of the control channel and the headers of transfers, as structs. docs/protocol.md is their reference.
//
// Reading ignores unknown keys (a newer peer may send them) and refuses, naming message and key, a missing key or a
// wrong type. Values are not trusted: the driver checks what they mean.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "model/contribution.h"

namespace fed_learn {

inline constexpr int kProtocolVersion = 1;

// What this version can do beyond the least: "zeros", that encoding of tensors; "sha256", that hash in manifests.
inline constexpr std::array<std::string_view, 2> kCapabilities = {"sha256", "zeros"};

// Site → server, first on a session.
struct Hello {
  std::vector<int> versions;
  std::vector<std::string> capabilities;
  std::string task_name;
  std::string software;  // "fed_learn 0.1.0"
};

// Server → site, the answer.
struct Welcome {
  int version = kProtocolVersion;
  std::vector<std::string> capabilities;  // those both ends have
  std::string token;                      // bound to the certificate's CN; goes with every transfer
  double heartbeat_seconds = 60;          // send something at least this often
};

// Server → site: the open round, pushed when it opens and after each welcome.
struct RoundOffer {
  std::int64_t run = 1;
  int round = 0;
  int start_round = 0;
  int num_rounds = 0;
  std::uint64_t seed = 0;
  std::string model;     // id of the model to train
  bool counted = false;  // this site's contribution is in the sum already
};

// Site → server: a sign of life with what is going on.
struct Heartbeat {
  std::string phase;  // "waiting", "fetching", "training", "sending"
  double done = 0;    // 0…1 of the phase
  std::string note;
};

// Site → server: this round's training or processing failed here; the site tries again by its own policy.
struct Failed {
  std::int64_t run = 1;
  int round = 0;
  std::string message;
};

// Server → site: the run has ended.
struct Done {
  std::int64_t run = 1;
  bool completed = true;
  std::string why;
  std::string model;  // id of the final model; empty if there is none
};

// Site → server: leaves for good.
struct Quit {};

// Admin → server: push the status now and whenever it changes.
struct Watch {};

// Admin → server: end the run.
struct Abort {
  std::string why;
};

// Server → admin. Free-form: what `status` shows.
struct StatusPush {
  Json status;
};

using Message = std::variant<Hello, Welcome, RoundOffer, Heartbeat, Failed, Done, Quit, Watch, Abort, StatusPush>;

Json ToJson(const Message& message);

// InvalidArgument for an unknown "type" or a wrong key.
Result<Message> MessageFromJson(const Json& json);

// First line of the body of PUT /v1/updates; the manifest follows after the newline.
struct ContributionHeader {
  std::int64_t run = 1;
  int round = 0;
  std::string base_model;  // id of the model that was trained
  double n_iter = 1;
  UpdateKind kind = UpdateKind::kDifference;
  EncodedMetrics metrics;
};
Json ToJson(const ContributionHeader& header);
Result<ContributionHeader> ContributionHeaderFromJson(const Json& json);

// The answer to that PUT, and to the PUT of the data (then always counted).
struct UploadGrant {
  bool counted = false;      // nothing more to do
  std::string upload;        // send the tensors to /v1/uploads/<upload>
  std::string tensors;       // the selection that the server lacks
  std::uint64_t bytes = 0;   // their size
  std::uint64_t offset = 0;  // where to go on
};
Json ToJson(const UploadGrant& grant);
Result<UploadGrant> UploadGrantFromJson(const Json& json);

}  // namespace fed_learn
