#include "transport/messages.h"

#include <type_traits>
#include <utility>

namespace fed_learn {
namespace {

// Reads keys of one message; the first one that is wrong is the error.
class Reader {
 public:
  Reader(const Json& json, std::string_view message) : json_(json), message_(message) {
    if (!json.is_object()) Fail("", "a JSON object");
  }

  template <typename T>
  void Required(const char* key, T& value) {
    if (!Read(key, value)) Fail(key, "there");
  }

  template <typename T>
  void Optional(const char* key, T& value) {
    Read(key, value);
  }

  template <typename T>
  Result<T> Finish(T value) {
    if (!wrong_.empty()) return InvalidArgument(wrong_);
    return value;
  }

 private:
  template <typename T>
  bool Read(const char* key, T& value) {
    if (!json_.is_object()) return true;
    const auto found = json_.find(key);
    if (found == json_.end()) return false;
    if (!Fits(*found, value)) {
      Fail(key, "of another type");
      return true;
    }
    value = found->template get<T>();
    return true;
  }

  static bool Fits(const Json& json, const std::string&) { return json.is_string(); }
  static bool Fits(const Json& json, const bool&) { return json.is_boolean(); }
  static bool Fits(const Json& json, const double&) { return json.is_number(); }
  static bool Fits(const Json& json, const std::uint64_t&) { return json.is_number_unsigned(); }
  static bool Fits(const Json& json, const std::int64_t&) {
    return json.is_number_unsigned() ? json.get<std::uint64_t>() <= INT64_MAX : json.is_number_integer();
  }
  static bool Fits(const Json& json, const int&) {
    return Fits(json, std::int64_t{}) && json.get<std::int64_t>() >= INT32_MIN &&
           json.get<std::int64_t>() <= INT32_MAX;
  }
  template <typename T>
  static bool Fits(const Json& json, const std::vector<T>&) {
    if (!json.is_array()) return false;
    for (const Json& item : json) {
      if (!Fits(item, T{})) return false;
    }
    return true;
  }
  static bool Fits(const Json& json, const EncodedMetrics&) {
    if (!json.is_object()) return false;
    for (const Json& item : json) {
      if (!item.is_number()) return false;
    }
    return true;
  }
  static bool Fits(const Json&, const Json&) { return true; }

  void Fail(std::string_view key, std::string_view wanted) {
    if (!wrong_.empty()) return;
    wrong_ = "message '" + std::string(message_) + "': " +
             (key.empty() ? "must be " + std::string(wanted)
              : wanted == "there" ? "key '" + std::string(key) + "' is missing"
                                  : "key '" + std::string(key) + "' is " + std::string(wanted));
  }

