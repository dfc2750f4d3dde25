// Channel: messages between two processes on one machine, over a UNIX stream socket. A message is a JSON object and at
// most one shared memory. Byte by byte: docs/local_channel.md.
//
// It never blocks: its owner polls fd() for reading, and for writing while sending(). The peer is not believed: a frame
// that breaks a rule ends the channel. Not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>

#include "base/json.h"
#include "base/result.h"
#include "transport/local/file_descriptor.h"
#include "transport/local/shared_memory.h"

namespace fed_learn {

struct LocalMessage {
  Json header = Json::object();
  std::optional<SharedMemory> memory;
};

struct ChannelLimits {
  std::uint64_t header_bytes = 64ull << 20;
  std::uint64_t memory_bytes = 1ull << 40;
};

// Two connected sockets, closed at exec.
Result<std::pair<FileDescriptor, FileDescriptor>> MakeSocketPair();

class Channel {
 public:
  // `peer` is named in errors. REQUIRES: a connected UNIX stream socket.
  Channel(FileDescriptor socket, std::string peer, ChannelLimits limits = {});

  int fd() const { return socket_.get(); }

  // Queues a message and writes what the socket takes at once. Unavailable if the peer has closed;
  // InvalidArgument if the header is over the limit.
  Status Send(LocalMessage message);

  // Something is queued: call Flush when the socket is writable.
  bool sending() const { return !outbox_.empty(); }
  Status Flush();

  // The next message, or none if it has not all come yet. After an error the channel is of no more use:
  //   Unavailable:     the peer has closed, at the end of a message or within one
  //   InvalidArgument: it sent what is not a frame, is over a limit, is not a JSON object, or memory that is not sealed
  Result<std::optional<LocalMessage>> Receive();

 private:
  struct OutFrame {
    std::string bytes;
    std::optional<SharedMemory> memory;
    std::size_t sent = 0;
  };
  // How much of `size` bytes at `place` was read; 0: nothing more for now.
  Result<std::size_t> Read(char* place, std::size_t size);
  Result<bool> ReadHead();
  Result<bool> ReadBody();
  Status KeepDescriptor(int number);
  Result<std::optional<LocalMessage>> Finish();
  Error Refused(std::string what) const;

  FileDescriptor socket_;
  std::string peer_;
  ChannelLimits limits_;
  std::deque<OutFrame> outbox_;

  std::array<char, 12> head_{};
  std::size_t head_size_ = 0;
  std::string body_;
  std::size_t body_size_ = 0;
  FileDescriptor attached_;
};

}  // namespace fed_learn
