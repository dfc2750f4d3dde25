#include "transport/local/channel.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "base/text.h"

namespace fed_learn {
namespace {

constexpr std::string_view kMagic = "FLC1";
constexpr std::size_t kHeadSize = 12;
// A length is believed this far at a time, so that a lie costs no memory.
constexpr std::size_t kPiece = 1u << 20;

void PutU32(std::string& out, std::uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<char>((value >> shift) & 0xff));
}

std::uint32_t GetU32(const char* bytes) {
  std::uint32_t value = 0;
  for (int i = 3; i >= 0; --i) value = (value << 8) | static_cast<unsigned char>(bytes[i]);
  return value;
}

// Room for two descriptors, since that is what the alignment of one leaves room for anyway.
union ControlBuffer {
  cmsghdr aligned;
  char bytes[CMSG_SPACE(2 * sizeof(int))];
};

}  // namespace

Result<std::pair<FileDescriptor, FileDescriptor>> MakeSocketPair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return SystemError("socketpair", errno);
  return std::pair(FileDescriptor(ends[0]), FileDescriptor(ends[1]));
}

Channel::Channel(FileDescriptor socket, std::string peer, ChannelLimits limits)
    : socket_(std::move(socket)), peer_(std::move(peer)), limits_(limits) {
  limits_.header_bytes = std::min<std::uint64_t>(limits_.header_bytes, UINT32_MAX);
}

Error Channel::Refused(std::string what) const { return InvalidArgument(peer_ + " sent " + std::move(what)); }

Status Channel::Send(LocalMessage message) {
  const std::string text = message.header.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() > limits_.header_bytes) {
    return InvalidArgument("a message of " + HumanBytes(text.size()) + " to " + peer_ + "; at most " +
                           HumanBytes(limits_.header_bytes) + " can be sent");
  }
  OutFrame frame{.bytes = std::string(kMagic), .memory = std::move(message.memory)};
  PutU32(frame.bytes, static_cast<std::uint32_t>(text.size()));
  PutU32(frame.bytes, frame.memory.has_value() ? 1 : 0);
  frame.bytes += text;
  outbox_.push_back(std::move(frame));
  return Flush();
}

Status Channel::Flush() {
  while (!outbox_.empty()) {
    OutFrame& frame = outbox_.front();
    iovec piece{frame.bytes.data() + frame.sent, frame.bytes.size() - frame.sent};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    ControlBuffer control{};
    if (frame.sent == 0 && frame.memory.has_value()) {
      message.msg_control = control.bytes;
      message.msg_controllen = CMSG_SPACE(sizeof(int));
      cmsghdr* attached = CMSG_FIRSTHDR(&message);
      attached->cmsg_level = SOL_SOCKET;
      attached->cmsg_type = SCM_RIGHTS;
      attached->cmsg_len = CMSG_LEN(sizeof(int));
      const int number = frame.memory->fd();
      std::memcpy(CMSG_DATA(attached), &number, sizeof(number));
    }
    const ssize_t sent = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return {};
    if (sent < 0) return Unavailable(peer_ + " has closed the channel");
    frame.sent += static_cast<std::size_t>(sent);
    if (frame.sent == frame.bytes.size()) outbox_.pop_front();
  }
  return {};
}

Status Channel::KeepDescriptor(int number) {
  FileDescriptor descriptor(number);
  if (attached_.is_open()) return Refused("more than one descriptor with a message");
  attached_ = std::move(descriptor);
  return {};
}

Result<std::size_t> Channel::Read(char* place, std::size_t size) {
  iovec piece{place, size};
  ControlBuffer control{};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof(control.bytes);
  ssize_t got = 0;
  do {
    got = ::recvmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return 0;
  if (got <= 0) return Unavailable(peer_ + " has closed the channel" + (head_size_ > 0 ? " within a message" : ""));
  Status kept;
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int number = -1;
      std::memcpy(&number, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
      if (Status one = KeepDescriptor(number); !one.has_value()) kept = std::move(one);
    }
  }
  RETURN_IF_ERROR(kept);
  if ((message.msg_flags & MSG_CTRUNC) != 0) return Refused("more than one descriptor with a message");
  return static_cast<std::size_t>(got);
}

Result<bool> Channel::ReadHead() {
  while (head_size_ < kHeadSize) {
    ASSIGN_OR_RETURN(const std::size_t got, Read(head_.data() + head_size_, kHeadSize - head_size_));
    if (got == 0) return false;
    head_size_ += got;
    const std::size_t shown = std::min(head_size_, kMagic.size());
    if (std::string_view(head_.data(), shown) != kMagic.substr(0, shown)) {
      return Refused("what is not a frame: it begins with '" + Escaped({head_.data(), head_size_}) +
                     "' instead of FLC1; is something printed into the channel?");
    }
  }
  const std::uint32_t length = GetU32(head_.data() + 4);
  const std::uint32_t memories = GetU32(head_.data() + 8);
  if (length > limits_.header_bytes) {
    return Refused("a frame of " + HumanBytes(length) + "; at most " + HumanBytes(limits_.header_bytes) +
                   " are taken here");
  }
  if (memories > 1) return Refused("a frame with " + std::to_string(memories) + " memories; it may have one");
  body_size_ = length;
  return true;
}

Result<bool> Channel::ReadBody() {
  while (body_.size() < body_size_) {
    const std::size_t before = body_.size();
    body_.resize(before + std::min(body_size_ - before, kPiece));
    auto got = Read(body_.data() + before, body_.size() - before);
    body_.resize(before + (got.has_value() ? *got : 0));
    RETURN_IF_ERROR(got);
    if (*got == 0) return false;
  }
  return true;
}

Result<std::optional<LocalMessage>> Channel::Receive() {
  if (head_size_ < kHeadSize) {
    ASSIGN_OR_RETURN(const bool complete, ReadHead());
    if (!complete) return std::nullopt;
  }
  ASSIGN_OR_RETURN(const bool complete, ReadBody());
  if (!complete) return std::nullopt;
  return Finish();
}

Result<std::optional<LocalMessage>> Channel::Finish() {
  const bool wants_memory = GetU32(head_.data() + 8) == 1;
  const std::string body = std::exchange(body_, {});
  head_size_ = 0;
  LocalMessage message;
  if (wants_memory != attached_.is_open()) {
    return Refused(wants_memory ? "a frame without the memory that it announces"
                                : "a descriptor that is not announced");
  }
  ASSIGN_OR_RETURN(message.header, ParseJson(body, "a message of " + peer_));
  if (!message.header.is_object()) return Refused("a message that is no JSON object");
  if (wants_memory) {
    auto memory = SharedMemory::Adopt(std::move(attached_), limits_.memory_bytes);
    if (!memory.has_value()) return memory.error().In(peer_);
    message.memory = *std::move(memory);
  }
  return std::optional<LocalMessage>(std::move(message));
}

}  // namespace fed_learn
