#include "transport/memory/client.h"

#include <fmt/format.h>

#include <utility>

#include "transport/memory/fabric.h"
#include "transport/memory/session.h"
#include "transport/memory/transfer.h"

namespace fed_learn {

MemoryClientLink::MemoryClientLink(MemoryNetwork& network, Loop& loop, Peer self)
    : fabric_(network.fabric_), end_(std::make_shared<MemoryClientEnd>(loop, std::move(self))) {}

MemoryClientLink::~MemoryClientLink() {
  end_->handler = nullptr;
  Close();
}

void MemoryClientLink::Start(ClientLinkHandler& handler) { end_->handler = &handler; }

void MemoryClientLink::Open() {
  end_->session = std::make_shared<MemorySession>(fabric_, end_);
  end_->session->Open();
}

void MemoryClientLink::Send(Json message) {
  if (end_->session == nullptr) return;
  end_->session->SendToServer(message.dump(-1, ' ', false, Json::error_handler_t::replace));
}

void MemoryClientLink::Close() {
  if (const auto session = std::exchange(end_->session, nullptr)) {
    session->CloseByClient(Unavailable(fmt::format("{} has closed the session", end_->peer.name)));
  }
  for (const auto& [serial, transfer] : std::exchange(end_->transfers, {})) transfer->ForgetByClient();
}

void MemoryClientLink::SetToken(std::string token) { end_->token = std::move(token); }

void MemoryClientLink::Get(std::string path, std::shared_ptr<ByteSink> sink, Answer<std::uint64_t> done) {
  BulkRequest request{
      .peer = end_->peer, .token = end_->token, .path = std::move(path), .offset = sink->offset(), .total = 0};
  const auto transfer = std::make_shared<MemoryTransfer>(
      fabric_, end_, std::move(request), MemoryTransfer::Get{.sink = std::move(sink), .done = std::move(done)});
  end_->transfers.emplace(transfer->serial(), transfer);
  transfer->Start(fabric_->DrawUpTo(fabric_->OptionsOf(end_->peer.name).reorder_max));
}

void MemoryClientLink::Put(std::string path, std::shared_ptr<const ByteSource> source, std::uint64_t offset,
                           Answer<Json> done) {
  BulkRequest request{
      .peer = end_->peer, .token = end_->token, .path = std::move(path), .offset = offset, .total = source->size()};
  const auto transfer = std::make_shared<MemoryTransfer>(
      fabric_, end_, std::move(request), MemoryTransfer::Put{.source = std::move(source), .done = std::move(done)});
  end_->transfers.emplace(transfer->serial(), transfer);
  transfer->Start(fabric_->DrawUpTo(fabric_->OptionsOf(end_->peer.name).reorder_max));
}

}  // namespace fed_learn
