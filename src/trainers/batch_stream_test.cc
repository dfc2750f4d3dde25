#include "trainers/batch_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <vector>

namespace fed_learn {
namespace {

using Rows = std::vector<std::size_t>;

Rows Take(BatchStream& stream) {
  const auto batch = stream.Next();
  return Rows(batch.begin(), batch.end());
}

TEST(BatchStreamTest, EpochVisitsEachRowOnceAndEndsWithWhatIsLeft) {
  BatchStream stream(10, 4, 1, 0);
  ASSERT_EQ(stream.batches_per_epoch(), 3u);
  Rows seen;
  for (const std::size_t size : {4, 4, 2}) {
    const Rows batch = Take(stream);
    EXPECT_EQ(batch.size(), size);
    seen.insert(seen.end(), batch.begin(), batch.end());
  }
  Rows all(10);
  std::iota(all.begin(), all.end(), std::size_t{0});
  EXPECT_THAT(seen, ::testing::UnorderedElementsAreArray(all));
}

TEST(BatchStreamTest, EpochsHaveDifferentOrders) {
  BatchStream stream(50, 50, 1, 0);
  const Rows first = Take(stream);
  EXPECT_NE(first, Take(stream));
}

TEST(BatchStreamTest, EnteringLaterGivesTheBatchesOfOneThatWentOn) {
  BatchStream whole(10, 4, 7, 0);
  std::vector<Rows> batches;
  for (int i = 0; i < 12; ++i) batches.push_back(Take(whole));
  for (std::size_t first = 0; first < batches.size(); ++first) {
    BatchStream stream(10, 4, 7, first);
    for (std::size_t i = first; i < batches.size(); ++i) EXPECT_EQ(Take(stream), batches[i]);
  }
}

TEST(BatchStreamTest, BatchLargerThanTheDataIsTheData) {
  BatchStream stream(3, 100, 1, 0);
  EXPECT_EQ(stream.batches_per_epoch(), 1u);
  EXPECT_EQ(Take(stream).size(), 3u);
}

TEST(BatchStreamTest, AnotherSeedGivesAnotherOrder) {
  BatchStream one(50, 50, 1, 0);
  BatchStream two(50, 50, 2, 0);
  EXPECT_NE(Take(one), Take(two));
}

}  // namespace
}  // namespace fed_learn
