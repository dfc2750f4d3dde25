// FileDescriptor: an open file descriptor with one owner. Movable; not thread-safe.
#pragma once

#include <unistd.h>

#include <string>
#include <system_error>
#include <utility>

#include "base/result.h"

namespace fed_learn {

class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int number) : number_(number) {}
  FileDescriptor(FileDescriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    if (this != &other) {
      Close();
      number_ = std::exchange(other.number_, -1);
    }
    return *this;
  }
  ~FileDescriptor() { Close(); }

  int get() const { return number_; }
  bool is_open() const { return number_ >= 0; }
  void Close() {
    if (number_ >= 0) ::close(std::exchange(number_, -1));
  }

 private:
  int number_ = -1;
};

// "what: No such file or directory", from the value that errno had.
inline Error SystemError(const std::string& what, int error_number) {
  return Internal(what + ": " + std::generic_category().message(error_number));
}

}  // namespace fed_learn
