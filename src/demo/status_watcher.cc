#include "demo/status_watcher.h"

#include <utility>

#include "base/log.h"
#include "transport/messages.h"

namespace fed_learn {

StatusWatcher::StatusWatcher(ClientLink& link, std::function<void(const Json&)> on_status)
    : link_(link), on_status_(std::move(on_status)) {}

void StatusWatcher::Start() {
  link_.Start(*this);
  link_.Open();
}

void StatusWatcher::OnOpen() { link_.Send(ToJson(Watch{})); }

void StatusWatcher::OnMessage(Json json) {
  auto message = MessageFromJson(json);
  if (!message.has_value()) return LogWarning("from the server: {}", message.error().message());
  if (const auto* push = std::get_if<StatusPush>(&*message)) on_status_(push->status);
}

void StatusWatcher::OnClose(const Error& why) {
  LogDebug("the server's status is not shown any more: {}", why.message());
}

}  // namespace fed_learn
