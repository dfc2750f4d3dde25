#include "transport/memory/server.h"

#include <utility>

#include "transport/memory/fabric.h"
#include "transport/memory/session.h"
#include "transport/memory/transfer.h"

namespace fed_learn {

MemoryServerLink::MemoryServerLink(MemoryNetwork& network, Loop& loop)
    : fabric_(network.fabric_), end_(std::make_shared<MemoryServerEnd>(loop)) {}

MemoryServerLink::~MemoryServerLink() {
  end_->handler = nullptr;
  for (const auto& [serial, transfer] : std::exchange(end_->transfers, {})) transfer->ForgetByServer();
  for (const auto& [id, session] : std::exchange(end_->sessions, {})) {
    session->CloseByServer(Unavailable("the server went away"));
  }
}

Status MemoryServerLink::Start(ServerLinkHandler& handler) {
  if (fabric_->server() != nullptr) return AlreadyExists("the network has a server already; end that one first");
  end_->handler = &handler;
  fabric_->set_server(end_);
  return {};
}

void MemoryServerLink::Send(SessionId session, Json message) {
  const auto found = end_->sessions.find(session);
  if (found == end_->sessions.end()) return;
  found->second->SendToClient(message.dump(-1, ' ', false, Json::error_handler_t::replace));
}

void MemoryServerLink::Close(SessionId session, const Error& why) {
  const auto found = end_->sessions.find(session);
  if (found != end_->sessions.end()) found->second->CloseByServer(why);
}

}  // namespace fed_learn
