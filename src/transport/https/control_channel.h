// ControlChannel: JSON text messages both ways over one WebSocket.
//
// Lives on the thread of its stream's io_context; every method is called there, every callback comes from there and
// never from inside a call.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "base/json.h"
#include "base/result.h"
#include "transport/https/deadlines.h"
#include "transport/https/metrics.h"
#include "transport/https/tls_stream.h"

namespace fed_learn {

struct ControlChannelOptions {
  HttpsDeadlines deadlines;
  std::size_t message_bytes_max = 1 << 20;  // of an incoming message
  // Called before each read; says how long to put it off, so that a talkative peer is heard at the pace it is allowed.
  std::function<Duration()> pace;
};

// What the owner hears. `on_close` comes last, once, unless Abort came before; then nothing comes any more. Each may be
// null.
struct ControlChannelEvents {
  std::function<void()> on_open;  // the upgrade is done
  std::function<void(Json)> on_message;
  std::function<void(const Error&)> on_close;
  // Bytes of a message that Send took, now sent or given up.
  std::function<void(std::size_t)> on_sent;
};

class ControlChannel {
 public:
  virtual ~ControlChannel() = default;

  // What is sent before the upgrade is done, follows it.
  virtual void Send(std::string text) = 0;

  // Sends what is queued and then the goodbye of a WebSocket; then on_close.
  virtual void Finish() = 0;

  // The same without another callback; at once, if it is not open yet.
  virtual void Leave() = 0;

  // Closes the socket at once, without another callback.
  virtual void Abort() = 0;
};

// Answers the upgrade request `head` (HTTP text with its blank line), the last that was read from `stream`.
std::shared_ptr<ControlChannel> AcceptControlChannel(TlsStream stream, const std::string& head,
                                                     ControlChannelOptions options, LinkCounters& counters,
                                                     ControlChannelEvents events);

// Asks for the upgrade at `path`. `host` goes into the Host header.
std::shared_ptr<ControlChannel> ConnectControlChannel(TlsStream stream, const std::string& host,
                                                      const std::string& path, ControlChannelOptions options,
                                                      LinkCounters& counters, ControlChannelEvents events);

}  // namespace fed_learn
