// EventWriter: an event file of scalars, as TensorBoard reads it: TFRecord framing with masked CRC-32C, one Event
// message a record.
//
// Used from one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/disk.h"
#include "base/loop.h"
#include "base/result.h"

namespace fed_learn {

class EventWriter {
 public:
  // Makes a new file "events.out.tfevents.<seconds>.<source>.<n>" in `folder` (made if absent); TensorBoard shows all
  // files of a folder as one curve, so a restart begins another one instead of mending what a crash left. `source` is a
  // name of this program's ("server"). The disk's errors.
  static Result<EventWriter> Open(Disk& disk, std::string_view folder, WallTime created, std::string_view source);

  // Written at once, synced by Sync only. InvalidArgument for a tag that is empty or not UTF-8.
  Status AddScalar(std::string_view tag, std::int64_t step, WallTime at, double value);

  // After this what was added survives a crash.
  Status Sync() { return file_->Sync(); }

  const std::string& path() const { return path_; }

 private:
  EventWriter(std::unique_ptr<File> file, std::string path) : file_(std::move(file)), path_(std::move(path)) {}
  Status AddRecord(std::string_view event);

  std::unique_ptr<File> file_;
  std::string path_;
  std::uint64_t offset_ = 0;
};

}  // namespace fed_learn
