// Terminal: a block of lines that is drawn again in place. Where standard output is no terminal, only what is new is
// printed, line by line, so that a log stays readable. Not thread-safe.
#pragma once

#include <cstdio>
#include <string>
#include <vector>

namespace fed_learn {

class Terminal {
 public:
  // `out` outlives this.
  explicit Terminal(std::FILE* out);
  ~Terminal();  // leaves the last block standing and the cursor below it
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  bool live() const { return live_; }
  int columns() const;

  // Replaces the block. Nothing happens unless live().
  void Redraw(const std::vector<std::string>& lines);

  // A line that stays, above the block.
  void Print(const std::string& line);

 private:
  void EraseBlock();

  std::FILE* out_;
  bool live_;
  std::vector<std::string> block_;
};

// "████████░░░░  67%", `width` columns in all. `share` is clamped to 0…1.
std::string ProgressBar(double share, int width);

// Cells side by side, padded to a common width a column; the first column to the left, the others to the right.
std::vector<std::string> AlignColumns(const std::vector<std::vector<std::string>>& rows);

}  // namespace fed_learn
