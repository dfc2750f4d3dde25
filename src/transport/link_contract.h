// The fixture of link_contract_test.cc, which says every promise of link.h and runs for each implementation.
//
// To run it for another implementation, write transport/<name>/contract_test.cc:
//
//   class HttpsLinkPair : public LinkPair { … };
//   INSTANTIATE_TEST_SUITE_P(Https, LinkContract, ::testing::Values([]() -> std::unique_ptr<LinkPair> {
//     return std::make_unique<HttpsLinkPair>();
//   }));
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/byte_stream.h"
#include "transport/link.h"

namespace fed_learn {

// Links of one implementation, the loop that they call back on, and what lies between them. Made anew for each test.
class LinkPair {
 public:
  virtual ~LinkPair() = default;

  // Not started. Called again only after the last one was destroyed; clients made before reach the new one.
  virtual std::unique_ptr<ServerLink> MakeServer() = 0;

  // Not started; a site of this name: "site_1" or "site_2". Called only after the server's Start.
  virtual std::unique_ptr<ClientLink> MakeClient(const std::string& name) = 0;

  // Runs the loop until `done()`; false if that does not come in reasonable time (of the loop's clock).
  virtual bool RunUntil(const std::function<bool()>& done) = 0;

  // Breaks, as a failing network would, what the client of this name has open. False where that cannot be done: the
  // tests that need it are skipped.
  virtual bool Break(const std::string& name) {
    static_cast<void>(name);
    return false;
  }
};

using LinkPairFactory = std::unique_ptr<LinkPair> (*)();

// Remembers what it was told, and does what the test says with transfers.
class ScriptedServer : public ServerLinkHandler {
 public:
  using GetAnswer = Answer<std::shared_ptr<const ByteSource>>;
  using PutAnswer = Answer<std::shared_ptr<ByteSink>>;
  struct PutEnd {
    BulkRequest request;
    std::shared_ptr<ByteSink> sink;
    bool complete = false;
  };

  void OnOpen(SessionId session, const Peer& peer) override;
  void OnMessage(SessionId session, Json message) override;
  void OnClose(SessionId session, const Error& why) override;
  void OnGet(const BulkRequest& request, GetAnswer answer) override;
  void OnPut(const BulkRequest& request, PutAnswer answer) override;
  void OnPutEnd(const BulkRequest& request, std::shared_ptr<ByteSink> sink, bool complete,
                Answer<Json> answer) override;

  std::function<void(const BulkRequest&, const GetAnswer&)> on_get;
  std::function<void(const BulkRequest&, const PutAnswer&)> on_put;
  std::function<void(const PutEnd&, const Answer<Json>&)> on_put_end;  // for the complete ones

  std::vector<std::pair<SessionId, Peer>> opened;
  std::vector<std::pair<SessionId, Json>> messages;
  std::vector<std::pair<SessionId, Error>> closed;
  std::vector<BulkRequest> requests;
  std::vector<PutEnd> put_ends;
  std::size_t calls = 0;
};

class ScriptedClient : public ClientLinkHandler {
 public:
  void OnOpen() override;
  void OnMessage(Json message) override;
  void OnClose(const Error& why) override;

  int opened = 0;
  std::vector<Json> messages;
  std::vector<Error> closed;
  std::size_t calls = 0;
};

class LinkContract : public ::testing::TestWithParam<LinkPairFactory> {
 protected:
  LinkContract();
  ~LinkContract() override;

  bool RunUntil(const std::function<bool()>& done) { return pair_->RunUntil(done); }

  // A session of site_1; its id.
  SessionId Open();

  // What a GET of site_1 or a PUT of it answers.
  Result<std::uint64_t> Get(const std::string& path, const std::shared_ptr<ByteSink>& sink);
  Result<Json> Put(const std::string& path, const std::string& text, std::uint64_t offset = 0);

  // Lets everything that is under way arrive, as far as another site's message and GET can tell.
  void Settle();

  const std::unique_ptr<LinkPair> pair_;
  ScriptedServer at_server_;
  ScriptedClient at_client_;
  ScriptedClient at_other_;
  std::unique_ptr<ServerLink> server_;
  std::unique_ptr<ClientLink> client_;  // site_1
  std::unique_ptr<ClientLink> other_;   // site_2
};

}  // namespace fed_learn
