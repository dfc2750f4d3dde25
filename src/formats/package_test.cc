#include "formats/package.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <thread>

#include "base/random.h"
#include "formats/span_file.h"
#include "formats/test_files.h"

namespace fed_learn {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

Tensor Numbers(Shape shape, std::uint64_t seed) {
  Tensor tensor = Tensor::Allocate(DType::kF32, std::move(shape));
  Random random(seed);
  for (float& value : tensor.mutable_values<float>()) value = static_cast<float>(random.Normal());
  return tensor;
}

// Every kind of tensor there is: large and small, odd sizes, none, scalar, zeros, opaque bytes.
ModelData SomeModel(std::uint64_t seed = 1) {
  ModelData model;
  const auto add = [&model](std::string name, Tensor tensor, Role role) {
    ASSERT_TRUE(model.Add(std::move(name), std::move(tensor), role).has_value());
  };
  add("conv.weight", Numbers({64, 3, 7, 7}, seed), Role::kParameter);
  add("frozen", Tensor::Zeros(DType::kF64, {1000, 50}), Role::kParameter);
  add("bn.running_mean", Numbers({3}, seed + 1), Role::kBuffer);
  add("none", Tensor::Zeros(DType::kI16, {0, 4}), Role::kParameter);
  const std::int64_t batches = 12;
  add("bn.num_batches_tracked", Tensor::Of<std::int64_t>({}, std::span(&batches, 1)), Role::kCounter);
  const std::array<std::uint8_t, 5> blob = {1, 2, 3, 4, 5};
  add("größe \"q\"\\\n\x01", Tensor::Of<std::uint8_t>({5}, blob), Role::kOpaque);
  return model;
}

// Moves everything from a source into a sink, at most `step` bytes at a time.
void Move(const ByteSource& source, ByteSink& sink, std::size_t step) {
  ASSERT_TRUE(sink.Expect(source.size()).has_value());
  while (!sink.Space().empty()) {
    const auto from = source.At(sink.offset());
    ASSERT_FALSE(from.empty());
    const auto space = sink.Space();
    const std::size_t bytes = std::min({step, from.size(), space.size()});
    std::memcpy(space.data(), from.data(), bytes);
    sink.Advance(bytes);
  }
  EXPECT_EQ(sink.offset(), source.size());
  EXPECT_THAT(source.At(sink.offset()), IsEmpty());
}

constexpr std::string_view kEntry =
    R"({"name":"w","role":"parameter","dtype":"f32","shape":[2,3],"encoding":"raw","length":24,)"
    R"("hash":"00112233445566778899aabbccddeeff"})";

std::string ManifestOf(std::string_view entries) {
  return R"({"format":"fed_learn.model/1","tensors":[)" + std::string(entries) + "]}";
}

// The entry above with a piece of it replaced.
std::string With(std::string_view from, std::string_view to) {
  std::string entry(kEntry);
  const std::size_t at = entry.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return ManifestOf(entry.replace(at, from.size(), to));
}

std::string ErrorOf(std::string_view text, const PackageLimits& limits = {}) {
  const auto manifest = ParseManifest(text, "site_1", limits);
  if (manifest.has_value()) return "no error";
  EXPECT_THAT(manifest.error().message(), StartsWith("site_1: "));
  return manifest.error().message();
}

TEST(ManifestTest, EncodesCanonically) {
  ModelData model;
  const std::array<float, 2> values = {1.0f, -2.0f};
  ASSERT_TRUE(model.Add("a\"b", Tensor::Of<float>({2}, values)).has_value());
  ASSERT_TRUE(model.Add("z", Tensor::Zeros(DType::kF32, {2, 2})).has_value());
  EXPECT_EQ(EncodeManifest(DescribeModel(model)),
            R"({"format":"fed_learn.model/1","tensors":[{"name":"a\"b","role":"parameter","dtype":"f32","shape":[2],)"
            R"("encoding":"raw","length":8,"hash":")" +
                ToHex(HashContent(model[0].tensor.bytes()).bytes) +
                R"("},{"name":"z","role":"parameter","dtype":"f32","shape":[2,2],"encoding":"zeros","length":0,)"
                R"("hash":")" +
                ToHex(HashContent(model[1].tensor.bytes()).bytes) + R"("}]})");
}

