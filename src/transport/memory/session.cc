#include "transport/memory/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/json.h"
#include "base/text.h"

namespace fed_learn {

MemorySession::MemorySession(std::shared_ptr<MemoryFabric> fabric, const std::shared_ptr<MemoryClientEnd>& client)
    : MemoryConnection(std::move(fabric), client->peer.name), client_(client) {}

void MemorySession::Open() {
  fabric().After(fabric().DrawDelay(peer()), [self = shared_from_this()] { self->ArriveAtServer(); });
}

void MemorySession::ArriveAtServer() {
  const auto client = client_.lock();
  if (broken_ || client_side_ == Side::kClosed || client == nullptr) return;
  const auto server = fabric().server();
  if (server == nullptr) return Refuse(Unavailable("the server is not there; it may be starting again"));
  if (!fabric().reachable(peer())) return Refuse(Unavailable("the network does not reach the server"));
  server_ = server;
  server->sessions.emplace(id(), shared_from_this());
  Tell(server_, [self = shared_from_this(), peer = client->peer] {
    const auto end = self->server_.lock();
    if (self->server_side_ == Side::kClosed || !end->sessions.contains(self->id())) return;
    self->server_side_ = Side::kOpen;
    self->server_told_ = true;
    self->Put(self->to_client_, {.kind = Letter::Kind::kAccepted, .text = "", .why = std::nullopt},
              &MemorySession::DeliverToClient);
    end->handler->OnOpen(self->id(), peer);
  });
}

void MemorySession::Refuse(const Error& why) {
  server_side_ = Side::kClosed;
  fabric().After(fabric().DrawDelay(peer()), [self = shared_from_this(), why] { self->EndAtClient(why); });
}

void MemorySession::SendToServer(std::string text) {
  if (client_side_ != Side::kOpen) return;
  Put(to_server_, {.kind = Letter::Kind::kMessage, .text = std::move(text), .why = std::nullopt},
      &MemorySession::DeliverToServer);
}

void MemorySession::SendToClient(std::string text) {
  if (server_side_ != Side::kOpen) return;
  const std::size_t waiting = to_client_.bytes + text.size();
  const std::size_t bytes_max = fabric().OptionsOf(peer()).outbox_bytes_max;
  if (waiting <= bytes_max) {
    return Put(to_client_, {.kind = Letter::Kind::kMessage, .text = std::move(text), .why = std::nullopt},
               &MemorySession::DeliverToClient);
  }
  server_side_ = Side::kClosed;
  EndAtServer(ResourceExhausted(fmt::format("'{}' does not read what it is sent: {} wait for it, {} may", peer(),
                                            HumanBytes(waiting), HumanBytes(bytes_max))));
  Break();
}

void MemorySession::CloseByServer(const Error& why) {
  if (std::exchange(server_side_, Side::kClosed) == Side::kClosed) return;
  EndAtServer(why);
  Put(to_client_, {.kind = Letter::Kind::kClosed, .text = "", .why = why}, &MemorySession::DeliverToClient);
}

void MemorySession::CloseByClient(const Error& why) {
  client_side_ = Side::kClosed;
  if (server_.lock() == nullptr) return;
  Put(to_server_, {.kind = Letter::Kind::kClosed, .text = "", .why = why}, &MemorySession::DeliverToServer);
}

void MemorySession::Put(Pipe& pipe, Letter letter, void (MemorySession::*deliver)(Letter)) {
  if (broken_) return;
  if (fabric().Chance(fabric().OptionsOf(peer()).message_cut_chance)) return Break();
  pipe.bytes += letter.text.size();
  pipe.letters.push_back(std::move(letter));
  pipe.last_arrival = std::max(pipe.last_arrival, fabric().Now() + fabric().DrawDelay(peer()));
  fabric().After(pipe.last_arrival - fabric().Now(), [self = shared_from_this(), &pipe, deliver] {
    if (self->broken_ || pipe.letters.empty()) return;
    Letter first = std::move(pipe.letters.front());
    pipe.letters.pop_front();
    pipe.bytes -= first.text.size();
    ((*self).*deliver)(std::move(first));
  });
}

void MemorySession::DeliverToServer(Letter letter) {
  if (letter.kind == Letter::Kind::kClosed) return EndAtServer(*letter.why);
  ++fabric().traffic(peer()).messages_to_server;
  Tell(server_, [self = shared_from_this(), text = std::move(letter.text)] {
    if (self->server_side_ != Side::kOpen) return;
    Result<Json> message = ParseJson(text, "a control message of " + self->peer());
    if (!message.has_value()) return self->CloseByServer(message.error());
    self->server_.lock()->handler->OnMessage(self->id(), *std::move(message));
  });
}

void MemorySession::DeliverToClient(Letter letter) {
  if (letter.kind == Letter::Kind::kClosed) return EndAtClient(*letter.why);
  if (letter.kind == Letter::Kind::kMessage) ++fabric().traffic(peer()).messages_to_client;
  Tell(client_, [self = shared_from_this(), letter = std::move(letter)] {
    if (self->client_side_ == Side::kClosed) return;
    if (letter.kind == Letter::Kind::kAccepted) {
      self->client_side_ = Side::kOpen;
      return self->client_.lock()->handler->OnOpen();
    }
    Result<Json> message = ParseJson(letter.text, "a control message of the server");
    if (message.has_value()) return self->client_.lock()->handler->OnMessage(*std::move(message));
    self->CloseByClient(message.error());
    self->EndAtClient(message.error());
  });
}

void MemorySession::EndAtServer(const Error& why) {
  Tell(server_, [self = shared_from_this(), why] {
    const auto end = self->server_.lock();
    // Whoever takes the session out of the map tells the handler, so it hears once.
    if (end->sessions.erase(self->id()) == 0) return;
    self->server_side_ = Side::kClosed;
    if (self->server_told_) end->handler->OnClose(self->id(), why);
  });
}

void MemorySession::EndAtClient(const Error& why) {
  Tell(client_, [self = shared_from_this(), why] {
    const auto end = self->client_.lock();
    if (end->session != self) return;
    end->session.reset();
    self->client_side_ = Side::kClosed;
    end->handler->OnClose(why);
  });
}

void MemorySession::Break() {
  const bool ended = client_side_ == Side::kClosed && server_side_ == Side::kClosed;
  if (std::exchange(broken_, true) || ended) return;
  ++fabric().traffic(peer()).breaks;
  to_server_.letters.clear();
  to_client_.letters.clear();
  const auto notice = fabric().DrawNotice(peer());
  const Error why = Unavailable("the connection broke");
  fabric().After(notice.to_client, [self = shared_from_this(), why] { self->EndAtClient(why); });
  fabric().After(notice.to_server, [self = shared_from_this(), why] { self->EndAtServer(why); });
}

}  // namespace fed_learn
