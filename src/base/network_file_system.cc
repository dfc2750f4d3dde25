#include "base/network_file_system.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>
#include <utility>

namespace fed_learn {
namespace {

constexpr std::uint64_t kFuse = 0x65735546;

// From linux/magic.h and the file systems' own sources.
constexpr std::array<std::pair<std::uint64_t, std::string_view>, 10> kNetworkTypes = {{
    {0x6969, "NFS"},
    {0x517B, "SMB"},
    {0xFF534D42, "CIFS"},
    {0xFE534D42, "SMB2"},
    {0x00C36400, "Ceph"},
    {0x5346414F, "AFS"},
    {0x0BD00BD0, "Lustre"},
    {0x47504653, "GPFS"},
    {0x19830326, "BeeGFS"},
    {0x7461636F, "OCFS2"},
}};

constexpr std::array<std::string_view, 17> kNetworkFuseTypes = {
    "sshfs",  "glusterfs", "ceph-fuse", "ceph",      "s3fs",      "s3fs-fuse", "rclone",        "gcsfuse", "gcs",
    "goofys", "davfs",     "davfs2",    "blobfuse2", "curlftpfs", "mount-s3",  "mountpoint-s3", "juicefs",
};

std::string MountTypeOfDevice(unsigned int device_major, unsigned int device_minor) {
  std::ifstream mounts("/proc/self/mountinfo");
  const std::string device = fmt::format("{}:{}", device_major, device_minor);
  std::string line;
  while (std::getline(mounts, line)) {
    std::istringstream fields(line);
    std::string id, parent, line_device, field;
    fields >> id >> parent >> line_device;
    if (line_device != device) continue;
    while (fields >> field && field != "-") {
    }
    fields >> field;
    return field;
  }
  return "";
}

std::filesystem::path NearestExisting(std::filesystem::path path) {
  std::error_code error;
  while (!std::filesystem::exists(path, error) && path.has_relative_path()) path = path.parent_path();
  return path.empty() ? std::filesystem::path(".") : path;
}

}  // namespace

std::string NetworkFileSystemName(std::uint64_t f_type, std::string_view mount_type) {
  if (f_type == kFuse) {
    constexpr std::string_view kPrefix = "fuse.";
    if (mount_type.starts_with(kPrefix)) mount_type.remove_prefix(kPrefix.size());
    const bool network =
        std::find(kNetworkFuseTypes.begin(), kNetworkFuseTypes.end(), mount_type) != kNetworkFuseTypes.end();
    return network ? std::string(mount_type) : "";
  }
  for (const auto& [type, name] : kNetworkTypes) {
    if (type == f_type) return std::string(name);
  }
  return "";
}

Status RequireLocalFileSystem(std::string_view path) {
  const std::filesystem::path existing = NearestExisting(std::filesystem::path(path));
  struct statfs file_system {};
  struct stat status {};
  if (::statfs(existing.c_str(), &file_system) != 0 || ::stat(existing.c_str(), &status) != 0) return {};
  // f_type is signed and, on some machines, sign-extended from 32 bits.
  const auto f_type = static_cast<std::uint64_t>(file_system.f_type) & 0xFFFFFFFFu;
  const std::string mount_type = f_type == kFuse ? MountTypeOfDevice(major(status.st_dev), minor(status.st_dev)) : "";
  const std::string name = NetworkFileSystemName(f_type, mount_type);
  if (name.empty()) return {};
  return FailedPrecondition(
      fmt::format("{} lies on a network file system ({}), where SQLite's locks do not hold and rounds could be lost; "
                  "choose a folder on a local disk",
                  path, name));
}

}  // namespace fed_learn