  const Json& json_;
  std::string_view message_;
  std::string wrong_;
};

Json Encode(const Hello& m) {
  return {{"type", "hello"},
          {"versions", m.versions},
          {"capabilities", m.capabilities},
          {"task_name", m.task_name},
          {"software", m.software}};
}
Json Encode(const Welcome& m) {
  return {{"type", "welcome"},
          {"version", m.version},
          {"capabilities", m.capabilities},
          {"token", m.token},
          {"heartbeat_seconds", m.heartbeat_seconds}};
}
Json Encode(const RoundOffer& m) {
  return {{"type", "round"},           {"run", m.run},   {"round", m.round}, {"start_round", m.start_round},
          {"num_rounds", m.num_rounds}, {"seed", m.seed}, {"model", m.model}, {"counted", m.counted}};
}
Json Encode(const Heartbeat& m) {
  return {{"type", "heartbeat"}, {"phase", m.phase}, {"done", m.done}, {"note", m.note}};
}
Json Encode(const Failed& m) {
  return {{"type", "failed"}, {"run", m.run}, {"round", m.round}, {"message", m.message}};
}
Json Encode(const Done& m) {
  return {{"type", "done"}, {"run", m.run}, {"completed", m.completed}, {"why", m.why}, {"model", m.model}};
}
Json Encode(const Quit&) { return {{"type", "quit"}}; }
Json Encode(const Watch&) { return {{"type", "watch"}}; }
Json Encode(const Abort& m) { return {{"type", "abort"}, {"why", m.why}}; }
Json Encode(const StatusPush& m) { return {{"type", "status"}, {"status", m.status}}; }

Result<Message> ReadHello(const Json& json) {
  Hello m;
  Reader in(json, "hello");
  in.Required("versions", m.versions);
  in.Optional("capabilities", m.capabilities);
  in.Required("task_name", m.task_name);
  in.Optional("software", m.software);
  return in.Finish<Message>(std::move(m));
}
Result<Message> ReadWelcome(const Json& json) {
  Welcome m;
  Reader in(json, "welcome");
  in.Required("version", m.version);
  in.Optional("capabilities", m.capabilities);
  in.Required("token", m.token);
  in.Optional("heartbeat_seconds", m.heartbeat_seconds);
  return in.Finish<Message>(std::move(m));
}
Result<Message> ReadRound(const Json& json) {
  RoundOffer m;
  Reader in(json, "round");
  in.Required("run", m.run);
  in.Required("round", m.round);
  in.Optional("start_round", m.start_round);
  in.Optional("num_rounds", m.num_rounds);
  in.Optional("seed", m.seed);
  in.Required("model", m.model);
  in.Optional("counted", m.counted);
  return in.Finish<Message>(std::move(m));
}
Result<Message> ReadHeartbeat(const Json& json) {
  Heartbeat m;
  Reader in(json, "heartbeat");
  in.Optional("phase", m.phase);
  in.Optional("done", m.done);
  in.Optional("note", m.note);
  return in.Finish<Message>(std::move(m));
}
Result<Message> ReadFailed(const Json& json) {
  Failed m;
  Reader in(json, "failed");
  in.Required("run", m.run);
  in.Required("round", m.round);
  in.Required("message", m.message);
  return in.Finish<Message>(std::move(m));
}
Result<Message> ReadDone(const Json& json) {
  Done m;
  Reader in(json, "done");
  in.Required("run", m.run);
  in.Required("completed", m.completed);
  in.Optional("why", m.why);
  in.Optional("model", m.model);
  return in.Finish<Message>(std::move(m));
}
Result<Message> ReadAbort(const Json& json) {
  Abort m;
  Reader in(json, "abort");
  in.Optional("why", m.why);
  return in.Finish<Message>(std::move(m));
}
Result<Message> ReadStatus(const Json& json) {
  StatusPush m;
  Reader in(json, "status");
  in.Required("status", m.status);
  return in.Finish<Message>(std::move(m));
}

}  // namespace

Json ToJson(const Message& message) {
  return std::visit([](const auto& m) { return Encode(m); }, message);
}

Result<Message> MessageFromJson(const Json& json) {
  if (!json.is_object() || !json.contains("type") || !json["type"].is_string()) {
    return InvalidArgument("a message is a JSON object with a string \"type\"");
  }
  const auto& type = json["type"].get_ref<const std::string&>();
  if (type == "hello") return ReadHello(json);
  if (type == "welcome") return ReadWelcome(json);
  if (type == "round") return ReadRound(json);
  if (type == "heartbeat") return ReadHeartbeat(json);
  if (type == "failed") return ReadFailed(json);
  if (type == "done") return ReadDone(json);
  if (type == "quit") return Message(Quit{});
  if (type == "watch") return Message(Watch{});
  if (type == "abort") return ReadAbort(json);
  if (type == "status") return ReadStatus(json);
  return InvalidArgument("no message is called '" + type.substr(0, 40) + "'");
}

Json ToJson(const ContributionHeader& header) {
  return {{"run", header.run},
          {"round", header.round},
          {"base_model", header.base_model},
          {"n_iter", header.n_iter},
          {"kind", header.kind == UpdateKind::kDifference ? "difference" : "weights"},
          {"metrics", header.metrics}};
}

Result<ContributionHeader> ContributionHeaderFromJson(const Json& json) {
  ContributionHeader header;
  std::string kind;
  Reader in(json, "contribution");
  in.Required("run", header.run);
  in.Required("round", header.round);
  in.Required("base_model", header.base_model);
  in.Optional("n_iter", header.n_iter);
  in.Required("kind", kind);
  in.Optional("metrics", header.metrics);
  if (kind == "weights") header.kind = UpdateKind::kWeights;
  if (kind != "weights" && kind != "difference" && !kind.empty()) {
    return InvalidArgument("message 'contribution': kind is 'difference' or 'weights', not '" + kind.substr(0, 40) +
                           "'");
  }
  return in.Finish(std::move(header));
}

Json ToJson(const UploadGrant& grant) {
  if (grant.counted) return {{"state", "counted"}};
  return {{"state", "send"},
          {"upload", grant.upload},
          {"tensors", grant.tensors},
          {"bytes", grant.bytes},
          {"offset", grant.offset}};
}

Result<UploadGrant> UploadGrantFromJson(const Json& json) {
  UploadGrant grant;
  std::string state;
  Reader in(json, "grant");
  in.Required("state", state);
  grant.counted = state == "counted";
  if (!grant.counted) {
    in.Required("upload", grant.upload);
    in.Required("tensors", grant.tensors);
    in.Required("bytes", grant.bytes);
    in.Required("offset", grant.offset);
  }
  return in.Finish(std::move(grant));
}

}  // namespace fed_learn