TEST(ManifestTest, ParsesWhatItEncoded) {
  const std::string text = EncodeManifest(DescribeModel(SomeModel()));
  const auto manifest = ParseManifest(text, "here");
  ASSERT_TRUE(manifest.has_value()) << manifest.error().message();
  EXPECT_EQ(EncodeManifest(*manifest), text);
  EXPECT_EQ(manifest->decoded_size(), SomeModel().byte_size());
  EXPECT_EQ(ModelIdOf(text).size(), 32u);
}

TEST(ManifestTest, AModelWithoutTensorsIsAModel) {
  const std::string text = EncodeManifest(DescribeModel({}));
  EXPECT_EQ(text, R"({"format":"fed_learn.model/1","tensors":[]})");
  EXPECT_TRUE(ParseManifest(text, "here").value().tensors.empty());
}

TEST(ManifestTest, OnlyAllZeroBytesAreZeros) {
  for (const std::int64_t size : {1, 63, 64, 65, 16384, 16385, 100000}) {
    ModelData model;
    Tensor late = Tensor::Zeros(DType::kU8, {size});
    late.mutable_bytes().back() = std::byte{1};
    Tensor early = Tensor::Zeros(DType::kU8, {size});
    early.mutable_bytes().front() = std::byte{1};
    ASSERT_TRUE(model.Add("zero", Tensor::Zeros(DType::kU8, {size})).has_value());
    ASSERT_TRUE(model.Add("late", late).has_value());
    ASSERT_TRUE(model.Add("early", early).has_value());
    const Manifest manifest = DescribeModel(model);
    EXPECT_EQ(manifest.tensors[0].encoding, Encoding::kZeros) << size;
    EXPECT_EQ(manifest.tensors[0].length, 0u);
    EXPECT_EQ(manifest.tensors[1].encoding, Encoding::kRaw) << size;
    EXPECT_EQ(manifest.tensors[2].encoding, Encoding::kRaw) << size;
    for (std::size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(manifest.tensors[i].hash, HashContent(model[i].tensor.bytes())) << size;
    }
  }
}

TEST(ManifestTest, MinusZeroTravelsAsItIs) {
  ModelData model;
  const float minus_zero = -0.0f;
  ASSERT_TRUE(model.Add("w", Tensor::Of<float>({1}, std::span(&minus_zero, 1))).has_value());
  EXPECT_EQ(DescribeModel(model).tensors[0].encoding, Encoding::kRaw);
}

TEST(ManifestTest, ATensorWithoutStorageIsAZeroScalar) {
  ModelData model;
  ASSERT_TRUE(model.Add("w", Tensor()).has_value());
  const std::string text = EncodeManifest(DescribeModel(model));
  ASSERT_TRUE(ParseManifest(text, "here").has_value());
  ModelReceiver receiver(ParseManifest(text, "here").value(), {}, std::make_shared<BufferPool>());
  EXPECT_EQ(receiver.Finish().value()[0].tensor, Tensor::Zeros(DType::kF32, {}));
}

TEST(ManifestTest, UnknownKeysAreIgnored) {
  const std::string text = R"({"later":{"tensors":[{"name":3}],"x":[[],{}]},"format":"fed_learn.model/1","tensors":[)" +
                           std::string(kEntry.substr(0, kEntry.size() - 1)) + R"(,"more":[{"name":null}],"f":1.5,)" +
                           R"("g":-1,"h":true,"i":"name"}],"also":null})";
  const auto manifest = ParseManifest(text, "here");
  ASSERT_TRUE(manifest.has_value()) << manifest.error().message();
  EXPECT_EQ(manifest->tensors[0].name, "w");
  EXPECT_THAT(manifest->tensors[0].shape, ElementsAre(2, 3));
}

TEST(ManifestTest, OverTheManifestLimitIsRefusedUnread) {
  const std::string text = ManifestOf(kEntry);
  EXPECT_EQ(ErrorOf(text, {.manifest_bytes = text.size()}), "no error");
  EXPECT_THAT(ErrorOf(text, {.manifest_bytes = text.size() - 1}), HasSubstr("the manifest has"));
}

TEST(ManifestTest, WhatIsNotJsonIsRefused) {
  EXPECT_THAT(ErrorOf(""), HasSubstr("not JSON"));
  EXPECT_THAT(ErrorOf("{"), HasSubstr("not JSON"));
  EXPECT_THAT(ErrorOf(ManifestOf(kEntry) + "x"), HasSubstr("not JSON"));
  EXPECT_THAT(ErrorOf(With("\"w\"", "\"\xff\"")), HasSubstr("not JSON"));
  EXPECT_THAT(ErrorOf("3"), HasSubstr("not a JSON object"));
  EXPECT_THAT(ErrorOf("[]"), HasSubstr("not a JSON object"));
}

