#include "transport/local/channel.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "base/hash.h"

namespace fed_learn {
namespace {

using ::testing::HasSubstr;

std::string Head(std::uint32_t length, std::uint32_t memories) {
  std::string head = "FLC1";
  for (const std::uint32_t value : {length, memories}) {
    for (int shift = 0; shift < 32; shift += 8) head.push_back(static_cast<char>(value >> shift));
  }
  return head;
}

std::string Frame(const std::string& body, std::uint32_t memories = 0) {
  return Head(static_cast<std::uint32_t>(body.size()), memories) + body;
}

int OpenDescriptors() {
  int count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

class ChannelTest : public ::testing::Test {
 protected:
  ChannelTest() {
    auto ends = *MakeSocketPair();
    peer_ = std::move(ends.second);
    channel_.emplace(std::move(ends.first), "the peer", ChannelLimits{.header_bytes = 10000, .memory_bytes = 1 << 20});
  }

  void PeerSends(const std::string& bytes, const std::vector<int>& descriptors = {}) {
    iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    std::vector<char> control(CMSG_SPACE(descriptors.size() * sizeof(int)));
    if (!descriptors.empty()) {
      message.msg_control = control.data();
      message.msg_controllen = control.size();
      cmsghdr* attached = CMSG_FIRSTHDR(&message);
      attached->cmsg_level = SOL_SOCKET;
      attached->cmsg_type = SCM_RIGHTS;
      attached->cmsg_len = CMSG_LEN(descriptors.size() * sizeof(int));
      std::memcpy(CMSG_DATA(attached), descriptors.data(), descriptors.size() * sizeof(int));
    }
    ASSERT_EQ(::sendmsg(peer_.get(), &message, 0), static_cast<ssize_t>(bytes.size()));
  }

  std::string Refusal() {
    const auto received = channel_->Receive();
    if (received.has_value()) return "received something";
    return std::string(ToString(received.error().kind())) + ": " + received.error().message();
  }

  FileDescriptor peer_;
  std::optional<Channel> channel_;
};

TEST_F(ChannelTest, MessageWithMemoryArrives) {
  Channel sender(std::move(peer_), "us");
  SharedMemoryWriter writer = *SharedMemoryWriter::Create(5);
  ASSERT_TRUE(writer.WriteAt(0, AsBytes("bytes")).has_value());
  LocalMessage message{.header = {{"type", "task"}}, .memory = *std::move(writer).Finish()};
  ASSERT_TRUE(sender.Send(std::move(message)).has_value());
  EXPECT_FALSE(sender.sending());
  const auto received = channel_->Receive();
  ASSERT_TRUE(received.has_value() && received->has_value());
  EXPECT_EQ((*received)->header["type"], "task");
  ASSERT_TRUE((*received)->memory.has_value());
  EXPECT_EQ((*received)->memory->size(), 5u);
}

TEST_F(ChannelTest, NothingYetIsNoMessage) {
  EXPECT_FALSE(channel_->Receive()->has_value());
  const std::string frame = Frame(R"({"a": 1})");
  for (const char byte : frame.substr(0, frame.size() - 1)) {
    PeerSends(std::string(1, byte));
    EXPECT_FALSE(channel_->Receive()->has_value());
  }
  PeerSends("}");
  EXPECT_EQ((**channel_->Receive()).header["a"], 1);
}

TEST_F(ChannelTest, MessagesStayApart) {
  PeerSends(Frame(R"({"a": 1})") + Frame("{}") + Frame(R"({"a": 3})"));
  EXPECT_EQ((**channel_->Receive()).header["a"], 1);
  EXPECT_TRUE((**channel_->Receive()).header.empty());
  EXPECT_EQ((**channel_->Receive()).header["a"], 3);
  EXPECT_FALSE(channel_->Receive()->has_value());
}

TEST_F(ChannelTest, MoreThanTheSocketTakesIsQueued) {
  Channel sender(std::move(peer_), "us");
  channel_.emplace(FileDescriptor(), "");
  auto ends = *MakeSocketPair();
  channel_.emplace(std::move(ends.first), "the peer");
  Channel large(std::move(ends.second), "us");
  const std::string text(3 << 20, 'x');
  ASSERT_TRUE(large.Send({.header = {{"text", text}}, .memory = std::nullopt}).has_value());
  EXPECT_TRUE(large.sending());
  std::optional<LocalMessage> message;
  while (!message) {
    auto received = channel_->Receive();
    ASSERT_TRUE(received.has_value());
    message = *std::move(received);
    ASSERT_TRUE(large.Flush().has_value());
  }
  EXPECT_EQ(message->header["text"], text);
}

TEST_F(ChannelTest, TextInsteadOfAFrameIsRefused) {
  PeerSends("Traceback (most recent call last)");
  EXPECT_THAT(Refusal(), HasSubstr("invalid_argument: the peer sent what is not a frame: it begins with 'Traceback"));
}

TEST_F(ChannelTest, LengthOverTheLimitIsRefusedBeforeItIsAllocated) {
  PeerSends(Head(0xffffffff, 0));
  EXPECT_THAT(Refusal(), HasSubstr("a frame of 4.29 GB"));
}

TEST_F(ChannelTest, UnknownFlagsAreRefused) {
  PeerSends(Head(2, 2) + "{}");
  EXPECT_THAT(Refusal(), HasSubstr("2 memories"));
}

TEST_F(ChannelTest, BodyThatIsNoObjectIsRefused) {
  PeerSends(Frame("[1]"));
  EXPECT_THAT(Refusal(), HasSubstr("no JSON object"));
}

TEST_F(ChannelTest, BodyThatIsNoJsonIsRefused) {
  for (const std::string body : {"", "{", "{\"a\": NaN}"}) {
    auto ends = *MakeSocketPair();
    peer_ = std::move(ends.second);
    channel_.emplace(std::move(ends.first), "the peer");
    PeerSends(Frame(body));
    EXPECT_THAT(Refusal(), HasSubstr("invalid_argument")) << body;
  }
}

TEST_F(ChannelTest, AnnouncedMemoryThatDoesNotComeIsRefused) {
  PeerSends(Frame("{}", 1));
  EXPECT_THAT(Refusal(), HasSubstr("without the memory"));
}

TEST_F(ChannelTest, DescriptorsThatAreNotAskedForAreRefusedAndClosed) {
  const int before = OpenDescriptors();
  PeerSends(Frame("{}", 0), {peer_.get()});
  EXPECT_THAT(Refusal(), HasSubstr("not announced"));
  channel_.reset();
  EXPECT_EQ(OpenDescriptors(), before - 1);
}

TEST_F(ChannelTest, TwoDescriptorsAreRefusedAndClosed) {
  for (const std::size_t count : {2, 3, 50}) {
    auto ends = *MakeSocketPair();
    peer_ = std::move(ends.second);
    channel_.emplace(std::move(ends.first), "the peer");
    const int before = OpenDescriptors();
    PeerSends(Frame("{}", 1), std::vector<int>(count, peer_.get()));
    EXPECT_THAT(Refusal(), HasSubstr("more than one descriptor"));
    channel_.reset();
    EXPECT_EQ(OpenDescriptors(), before - 1);
  }
}

TEST_F(ChannelTest, UnsealedMemoryIsRefused) {
  const FileDescriptor memory(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  PeerSends(Frame("{}", 1), {memory.get()});
  EXPECT_THAT(Refusal(), HasSubstr("the peer: the attached memory is not sealed"));
}

TEST_F(ChannelTest, ClosedPeerIsUnavailable) {
  PeerSends(Frame("{}"));
  peer_.Close();
  EXPECT_TRUE(channel_->Receive()->has_value()) << "what was sent before comes first";
  EXPECT_EQ(Refusal(), "unavailable: the peer has closed the channel");
}

TEST_F(ChannelTest, PeerThatClosesWithinAMessageIsUnavailable) {
  PeerSends(Head(100, 0) + "{");
  peer_.Close();
  EXPECT_EQ(Refusal(), "unavailable: the peer has closed the channel within a message");
}

TEST_F(ChannelTest, SendingToAClosedPeerIsUnavailable) {
  peer_.Close();
  const Status sent = channel_->Send({});
  ASSERT_FALSE(sent.has_value());
  EXPECT_EQ(sent.error().kind(), ErrorKind::kUnavailable);
}

}  // namespace
}  // namespace fed_learn
