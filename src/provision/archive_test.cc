#include "provision/archive.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <zip.h>

#include <memory>
#include <vector>

namespace fed_learn {
namespace {

constexpr WallTime kNow{std::chrono::hours(24 * 365 * 56)};

TEST(ArchiveTest, EntriesKeepTheirBytesAndPermissions) {
  const std::vector<ArchiveEntry> entries = {
      {"a/empty", "", 0644}, {"a/client.key", std::string(100'000, 'k'), 0600}, {"a/start.sh", "#!/bin/sh\n", 0755}};
  const auto bytes = MakeArchive(entries, kNow);
  ASSERT_TRUE(bytes.has_value()) << bytes.error().message();
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* source = zip_source_buffer_create(bytes->data(), bytes->size(), 0, &error);
  zip_t* archive = zip_open_from_source(source, ZIP_RDONLY, &error);
  ASSERT_NE(archive, nullptr);
  ASSERT_EQ(zip_get_num_entries(archive, 0), 3);
  for (zip_uint64_t i = 0; i < entries.size(); ++i) {
    EXPECT_EQ(zip_get_name(archive, i, 0), entries[i].path);
    zip_uint8_t system = 0;
    zip_uint32_t attributes = 0;
    ASSERT_EQ(zip_file_get_external_attributes(archive, i, 0, &system, &attributes), 0);
    EXPECT_EQ(system, ZIP_OPSYS_UNIX);
    EXPECT_EQ(attributes >> 16, S_IFREG | entries[i].mode);
    std::string content(entries[i].bytes.size(), '\0');
    zip_file_t* file = zip_fopen_index(archive, i, 0);
    EXPECT_EQ(zip_fread(file, content.data(), content.size()), static_cast<zip_int64_t>(content.size()));
    EXPECT_EQ(content, entries[i].bytes);
    zip_fclose(file);
  }
  zip_discard(archive);
}

TEST(ArchiveTest, TheSameEntriesGiveTheSameBytes) {
  const std::vector<ArchiveEntry> entries = {{"a", "text", 0644}};
  EXPECT_EQ(*MakeArchive(entries, kNow), *MakeArchive(entries, kNow));
}

TEST(ArchiveTest, APathThatStandsTwiceIsAnError) {
  const std::vector<ArchiveEntry> entries = {{"a", "1", 0644}, {"a", "2", 0644}};
  EXPECT_FALSE(MakeArchive(entries, kNow).has_value());
}

}  // namespace
}  // namespace fed_learn
