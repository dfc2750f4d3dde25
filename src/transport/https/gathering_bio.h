// A BIO on a socket that gathers records: OpenSSL writes one of 16 KB at a time, and a send for each would cost a
// quarter to a half of the throughput. Reads go straight through.
//
// Used by one thread, the connection's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "transport/https/metrics.h"

struct bio_st;

namespace fed_learn {

// Buffers that the connections of one thread take turns with, so that an idle one holds none and a busy one finds its
// pages warm. A connection keeps its buffer while its peer's window is full; where many do, the later ones get small
// buffers, so that memory hardly follows their number. Used by one thread.
class GatherPool {
 public:
  static constexpr std::size_t kRecordBytes = 16406;  // a full one on the wire

  struct Buffer {
    std::unique_ptr<std::byte[]> bytes;
    std::size_t size = 0;
  };
  Buffer Take();
  void Give(Buffer buffer);

 private:
  std::vector<Buffer> large_;  // not in use
  std::vector<Buffer> small_;
  std::size_t large_out_ = 0;
};

// What has been written and not yet sent.
class Gather {
 public:
  // `pool` and `counters` outlive this.
  Gather(int descriptor, GatherPool& pool, LinkCounters& counters)
      : descriptor_(descriptor), pool_(&pool), counters_(&counters) {}
  ~Gather();
  Gather(const Gather&) = delete;
  Gather& operator=(const Gather&) = delete;

  enum class Flushed { kAll, kBlocked, kBroken };

  // Sends what there is, as far as the socket takes it.
  Flushed Flush();

  // Whether one more record of full size fits. Writing without it fails the connection, so ask before SSL_write.
  bool HasRoom() const { return end_ == 0 || buffer_.size - end_ >= GatherPool::kRecordBytes + kSlackBytes; }
  bool empty() const { return begin_ == end_; }

  // Forgets the descriptor, whose number may soon be somebody else's. All that follows fails.
  void Disconnect() { descriptor_ = -1; }

  // A new BIO over this, for SSL_set_bio, which takes it over. This outlives it.
  bio_st* NewBio();

  // For the BIO: all of it, or false if it does not fit.
  bool Append(const char* bytes, std::size_t size);
  // For the BIO: as recv(2).
  long Receive(char* bytes, std::size_t size);

 private:
  static constexpr std::size_t kSlackBytes = 4096;  // for alerts and key updates that come between

  int descriptor_;
  GatherPool* pool_;
  LinkCounters* counters_;
  GatherPool::Buffer buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace fed_learn
