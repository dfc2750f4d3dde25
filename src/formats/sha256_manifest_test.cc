// A manifest whose writer had no XXH3: hashes of the form "sha256:…".
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "formats/package.h"

namespace fed_learn {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kDigestOfAbc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
constexpr char kDigestOfThreeZeros[] = "709e80c88487a2411e1ee4dfb9f22a861492d20c4765150c0c794abd70f8147c";

std::string ManifestWith(const std::string& hash, const std::string& encoding = "raw", int length = 3) {
  return R"({"format":"fed_learn.model/1","tensors":[{"name":"w","role":"parameter","dtype":"u8","shape":[3],)"
         R"("encoding":")" +
         encoding + R"(","length":)" + std::to_string(length) + R"(,"hash":")" + hash + R"("}]})";
}

std::string Sha(const std::string& digest) { return "sha256:" + digest; }

void Fill(ModelReceiver& receiver, std::string_view bytes, std::size_t step) {
  ASSERT_TRUE(receiver.Expect(bytes.size()).has_value());
  while (!bytes.empty()) {
    const std::size_t piece = std::min(step, bytes.size());
    std::memcpy(receiver.Space().data(), bytes.data(), piece);
    receiver.Advance(piece);
    bytes.remove_prefix(piece);
  }
}

ModelReceiver Receiver(const std::string& manifest, const ModelReceiver::Lookup& have = {}) {
  return ModelReceiver(ParseManifest(manifest, "test").value(), have, std::make_shared<BufferPool>());
}

TEST(Sha256ManifestTest, ComesBackAsItWas) {
  const std::string text = ManifestWith(Sha(kDigestOfAbc));
  EXPECT_EQ(EncodeManifest(ParseManifest(text, "test").value()), text);
}

TEST(Sha256ManifestTest, TheRightBytesAreTakenInPiecesOfAnySize) {
  for (const std::size_t step : {1, 2, 3}) {
    ModelReceiver receiver = Receiver(ManifestWith(Sha(kDigestOfAbc)));
    Fill(receiver, "abc", step);
    const auto model = receiver.Finish();
    ASSERT_TRUE(model.has_value()) << model.error().message();
    EXPECT_EQ((*model)[0].tensor.bytes()[2], std::byte{'c'});
  }
}

TEST(Sha256ManifestTest, WrongBytesAreFoundInPiecesOfAnySize) {
  for (const std::size_t step : {1, 2, 3}) {
    ModelReceiver receiver = Receiver(ManifestWith(Sha(kDigestOfAbc)));
    Fill(receiver, "abd", step);
    const auto model = receiver.Finish();
    ASSERT_FALSE(model.has_value());
    EXPECT_EQ(model.error().kind(), ErrorKind::kDataLoss);
    EXPECT_THAT(model.error().message(), HasSubstr("'w'"));
  }
}

TEST(Sha256ManifestTest, ZerosAreVerifiedToo) {
  EXPECT_TRUE(Receiver(ManifestWith(Sha(kDigestOfThreeZeros), "zeros", 0)).Finish().has_value());
  EXPECT_EQ(Receiver(ManifestWith(Sha(kDigestOfAbc), "zeros", 0)).Finish().error().kind(), ErrorKind::kDataLoss);
}

TEST(Sha256ManifestTest, OtherDigitsAreRefusedByTheTensorsName) {
  const std::string digest = kDigestOfAbc;
  for (const std::string& hash : {std::string(), digest.substr(1), digest + "0", "g" + digest.substr(1),
                                  "A" + digest.substr(1), digest.substr(0, 32)}) {
    const auto manifest = ParseManifest(ManifestWith(Sha(hash)), "test");
    ASSERT_FALSE(manifest.has_value()) << hash;
    EXPECT_THAT(manifest.error().message(), HasSubstr("'w'"));
  }
  EXPECT_FALSE(ParseManifest(ManifestWith(digest), "test").has_value()) << "64 digits without the prefix";
  EXPECT_FALSE(ParseManifest(ManifestWith("md5:" + digest), "test").has_value());
}

// Entries with a SHA-256 have no content hash; two of them must not be taken for equal.
TEST(Sha256ManifestTest, IsNeverFoundAmongWhatIsHere) {
  auto there = std::make_shared<EncodedModel>();
  there->manifest = ParseManifest(ManifestWith(Sha(kDigestOfAbc)), "test").value();
  ASSERT_TRUE(there->model.Add("w", Tensor::Zeros(DType::kU8, {3})).has_value());
  const auto have = TensorsOf(there);
  EXPECT_THAT(Receiver(ManifestWith(Sha(kDigestOfThreeZeros)), have).lacking(), ElementsAre(0));
  EXPECT_THAT(Receiver(ManifestWith(std::string(32, '0')), have).lacking(), ElementsAre(0));
  EXPECT_THAT(
      Receiver(ManifestWith(ToHex(HashContent(AsBytes("abc")).bytes)), TensorsOf(EncodeModel(ModelData()))).lacking(),
      ElementsAre(0));
}

}  // namespace
}  // namespace fed_learn
