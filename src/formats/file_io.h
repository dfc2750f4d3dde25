// Files that are replaced whole or not at all, written piece by piece; and files that are read whole, without a copy.
//
// For a small file that is in memory anyway there is WriteFileAtomically of base/disk.h.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/disk.h"
#include "base/result.h"
#include "model/tensor.h"

namespace fed_learn {

// Calls `write` with a new file under a temporary name (`path` + ".tmp"), then syncs, renames and syncs the folder. One
// writer of a path at a time. On an error, which is that of `write` or of the disk, the old file is still there.
Status WriteAtomically(Disk& disk, std::string_view path, const std::function<Status(File&)>& write);

// Immutable bytes and who keeps them alive. Copying it copies pointers.
struct FileBytes {
  std::shared_ptr<const void> owner;
  std::span<const std::byte> bytes;
};

// The whole file, at a 64-byte boundary. ResourceExhausted, before anything is allocated, if it is longer than
// `size_max`; NotFound and DataLoss as the disk says.
Result<FileBytes> ReadWholeFile(Disk& disk, std::string_view path, std::uint64_t size_max);

// Bytes that somebody else keeps alive for as long as the result is used.
inline FileBytes Unowned(std::span<const std::byte> bytes) { return {nullptr, bytes}; }

// The tensor whose values begin at `offset`: a view that shares the owner, or a copy where an element would not lie at
// a boundary of its own size. REQUIRES: a valid shape whose bytes are there.
Tensor TensorAt(const FileBytes& file, std::uint64_t offset, DType dtype, Shape shape);

// "folder/model.npz" is "model" with the extension ".npz" (in lower case); without a dot the extension is empty.
std::string_view StemOf(std::string_view path);
std::string ExtensionOf(std::string_view path);

}  // namespace fed_learn
