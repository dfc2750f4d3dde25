#include "transport/https/gathering_bio.h"

#include <openssl/bio.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace fed_learn {
namespace {

// What one send takes.
constexpr std::size_t kLargeBytes = 16 * GatherPool::kRecordBytes;
constexpr std::size_t kSmallBytes = 5 * GatherPool::kRecordBytes;
constexpr std::size_t kLargeMax = 8;  // in use at a time, and so also kept
constexpr std::size_t kSmallKeptMax = 8;

bool WouldBlock(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

int BioWrite(BIO* bio, const char* bytes, int size) {
  BIO_clear_retry_flags(bio);
  if (size <= 0) return 0;
  return static_cast<Gather*>(BIO_get_data(bio))->Append(bytes, static_cast<std::size_t>(size)) ? size : -1;
}

int BioRead(BIO* bio, char* bytes, int size) {
  BIO_clear_retry_flags(bio);
  if (size <= 0) return 0;
  const long received = static_cast<Gather*>(BIO_get_data(bio))->Receive(bytes, static_cast<std::size_t>(size));
  if (received < 0 && WouldBlock(errno)) BIO_set_retry_read(bio);
  return static_cast<int>(received);
}

long BioControl(BIO*, int command, long, void*) {
  // OpenSSL's own flush after a flight is answered and not obeyed: the connection flushes before it waits.
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

int BioCreate(BIO* bio) {
  BIO_set_init(bio, 1);
  return 1;
}

struct MethodFreer {
  void operator()(BIO_METHOD* method) const { BIO_meth_free(method); }
};

BIO_METHOD* Method() {
  static const std::unique_ptr<BIO_METHOD, MethodFreer> method = [] {
    std::unique_ptr<BIO_METHOD, MethodFreer> made(
        BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "fed_learn gathering socket"));
    BIO_meth_set_write(made.get(), BioWrite);
    BIO_meth_set_read(made.get(), BioRead);
    BIO_meth_set_ctrl(made.get(), BioControl);
    BIO_meth_set_create(made.get(), BioCreate);
    return made;
  }();
  return method.get();
}

}  // namespace

GatherPool::Buffer GatherPool::Take() {
  const bool is_large = large_out_ < kLargeMax;
  const std::size_t size = is_large ? kLargeBytes : kSmallBytes;
  if (is_large) ++large_out_;
  auto& kept = is_large ? large_ : small_;
  if (kept.empty()) return {std::unique_ptr<std::byte[]>(new std::byte[size]), size};
  Buffer buffer = std::move(kept.back());
  kept.pop_back();
  return buffer;
}

void GatherPool::Give(Buffer buffer) {
  if (buffer.size == kLargeBytes) {
    --large_out_;
    large_.push_back(std::move(buffer));
  } else if (small_.size() < kSmallKeptMax) {
    small_.push_back(std::move(buffer));
  }
}

Gather::~Gather() {
  if (buffer_.bytes != nullptr) pool_->Give(std::exchange(buffer_, {}));
}

Gather::Flushed Gather::Flush() {
  while (begin_ < end_) {
    const ssize_t sent = send(descriptor_, buffer_.bytes.get() + begin_, end_ - begin_, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return WouldBlock(errno) ? Flushed::kBlocked : Flushed::kBroken;
    begin_ += static_cast<std::size_t>(sent);
    counters_->wire_bytes_out.fetch_add(static_cast<std::uint64_t>(sent), std::memory_order_relaxed);
  }
  begin_ = end_ = 0;
  if (buffer_.bytes != nullptr) pool_->Give(std::exchange(buffer_, {}));
  return Flushed::kAll;
}

bio_st* Gather::NewBio() {
  BIO* bio = BIO_new(Method());
  BIO_set_data(bio, this);
  return bio;
}

bool Gather::Append(const char* bytes, std::size_t size) {
  if (buffer_.bytes == nullptr) buffer_ = pool_->Take();
  if (buffer_.size - end_ < size) return false;
  std::memcpy(buffer_.bytes.get() + end_, bytes, size);
  end_ += size;
  return true;
}

long Gather::Receive(char* bytes, std::size_t size) {
  ssize_t received = -1;
  do {
    received = recv(descriptor_, bytes, size, 0);
  } while (received < 0 && errno == EINTR);
  if (received > 0) {
    counters_->wire_bytes_in.fetch_add(static_cast<std::uint64_t>(received), std::memory_order_relaxed);
  }
  return received;
}

}  // namespace fed_learn
