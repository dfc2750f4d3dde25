// How long a connection may go without progress. Constants of the product, not settings: they are judged by progress,
// so they suit 2 Mbit/s and 10 Gbit/s alike. Only tests pass others.
#pragma once

#include <chrono>

#include "base/loop.h"

namespace fed_learn {

struct HttpsDeadlines {
  Duration connect = std::chrono::seconds(20);    // TCP and proxy, for each address tried; client only
  Duration handshake = std::chrono::seconds(10);  // TLS, in total: nobody computes while it runs
  Duration header = std::chrono::seconds(10);     // from its first byte to its last
  Duration idle = std::chrono::seconds(90);       // a bulk connection between two requests, at the server
  Duration reuse = std::chrono::seconds(45);      // the same at the client, shorter so that it rarely loses the race
  Duration progress = std::chrono::seconds(60);   // a body, or a wait for an answer, without a byte
  Duration heartbeat = std::chrono::seconds(20);  // from one "102 Processing" to the next while an answer waits
  Duration control = std::chrono::seconds(60);    // a session without a byte; a ping goes out after half of it
  Duration linger = std::chrono::seconds(5);      // for the peer to read a refusal before the connection is reset
};

}  // namespace fed_learn