TEST(ManifestTest, AnotherFormatIsRefused) {
  EXPECT_THAT(ErrorOf(R"({"format":"fed_learn.model/2","tensors":[]})"), HasSubstr("fed_learn.model/2"));
  EXPECT_THAT(ErrorOf(R"({"tensors":[]})"), HasSubstr("lacks the key 'format'"));
  EXPECT_THAT(ErrorOf(R"({"format":"fed_learn.model/1"})"), HasSubstr("lacks the key 'tensors'"));
  EXPECT_THAT(ErrorOf(R"({"format":1,"tensors":[]})"), HasSubstr("'format'"));
  EXPECT_THAT(ErrorOf(R"({"format":"fed_learn.model/1","tensors":{}})"), HasSubstr("'tensors'"));
  EXPECT_THAT(ErrorOf(ManifestOf("3")), HasSubstr("'tensors'"));
}

TEST(ManifestTest, AMissingKeyIsRefusedWithTheTensor) {
  for (const char* key : {"name", "role", "dtype", "shape", "encoding", "length", "hash"}) {
    const std::string text = With("\"" + std::string(key) + "\"", "\"x\"");
    EXPECT_THAT(ErrorOf(text), HasSubstr("lacks the key '" + std::string(key) + "'"));
  }
  EXPECT_THAT(ErrorOf(With("\"hash\"", "\"x\"")), HasSubstr("tensor 0 ('w')"));
}

TEST(ManifestTest, AKeyTwiceIsRefused) {
  EXPECT_THAT(ErrorOf(With("\"role\"", "\"name\":\"v\",\"role\"")), HasSubstr("has the key 'name' twice"));
  EXPECT_THAT(ErrorOf(R"({"format":"fed_learn.model/1","format":"fed_learn.model/1","tensors":[]})"),
              HasSubstr("has the key 'format' twice"));
}

TEST(ManifestTest, AValueOfTheWrongTypeIsRefused) {
  EXPECT_THAT(ErrorOf(With("\"w\"", "3")), HasSubstr("'name'"));
  EXPECT_THAT(ErrorOf(With("\"w\"", "null")), HasSubstr("'name'"));
  EXPECT_THAT(ErrorOf(With("24", "24.0")), HasSubstr("'length'"));
  EXPECT_THAT(ErrorOf(With("24", "-24")), HasSubstr("'length'"));
  EXPECT_THAT(ErrorOf(With("24", "\"24\"")), HasSubstr("'length'"));
  EXPECT_THAT(ErrorOf(With("[2,3]", "6")), HasSubstr("'shape'"));
  EXPECT_THAT(ErrorOf(With("[2,3]", "[2,\"3\"]")), HasSubstr("'shape'"));
  EXPECT_THAT(ErrorOf(With("[2,3]", "[2,3.0]")), HasSubstr("'shape'"));
  EXPECT_THAT(ErrorOf(With("[2,3]", "[[2,3]]")), HasSubstr("'shape'"));
  EXPECT_THAT(ErrorOf(With("[2,3]", "[9223372036854775808]")), HasSubstr("'shape'"));
  EXPECT_THAT(ErrorOf(With("\"f32\"", "{}")), HasSubstr("'dtype'"));
}

TEST(ManifestTest, NamesThatAModelRefusesAreRefused) {
  EXPECT_THAT(ErrorOf(With("\"w\"", "\"\"")), HasSubstr("empty name"));
  EXPECT_THAT(ErrorOf(With("\"w\"", "\"" + std::string(1025, 'x') + "\"")), HasSubstr("1025 bytes"));
  EXPECT_THAT(ErrorOf(ManifestOf(std::string(kEntry) + "," + std::string(kEntry))), HasSubstr("'w' is there twice"));
}

