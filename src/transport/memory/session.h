// MemorySession: one control channel between a client and the server. Internal to transport/memory.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "transport/memory/fabric.h"

namespace fed_learn {

class MemorySession final : public MemoryConnection, public std::enable_shared_from_this<MemorySession> {
 public:
  MemorySession(std::shared_ptr<MemoryFabric> fabric, const std::shared_ptr<MemoryClientEnd>& client);

  // Asks the server for the session; the client hears OnOpen or OnClose.
  void Open();

  void SendToServer(std::string text);
  // Ends the session (ResourceExhausted) when more would lie unread than the peer may have.
  void SendToClient(std::string text);

  // Each ends the caller's side at once and lets the other side learn it after what was sent before. The server's
  // handler hears of it too, if its link is still there.
  void CloseByServer(const Error& why);
  void CloseByClient(const Error& why);

  void Break() override;

  SessionId id() const { return SessionId{serial()}; }

 private:
  enum class Side { kNotYet, kOpen, kClosed };

  struct Letter {
    enum class Kind { kAccepted, kMessage, kClosed };
    Kind kind = Kind::kMessage;
    std::string text;
    std::optional<Error> why;
  };
  // One direction. Letters arrive in the order of sending, whatever delay each draws.
  struct Pipe {
    std::deque<Letter> letters;
    std::size_t bytes = 0;
    MonotonicTime last_arrival{};
  };

  void ArriveAtServer();
  void Refuse(const Error& why);
  void Put(Pipe& pipe, Letter letter, void (MemorySession::*deliver)(Letter));
  void DeliverToServer(Letter letter);
  void DeliverToClient(Letter letter);
  void EndAtServer(const Error& why);
  void EndAtClient(const Error& why);

  const std::weak_ptr<MemoryClientEnd> client_;
  std::weak_ptr<MemoryServerEnd> server_;  // known once the request has arrived
  Side client_side_ = Side::kNotYet;
  Side server_side_ = Side::kNotYet;
  bool server_told_ = false;  // it has heard OnOpen, so it shall hear OnClose
  bool broken_ = false;
  Pipe to_server_;
  Pipe to_client_;
};

}  // namespace fed_learn
