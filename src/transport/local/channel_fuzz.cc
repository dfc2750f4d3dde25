// Whatever a program writes into its channel: refused or understood, never believed.
#include <sys/socket.h>

#include <cstddef>
#include <cstdint>

#include "transport/local/channel.h"
#include "transport/local/model_message.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fed_learn;  // NOLINT: a fuzzer is one function
  auto ends = MakeSocketPair();
  if (!ends.has_value() || size > 100000) return 0;
  if (::send(ends->second.get(), data, size, MSG_DONTWAIT) != static_cast<ssize_t>(size)) return 0;
  ends->second.Close();
  Channel channel(std::move(ends->first), "fuzzer", {.header_bytes = 1 << 16, .memory_bytes = 1 << 16});
  while (true) {
    auto received = channel.Receive();
    if (!received.has_value()) return 0;
    if (!received->has_value()) continue;
    LocalMessage message = **std::move(received);
    auto writer = SharedMemoryWriter::Create(4096);
    if (!writer.has_value()) return 0;
    auto memory = std::move(*writer).Finish();
    if (!memory.has_value()) return 0;
    message.memory = *std::move(memory);
    auto model = UnpackModel(message, "model", "fuzzer");
    if (!model.has_value()) continue;
    for (const NamedTensor& tensor : *model) {
      volatile std::byte sum{};
      for (const std::byte byte : tensor.tensor.bytes()) sum = sum ^ byte;
    }
  }
}
