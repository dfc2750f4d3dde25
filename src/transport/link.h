// link.h: what a server and a site need from whatever connects them.
//
// A link carries two things. *Control*: small JSON messages, pushed, in order within a session, lost when the session
// ends. *Bulk*: GET and PUT of bytes at a path, apart from the session, in any order, resumable at an offset.
// Nothing here retries: the driver knows what is worth retrying.
//
// Every callback runs on the driver's Loop; every method is called from it. A link never calls back from inside a call.
// transport/link_contract_test.cc says the rest, for each implementation.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/byte_stream.h"
#include "base/json.h"
#include "base/result.h"

namespace fed_learn {

enum class PeerRole { kSite, kAdmin };

// Who is at the other end, as the transport proved it (from the certificate).
struct Peer {
  std::string name;  // the certificate's CN
  PeerRole role = PeerRole::kSite;
  std::string address;  // for the log: "127.0.0.1:4711"
};

// One control channel, from opening to closing. Never used twice.
enum class SessionId : std::uint64_t {};

struct BulkRequest {
  Peer peer;
  std::string token;         // what registration gave out; empty if the peer sent none
  std::string path;          // "/v1/…", with its query, decoded nowhere
  std::uint64_t offset = 0;  // first byte wanted (GET) or sent (PUT)
  std::uint64_t total = 0;   // PUT: size of the whole object, offset included
  int lane = 0;              // transfers of one lane take turns on a thread of the link's; those of others do not wait
};

template <typename T>
using Answer = std::function<void(Result<T>)>;

// The server's side of what happens. An answer may be given at once or later, once; the peer waits without a deadline
// of the link's, so a queue (credits) needs no polling. An answer dropped unanswered counts as Unavailable.
class ServerLinkHandler {
 public:
  virtual ~ServerLinkHandler() = default;

  virtual void OnOpen(SessionId session, const Peer& peer) = 0;
  virtual void OnMessage(SessionId session, Json message) = 0;
  // After this the session's id is never seen again. Also follows ServerLink::Close.
  virtual void OnClose(SessionId session, const Error& why) = 0;

  virtual void OnGet(const BulkRequest& request, Answer<std::shared_ptr<const ByteSource>> answer) = 0;

  // Where request.total − request.offset bytes shall go. The link then calls Expect(request.total) on the sink and
  // fills it; a sink whose offset() is not request.offset is answered FailedPrecondition by the link.
  virtual void OnPut(const BulkRequest& request, Answer<std::shared_ptr<ByteSink>> answer) = 0;

  // The sink that OnPut gave is the driver's again: full if `complete`, else the connection broke and nobody hears the
  // answer. The JSON is the PUT's reply.
  virtual void OnPutEnd(const BulkRequest& request, std::shared_ptr<ByteSink> sink, bool complete,
                        Answer<Json> answer) = 0;
};

class ServerLink {
 public:
  virtual ~ServerLink() = default;  // ends all sessions, without calling back

  // Starts calling `handler`, which outlives the link.
  virtual Status Start(ServerLinkHandler& handler) = 0;

  // Queued; a session whose queue outgrows its bound is closed (ResourceExhausted). Unknown sessions: no effect.
  virtual void Send(SessionId session, Json message) = 0;

  // Sends {"type": "closed", "kind": …, "message": …}, then ends the session.
  virtual void Close(SessionId session, const Error& why) = 0;
};

class ClientLinkHandler {
 public:
  virtual ~ClientLinkHandler() = default;
  virtual void OnOpen() = 0;
  virtual void OnMessage(Json message) = 0;
  // The session could not be opened, or has ended: by the server's Close (its error), or by the network (Unavailable).
  virtual void OnClose(const Error& why) = 0;
};

class ClientLink {
 public:
  virtual ~ClientLink() = default;  // ends everything, without calling back

  virtual void Start(ClientLinkHandler& handler) = 0;  // the handler outlives the link

  virtual void Open() = 0;              // a session; ends in OnOpen or OnClose. REQUIRES: none open or opening.
  virtual void Send(Json message) = 0;  // no effect without a session
  virtual void Close() = 0;  // ends the session and all transfers; no OnClose, unfinished transfers are never answered

  virtual void SetToken(std::string token) = 0;  // sent with every transfer from now on

  // Fills the sink from its offset(). Answers the object's total size, or an error; bytes that came before a break stay
  // in the sink, so a call with the same sink goes on where it stopped.
  virtual void Get(std::string path, std::shared_ptr<ByteSink> sink, Answer<std::uint64_t> done) = 0;

  // Sends the source's bytes from `offset` on. Answers the server's JSON, or its error.
  virtual void Put(std::string path, std::shared_ptr<const ByteSource> source, std::uint64_t offset,
                   Answer<Json> done) = 0;
};

}  // namespace fed_learn