TEST(ManifestTest, UnknownWordsAreRefusedWithTheTensor) {
  EXPECT_THAT(ErrorOf(With("\"f32\"", "\"c64\"")), HasSubstr("tensor 'w': dtype 'c64'"));
  EXPECT_THAT(ErrorOf(With("\"parameter\"", "\"weight\"")), HasSubstr("tensor 'w': role 'weight'"));
  EXPECT_THAT(ErrorOf(With("\"raw\"", "\"zstd\"")), HasSubstr("tensor 'w': encoding 'zstd'"));
  EXPECT_THAT(ErrorOf(With("00112233", "0011223")), HasSubstr("tensor 'w'"));
  EXPECT_THAT(ErrorOf(With("00112233", "0011223x")), HasSubstr("tensor 'w'"));
}

TEST(ManifestTest, ALengthThatIsNotTheShapesIsRefused) {
  EXPECT_THAT(ErrorOf(With("24", "23")), HasSubstr("tensor 'w': length is 23"));
  EXPECT_THAT(ErrorOf(With("\"raw\"", "\"zeros\"")), HasSubstr("tensor 'w': length is 24"));
  EXPECT_THAT(ErrorOf(With("[2,3]", "[-2,-3]")), HasSubstr("negative"));
  EXPECT_THAT(ErrorOf(With("[2,3]", "[4294967296,4294967296]")), HasSubstr("tensor 'w'"));
  EXPECT_THAT(ErrorOf(With("[2,3]", "[4611686018427387910]")), HasSubstr("tensor 'w'"));
}

TEST(ManifestTest, OverTheModelLimitIsRefused) {
  EXPECT_EQ(ErrorOf(ManifestOf(kEntry), {.model_bytes = 24}), "no error");
  EXPECT_THAT(ErrorOf(ManifestOf(kEntry), {.model_bytes = 23}), HasSubstr("tensor 'w': the model is larger than"));
  std::string zeros = With("\"raw\",\"length\":24", "\"zeros\",\"length\":0");
  EXPECT_THAT(ErrorOf(zeros, {.model_bytes = 23}), HasSubstr("larger"));
}

TEST(ManifestTest, TheFirstRuleThatFailsIsTheError) {
  std::string entry(kEntry);
  entry.replace(entry.find("f32"), 3, "c64");
  EXPECT_THAT(ErrorOf(ManifestOf(entry + "," + entry)), HasSubstr("is there twice"));
}

TEST(SelectionTest, WritesRunsAsRanges) {
  EXPECT_EQ(FormatSelection({}), "");
  EXPECT_EQ(FormatSelection({3}), "3");
  EXPECT_EQ(FormatSelection({0, 1, 2, 3, 7}), "0-3,7");
  EXPECT_EQ(FormatSelection({0, 2, 4, 5}), "0,2,4-5");
}

TEST(SelectionTest, ParsesWhatItWrote) {
  for (const Selection& selection : {Selection{}, {0}, {0, 1, 2, 3, 7}, {5, 9}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}}) {
    EXPECT_EQ(ParseSelection(FormatSelection(selection), 10).value(), selection);
  }
  EXPECT_TRUE(ParseSelection("", 0).value().empty());
}

TEST(SelectionTest, AnythingElseIsRefused) {
  for (const char* text : {"10", "0-10", "3-2", "1,1", "0-3,3", "2,1", ",", "1,", ",1", "-1", "1-", "1--2", " 1", "1 ",
                           "a", "0x1", "+1", "99999999999999999999999", "0-99999999999999999999999"}) {
    const auto selection = ParseSelection(text, 10);
    ASSERT_FALSE(selection.has_value()) << text;
    EXPECT_EQ(selection.error().kind(), ErrorKind::kInvalidArgument);
  }
  EXPECT_FALSE(ParseSelection("0", 0).has_value());
}

