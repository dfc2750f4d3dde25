#include "server/bulk_paths.h"

#include <gtest/gtest.h>

namespace fed_learn {
namespace {

TEST(BulkPathTest, EveryPathOfTheProtocolIsKnown) {
  EXPECT_EQ(ParseBulkPath("/healthz").kind, BulkPath::kHealth);
  EXPECT_EQ(ParseBulkPath("/v1/status").kind, BulkPath::kStatus);
  EXPECT_EQ(ParseBulkPath("/v1/rounds").kind, BulkPath::kRounds);
  EXPECT_EQ(ParseBulkPath("/v1/updates").kind, BulkPath::kOffer);
  EXPECT_EQ(ParseBulkPath("/v1/models/ab").kind, BulkPath::kModel);
  EXPECT_EQ(ParseBulkPath("/v1/models/ab/manifest").kind, BulkPath::kModelManifest);
  EXPECT_EQ(ParseBulkPath("/v1/models/ab").id, "ab");
  EXPECT_EQ(ParseBulkPath("/v1/uploads/cd").id, "cd");
  const BulkPath data = ParseBulkPath("/v1/models/ab/data?tensors=0-3,7");
  EXPECT_EQ(data.kind, BulkPath::kModelData);
  EXPECT_EQ(data.id, "ab");
  EXPECT_EQ(data.tensors, "0-3,7");
  EXPECT_EQ(ParseBulkPath("/v1/models/ab/data?tensors=").tensors, "");
}

TEST(BulkPathTest, EverythingElseIsUnknown) {
  for (const char* path : {"", "/", "/v1", "/v1/models", "/v1/models/ab/", "/v1/models/ab/../x", "/v1/models/ab/data",
                           "/v2/updates", "/v1/updates/", "/v1/updates?x", "/etc/passwd"}) {
    EXPECT_EQ(ParseBulkPath(path).kind, BulkPath::kUnknown) << path;
  }
}

}  // namespace
}  // namespace fed_learn
