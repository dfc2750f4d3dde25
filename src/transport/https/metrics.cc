#include "transport/https/metrics.h"

namespace fed_learn {

std::string_view ToString(Refusal refusal) {
  constexpr std::array<std::string_view, static_cast<std::size_t>(Refusal::kCount)> kNames = {"none",
                                                                                              "not_tls",
                                                                                              "tls_version",
                                                                                              "no_certificate",
                                                                                              "foreign_certificate",
                                                                                              "expired_certificate",
                                                                                              "revoked_certificate",
                                                                                              "wrong_role",
                                                                                              "slow_handshake",
                                                                                              "slow_header",
                                                                                              "bad_request",
                                                                                              "connections",
                                                                                              "rate",
                                                                                              "stalled_body",
                                                                                              "outbox",
                                                                                              "other"};
  return kNames[static_cast<std::size_t>(refusal)];
}

LinkMetrics LinkCounters::Snapshot() const {
  LinkMetrics metrics{.wire_bytes_in = wire_bytes_in,
                      .wire_bytes_out = wire_bytes_out,
                      .body_bytes_in = body_bytes_in,
                      .body_bytes_out = body_bytes_out,
                      .handshakes = handshakes,
                      .requests = requests,
                      .messages_in = messages_in,
                      .messages_out = messages_out,
                      .connections = connections};
  for (std::size_t i = 0; i < refused_.size(); ++i) metrics.refused[i] = refused_[i];
  return metrics;
}

}  // namespace fed_learn