TEST(SendTensorsTest, GivesTheSelectedBytesInOrder) {
  const auto encoded = EncodeModel(SomeModel());
  const auto source = SendTensors(encoded, {0, 1, 2, 5});
  std::string sent;
  for (auto piece = source->At(0); !piece.empty(); piece = source->At(sent.size())) {
    sent.append(reinterpret_cast<const char*>(piece.data()), piece.size());
  }
  std::string expected;
  for (const std::size_t index : {0, 2, 5}) {
    const auto bytes = encoded->model[index].tensor.bytes();
    expected.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  EXPECT_EQ(sent, expected);
  EXPECT_EQ(source->size(), expected.size());
  EXPECT_EQ(source->At(expected.size() - 1).size(), 1u);
  EXPECT_EQ(SendTensors(encoded, {})->size(), 0u);
}

TEST(ModelReceiverTest, ReceivesInPiecesOfAnySize) {
  const auto encoded = EncodeModel(SomeModel());
  for (const std::size_t step : {std::size_t{1}, std::size_t{7}, std::size_t{4096}, std::size_t{1} << 30}) {
    ModelReceiver receiver(encoded->manifest, {}, std::make_shared<BufferPool>());
    EXPECT_THAT(receiver.lacking(), ElementsAre(0, 2, 4, 5));
    EXPECT_EQ(receiver.lacking_bytes(), 64u * 3 * 7 * 7 * 4 + 12 + 8 + 5);
    EXPECT_TRUE(receiver.Space().empty());
    Move(*SendTensors(encoded, receiver.lacking()), receiver, step);
    const auto model = receiver.Finish();
    ASSERT_TRUE(model.has_value()) << model.error().message();
    EXPECT_EQ(*model, encoded->model);
    for (const NamedTensor& named : *model) {
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(named.tensor.bytes().data()) % 64, 0u) << named.name;
    }
  }
}

TEST(ModelReceiverTest, AsksOnlyForWhatItLacks) {
  const auto old = EncodeModel(SomeModel(1));
  ModelData changed = SomeModel(1);
  ASSERT_TRUE(changed.Set("bn.running_mean", Numbers({3}, 99)).has_value());
  const auto encoded = EncodeModel(std::move(changed));
  ModelReceiver receiver(encoded->manifest, TensorsOf(old), std::make_shared<BufferPool>());
  EXPECT_THAT(receiver.lacking(), ElementsAre(2));
  Move(*SendTensors(encoded, receiver.lacking()), receiver, 5);
  const auto model = receiver.Finish();
  EXPECT_EQ(model.value(), encoded->model);
  EXPECT_EQ((*model)[0].tensor.bytes().data(), old->model[0].tensor.bytes().data());
}

TEST(ModelReceiverTest, NothingTravelsWhenAllIsThere) {
  const auto encoded = EncodeModel(SomeModel());
  ModelReceiver receiver(encoded->manifest, TensorsOf(encoded), std::make_shared<BufferPool>());
  EXPECT_THAT(receiver.lacking(), IsEmpty());
  ASSERT_TRUE(receiver.Expect(0).has_value());
  EXPECT_TRUE(receiver.Space().empty());
  EXPECT_EQ(receiver.Finish().value(), encoded->model);
}

TEST(ModelReceiverTest, TheSameBytesUnderAnotherShapeAreThere) {
  ModelData flat, square;
  const Tensor tensor = Numbers({4}, 5);
  ASSERT_TRUE(flat.Add("a", tensor).has_value());
  ASSERT_TRUE(square.Add("b", tensor.Reshaped({2, 2})).has_value());
  const auto encoded = EncodeModel(square);
  ModelReceiver receiver(encoded->manifest, TensorsOf(EncodeModel(flat)), std::make_shared<BufferPool>());
  EXPECT_THAT(receiver.lacking(), IsEmpty());
  EXPECT_EQ(receiver.Finish().value(), square);
}

TEST(ModelReceiverTest, AnotherTotalIsRefusedWithNothingAllocated) {
  const auto encoded = EncodeModel(SomeModel());
  ModelReceiver receiver(encoded->manifest, {}, std::make_shared<BufferPool>());
  const Status status = receiver.Expect(receiver.lacking_bytes() + 1);
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().kind(), ErrorKind::kInvalidArgument);
  EXPECT_TRUE(receiver.Space().empty());
}

TEST(ModelReceiverTest, GoesOnAtItsOffsetAfterABreak) {
  const auto encoded = EncodeModel(SomeModel());
  ModelReceiver receiver(encoded->manifest, {}, std::make_shared<BufferPool>());
  const auto source = SendTensors(encoded, receiver.lacking());
  ASSERT_TRUE(receiver.Expect(source->size()).has_value());
  const auto first = source->At(0).first(1000);
  std::memcpy(receiver.Space().data(), first.data(), first.size());
  receiver.Advance(first.size());
  EXPECT_EQ(receiver.offset(), 1000u);
  Move(*source, receiver, 333);
  EXPECT_EQ(receiver.Finish().value(), encoded->model);
}

