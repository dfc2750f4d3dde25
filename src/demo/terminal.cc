#include "demo/terminal.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

namespace fed_learn {
namespace {

constexpr int kColumnsIfUnknown = 100;

// Columns that UTF-8 text takes, for text without wide or combining characters.
std::size_t WidthOf(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

// The first `width` columns.
std::string CutTo(const std::string& text, std::size_t width) {
  std::size_t columns = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) == 0x80) continue;
    if (columns++ == width) return text.substr(0, i);
  }
  return text;
}

}  // namespace

Terminal::Terminal(std::FILE* out) : out_(out), live_(isatty(fileno(out)) == 1) {
  if (live_) fmt::print(out_, "\x1b[?25l");
}

Terminal::~Terminal() {
  if (live_) fmt::print(out_, "\x1b[?25h");
  std::fflush(out_);
}

int Terminal::columns() const {
  winsize size{};
  if (!live_ || ioctl(fileno(out_), TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kColumnsIfUnknown;
  return size.ws_col;
}

void Terminal::EraseBlock() {
  if (!block_.empty()) fmt::print(out_, "\x1b[{}A\x1b[J", block_.size());
}

void Terminal::Redraw(const std::vector<std::string>& lines) {
  if (!live_) return;
  EraseBlock();
  block_ = lines;
  const auto width = static_cast<std::size_t>(std::max(columns() - 1, 10));
  for (const std::string& line : block_) fmt::print(out_, "{}\n", CutTo(line, width));
  std::fflush(out_);
}

void Terminal::Print(const std::string& line) {
  if (live_) EraseBlock();
  fmt::print(out_, "{}\n", line);
  const auto block = std::move(block_);
  block_.clear();
  Redraw(block);
  std::fflush(out_);
}

std::string ProgressBar(double share, int width) {
  share = std::isfinite(share) ? std::clamp(share, 0.0, 1.0) : 0.0;
  const int cells = std::max(width - 6, 1);
  const int full = static_cast<int>(std::lround(share * cells));
  std::string bar;
  for (int i = 0; i < cells; ++i) bar += i < full ? "█" : "░";
  return bar + fmt::format(" {:3.0f}%", share * 100);
}

std::vector<std::string> AlignColumns(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], WidthOf(row[i]));
  }
  std::vector<std::string> lines;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string padding(widths[i] - WidthOf(row[i]), ' ');
      line += i == 0 ? row[i] + padding : "  " + padding + row[i];
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace fed_learn
