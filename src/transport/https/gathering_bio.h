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
// pages warm. Used by one thread.
class GatherPool {
 public:
  // One full record is 16,406 bytes; what one send takes.
  static constexpr std::size_t kBufferBytes = 16 * 16406;

  std::unique_ptr<std::byte[]> Take();
  void Give(std::unique_ptr<std::byte[]> buffer);

 private:
  std::vector<std::unique_ptr<std::byte[]>> kept_;
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
  bool HasRoom() const { return GatherPool::kBufferBytes - end_ >= kRecordBytes + kSlackBytes; }
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
  static constexpr std::size_t kRecordBytes = 16406;
  static constexpr std::size_t kSlackBytes = 4096;  // for alerts and key updates that come between

  int descriptor_;
  GatherPool* pool_;
  LinkCounters* counters_;
  std::unique_ptr<std::byte[]> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace fed_learn
