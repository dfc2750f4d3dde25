// For the tests of formats: a folder of a test's own, removed after it.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "base/posix_disk.h"

namespace fed_learn {

class TempFolderTest : public ::testing::Test {
 protected:
  TempFolderTest() : folder(MakeFolder()), disk(folder) {}
  ~TempFolderTest() override { std::filesystem::remove_all(folder); }

  std::string Bytes(const std::string& name) {
    std::ifstream file(folder + "/" + name, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return std::move(text).str();
  }

  void PutBytes(const std::string& name, const std::string& bytes) {
    std::ofstream(folder + "/" + name, std::ios::binary) << bytes;
  }

  std::string folder;
  PosixDisk disk;

 private:
  static std::string MakeFolder() {
    std::string name = ::testing::TempDir() + "formats_XXXXXX";
    if (mkdtemp(name.data()) == nullptr) std::abort();
    return name;
  }
};

}  // namespace fed_learn