TEST(ModelReceiverTest, AnUnfinishedModelIsNotGivenOut) {
  const auto encoded = EncodeModel(SomeModel());
  ModelReceiver receiver(encoded->manifest, {}, std::make_shared<BufferPool>());
  EXPECT_EQ(receiver.Finish().error().kind(), ErrorKind::kFailedPrecondition);
}

TEST(ModelReceiverTest, AWrongByteIsFoundAndItsTensorNamed) {
  const auto encoded = EncodeModel(SomeModel());
  for (const std::size_t step : {std::size_t{1}, std::size_t{1} << 30}) {
    ModelReceiver receiver(encoded->manifest, {}, std::make_shared<BufferPool>());
    const auto source = SendTensors(encoded, receiver.lacking());
    ASSERT_TRUE(receiver.Expect(source->size()).has_value());
    const std::uint64_t wrong = 64 * 3 * 7 * 7 * 4 + 3;  // in bn.running_mean
    while (!receiver.Space().empty()) {
      const std::uint64_t at = receiver.offset();
      const auto from = source->At(at);
      const std::size_t bytes = std::min({step, from.size(), receiver.Space().size()});
      const auto space = receiver.Space().first(bytes);
      std::memcpy(space.data(), from.data(), bytes);
      if (at <= wrong && wrong < at + bytes) space[wrong - at] ^= std::byte{1};
      receiver.Advance(bytes);
    }
    const auto model = receiver.Finish();
    ASSERT_FALSE(model.has_value());
    EXPECT_EQ(model.error().kind(), ErrorKind::kDataLoss);
    EXPECT_THAT(model.error().message(), HasSubstr("'bn.running_mean'"));
  }
}

TEST(ModelReceiverTest, ZerosWithTheHashOfSomethingElseAreFound) {
  ModelData model;
  ASSERT_TRUE(model.Add("w", Tensor::Zeros(DType::kU8, {40000})).has_value());
  Manifest manifest = DescribeModel(model);
  EXPECT_TRUE(ModelReceiver(manifest, {}, std::make_shared<BufferPool>()).Finish().has_value());
  manifest.tensors[0].hash.bytes[0] ^= 1;
  EXPECT_EQ(ModelReceiver(manifest, {}, std::make_shared<BufferPool>()).Finish().error().kind(), ErrorKind::kDataLoss);
}

TEST(BufferPoolTest, GivesAlignedMemoryOfAnySize) {
  BufferPool pool;
  for (const std::uint64_t size : {0, 1, 63, 4096, 4097, 1000000}) {
    const auto slab = pool.Take(size);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(slab.get()) % 64, 0u);
    std::memset(slab.get(), 1, size);
  }
}

TEST(BufferPoolTest, ASlabOfNearlyTheSameSizeIsReused) {
  BufferPool pool;
  std::byte* const first = pool.Take(1000000).get();
  EXPECT_GE(pool.idle_bytes(), 1000000u);
  const auto again = pool.Take(1000100);
  EXPECT_EQ(again.get(), first);
  EXPECT_EQ(pool.idle_bytes(), 0u);
  EXPECT_NE(pool.Take(1000000).get(), first);
}

TEST(BufferPoolTest, TheOldestGoWhenTooMuchIsIdle) {
  BufferPool pool(10000);
  const auto small = [&pool] { return pool.Take(4096); };
  { const auto a = small(), b = small(), c = small(); }
  EXPECT_EQ(pool.idle_bytes(), 8192u);
  { const auto large = pool.Take(1 << 20); }
  EXPECT_EQ(pool.idle_bytes(), 0u);
}

TEST(BufferPoolTest, ASlabOutlivesItsPool) {
  std::shared_ptr<std::byte[]> slab;
  {
    BufferPool pool;
    slab = pool.Take(5000);
  }
  std::memset(slab.get(), 1, 5000);
}

TEST(BufferPoolTest, ThreadsNeverGetTheSameSlab) {
  BufferPool pool;
  const auto work = [&pool](int mark) {
    for (int i = 0; i < 500; ++i) {
      const auto slab = pool.Take(5000);
      std::memset(slab.get(), mark, 5000);
      ASSERT_EQ(slab[4999], static_cast<std::byte>(mark));
      ASSERT_EQ(slab[0], static_cast<std::byte>(mark));
    }
  };
  std::vector<std::thread> threads;
  for (int mark = 1; mark <= 4; ++mark) threads.emplace_back(work, mark);
  for (std::thread& thread : threads) thread.join();
  EXPECT_GE(pool.idle_bytes(), 5000u);
}

