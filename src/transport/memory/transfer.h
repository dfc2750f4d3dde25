// MemoryTransfer: one GET or PUT between a client and the server. Internal to transport/memory.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <variant>

#include "base/byte_stream.h"
#include "transport/memory/fabric.h"

namespace fed_learn {

class MemoryTransfer final : public MemoryConnection, public std::enable_shared_from_this<MemoryTransfer> {
 public:
  struct Get {
    std::shared_ptr<ByteSink> sink;
    Answer<std::uint64_t> done;
  };
  struct Put {
    std::shared_ptr<const ByteSource> source;
    Answer<Json> done;
  };

  // `request` is what the server will see. Without a client (a PUT that is delivered once more) nobody hears the
  // answer.
  MemoryTransfer(std::shared_ptr<MemoryFabric> fabric, std::weak_ptr<MemoryClientEnd> client, BulkRequest request,
                 std::variant<Get, Put> work);

  // Begins, so much later than a control message would.
  void Start(Duration extra_delay);

  // The client's side ends without an answer; the server learns it.
  void ForgetByClient();
  // The server's link ends; the client learns it.
  void ForgetByServer();

  void Break() override;

 private:
  void ArriveAtServer();
  void AskGet();
  void AskPut();
  template <typename T>
  Answer<T> AnswerThen(void (MemoryTransfer::*then)(Result<T>));

  void OnSource(Result<std::shared_ptr<const ByteSource>> source);
  void ReceiveAtClient(const std::shared_ptr<const ByteSource>& source);
  void PumpToClient();
  void OnSink(Result<std::shared_ptr<ByteSink>> sink);
  void PumpToServer();
  void OnReply(Result<Json> reply);

  // Copies the next chunk; false, with an error, if the sink takes no more although something is left.
  Status CopyChunk(const ByteSource& source, ByteSink& sink, std::uint64_t total);
  void PumpLater(bool at_client);
  void GiveBackSink();
  void Fail(const Error& why);
  void Finish(std::variant<Error, std::uint64_t, Json> outcome);
  void LeaveServer();
  void DeliverOnceMore();

  const std::weak_ptr<MemoryClientEnd> client_;
  std::weak_ptr<MemoryServerEnd> server_;  // known once the request has arrived
  const BulkRequest request_;
  std::variant<Get, Put> work_;
  std::shared_ptr<const ByteSource> got_;  // GET: the server's object
  std::shared_ptr<ByteSink> server_sink_;  // PUT: the driver's, while the transfer has it
  std::uint64_t chunk_copied_ = 0;         // by the last CopyChunk
  bool broken_ = false;                    // nothing gets through any more
};

}  // namespace fed_learn
