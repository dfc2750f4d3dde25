#include "demo/status_watcher.h"

#include <utility>

#include "base/log.h"
#include "transport/messages.h"

namespace fed_learn {

StatusWatcher::StatusWatcher(ClientLink& link, StatusCallbacks callbacks)
    : link_(link), callbacks_(std::move(callbacks)) {}

void StatusWatcher::Start() {
  link_.Start(*this);
  link_.Open();
}

void StatusWatcher::OnOpen() { link_.Send(ToJson(Watch{})); }

void StatusWatcher::OnMessage(Json json) {
  auto message = MessageFromJson(json);
  if (!message.has_value()) return LogWarning("from the server: {}", message.error().message());
  if (const auto* push = std::get_if<StatusPush>(&*message)) callbacks_.on_status(push->status);
}

void StatusWatcher::OnClose(const Error& why) { callbacks_.on_close(why); }

}  // namespace fed_learn