class PackageFileTest : public TempFolderTest {
 protected:
  std::string Written(const ModelData& model) {
    EXPECT_TRUE(WritePackage(disk, "model.flmodel", *EncodeModel(model)).has_value());
    return Bytes("model.flmodel");
  }
  std::string ReadError(const std::string& bytes, const PackageLimits& limits = {}) {
    PutBytes("bad.flmodel", bytes);
    const auto read = ReadPackage(disk, "bad.flmodel", limits);
    if (read.has_value()) return "no error";
    EXPECT_THAT(read.error().message(), StartsWith("bad.flmodel: "));
    return std::string(ToString(read.error().kind())) + ": " + read.error().message();
  }
};

TEST_F(PackageFileTest, ReadsWhatItWrote) {
  for (const ModelData& model : {ModelData(), SomeModel()}) {
    const auto encoded = EncodeModel(model);
    ASSERT_TRUE(WritePackage(disk, "model.flmodel", *encoded).has_value());
    const auto read = ReadPackage(disk, "model.flmodel");
    ASSERT_TRUE(read.has_value()) << read.error().message();
    EXPECT_EQ((*read)->model, model);
    EXPECT_EQ((*read)->id, encoded->id);
    EXPECT_EQ((*read)->manifest_text, encoded->manifest_text);
    EXPECT_THAT(disk.List(".").value(), ElementsAre("model.flmodel"));
  }
}

TEST_F(PackageFileTest, ReplacesWhatWasThere) {
  Written(SomeModel(1));
  Written(ModelData());
  EXPECT_TRUE(ReadPackage(disk, "model.flmodel").value()->model.empty());
}

TEST_F(PackageFileTest, ATensorLargerThanAReadComesBack) {
  ModelData model;
  ASSERT_TRUE(model.Add("big", Numbers({700001}, 3)).has_value());
  Written(model);
  EXPECT_EQ(ReadPackage(disk, "model.flmodel").value()->model, model);
}

TEST_F(PackageFileTest, AMissingFileIsNotFound) {
  EXPECT_EQ(ReadPackage(disk, "none.flmodel").error().kind(), ErrorKind::kNotFound);
}

TEST_F(PackageFileTest, EveryTruncationIsRefused) {
  const std::string whole = Written(SomeModel());
  for (std::size_t size = 0; size < whole.size(); size += size < 2000 ? 1 : 511) {
    SpanFile file(AsBytes(whole).first(size));
    EXPECT_FALSE(ReadPackage(file).has_value()) << size;
  }
  EXPECT_NE(ReadError(whole.substr(0, whole.size() - 1)), "no error");
  EXPECT_THAT(ReadError(whole.substr(0, 8)), HasSubstr("shorter than its header"));
  EXPECT_THAT(ReadError(whole.substr(0, 40)), HasSubstr("data_loss: bad.flmodel: the file ends inside its manifest"));
}

TEST_F(PackageFileTest, BytesAfterTheLastTensorAreRefused) {
  EXPECT_THAT(ReadError(Written(SomeModel()) + "x"), HasSubstr("which announces"));
}

TEST_F(PackageFileTest, AnotherMagicIsRefused) {
  std::string bytes = Written(SomeModel());
  bytes[7] = '2';
  EXPECT_THAT(ReadError(bytes), HasSubstr("FLMODEL1"));
}

TEST_F(PackageFileTest, AManifestLengthThatIsALieIsRefused) {
  std::string bytes = Written(SomeModel());
  bytes[15] = '\x7f';
  EXPECT_THAT(ReadError(bytes), HasSubstr("resource_exhausted"));
}

TEST_F(PackageFileTest, AWrongByteInATensorIsRefused) {
  std::string bytes = Written(SomeModel());
  bytes.back() ^= 1;
  EXPECT_THAT(ReadError(bytes), HasSubstr("data_loss: bad.flmodel: tensor 'größe"));
}

TEST_F(PackageFileTest, ABadManifestIsRefusedByItsRule) {
  const std::string manifest = With("\"f32\"", "\"c64\"");
  std::string bytes = "FLMODEL1" + std::string(1, static_cast<char>(manifest.size())) + std::string(7, '\0') + manifest;
  EXPECT_THAT(ReadError(bytes), HasSubstr("dtype 'c64'"));
}

}  // namespace
}  // namespace fed_learn
