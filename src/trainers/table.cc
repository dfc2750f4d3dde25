#include "trainers/table.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <utility>

#include "base/text.h"

namespace fed_learn {
namespace {

constexpr std::uint64_t kTableBytesMax = 4'000'000'000;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

std::string LineName(const std::string& source, std::size_t line) { return source + ", line " + std::to_string(line); }

// A foreign cell in an error: without control characters, shortened.
std::string Shown(std::string_view cell) {
  constexpr std::size_t length_max = 40;
  return Escaped(cell.substr(0, length_max)) + (cell.size() > length_max ? "…" : "");
}

}  // namespace

// One pass over the text. The header is read as a row like any other, then taken out.
class TableParser {
 public:
  TableParser(std::string_view text, std::string source) : text_(text) {
    table_.source_ = std::move(source);
    if (text_.starts_with(kByteOrderMark)) text_.remove_prefix(kByteOrderMark.size());
  }

  Result<Table> Parse() {
    while (at_ < text_.size()) {
      if (SkipLineEnd()) continue;
      RETURN_IF_ERROR(ParseRow());
    }
    if (table_.columns_.empty()) {
      return InvalidArgument(table_.source_ + " is empty; its first line must name the columns");
    }
    return std::move(table_);
  }

 private:
  bool SkipLineEnd() {
    const std::string_view rest = text_.substr(at_);
    if (!rest.starts_with('\n') && !rest.starts_with("\r\n")) return false;
    at_ += rest[0] == '\r' ? 2 : 1;
    ++line_;
    return true;
  }

  Status ParseRow() {
    const std::size_t line = line_;
    std::size_t cells = 0;
    while (true) {
      RETURN_IF_ERROR(ParseCell());
      ++cells;
      if (at_ == text_.size() || SkipLineEnd()) break;
      ++at_;  // the comma
    }
    if (table_.columns_.empty()) return TakeHeader(line);
    if (cells != table_.columns_.size()) {
      return InvalidArgument(LineName(table_.source_, line) + " has " + std::to_string(cells) +
                             " cells, but the header has " + std::to_string(table_.columns_.size()));
    }
    table_.lines_.push_back(line);
    return {};
  }

  // Leaves at_ at a comma, a line end or the end of the text.
  Status ParseCell() {
    if (at_ < text_.size() && text_[at_] == '"') {
      RETURN_IF_ERROR(ParseQuoted());
    } else {
      const std::size_t end = std::min(text_.find_first_of(",\n\"", at_), text_.size());
      if (end < text_.size() && text_[end] == '"') {
        return InvalidArgument(LineName(table_.source_, line_) +
                               " has a quote inside a cell that does not begin with one; quote the whole cell and "
                               "double the quotes in it");
      }
      const bool before_crlf = end > at_ && end < text_.size() && text_[end] == '\n' && text_[end - 1] == '\r';
      const std::size_t stop = before_crlf ? end - 1 : end;
      table_.text_.append(text_.substr(at_, stop - at_));
      at_ = stop;
    }
    table_.ends_.push_back(table_.text_.size());
    return {};
  }

  Status ParseQuoted() {
    const std::size_t line_opened = line_;
    ++at_;
    while (true) {
      const std::size_t quote = text_.find('"', at_);
      if (quote == std::string_view::npos) {
        return InvalidArgument(LineName(table_.source_, line_opened) + " opens a quote that is never closed");
      }
      const std::string_view piece = text_.substr(at_, quote - at_);
      table_.text_.append(piece);
      line_ += static_cast<std::size_t>(std::count(piece.begin(), piece.end(), '\n'));
      at_ = quote + 1;
      if (at_ == text_.size() || text_[at_] != '"') break;
      table_.text_.push_back('"');
      ++at_;
    }
    const std::string_view rest = text_.substr(at_);
    if (rest.empty() || rest[0] == ',' || rest[0] == '\n' || rest.starts_with("\r\n")) return {};
    return InvalidArgument(LineName(table_.source_, line_) + " has text after the closing quote of a cell");
  }

  Status TakeHeader(std::size_t line) {
    std::size_t begin = 0;
    for (const std::size_t end : table_.ends_) {
      std::string name = table_.text_.substr(begin, end - begin);
      begin = end;
      if (name.empty()) {
        return InvalidArgument(LineName(table_.source_, line) + ": column " +
                               std::to_string(table_.columns_.size() + 1) + " has no name");
      }
      if (std::find(table_.columns_.begin(), table_.columns_.end(), name) != table_.columns_.end()) {
        return InvalidArgument(LineName(table_.source_, line) + " names column '" + Shown(name) + "' twice");
      }
      table_.columns_.push_back(std::move(name));
    }
    table_.ends_.clear();
    table_.text_.clear();
    return {};
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
  Table table_;
};

Result<Table> Table::Parse(std::string_view text, std::string source) {
  return TableParser(text, std::move(source)).Parse();
}

Result<Table> Table::Read(Disk& disk, std::string_view path) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(disk, path, kTableBytesMax));
  return Parse(text, std::string(path));
}

Result<std::size_t> Table::Find(std::string_view column) const {
  const auto found = std::find(columns_.begin(), columns_.end(), column);
  if (found == columns_.end()) {
    return NotFound(source_ + " has no column '" + Shown(column) + "'" + DidYouMean(column, columns_));
  }
  return static_cast<std::size_t>(found - columns_.begin());
}

std::string_view Table::Cell(std::size_t row, std::size_t column) const {
  const std::size_t index = row * columns_.size() + column;
  const std::size_t begin = index == 0 ? 0 : ends_[index - 1];
  return std::string_view(text_).substr(begin, ends_[index] - begin);
}

Result<double> Table::Number(std::size_t row, std::size_t column) const {
  const std::string_view cell = Cell(row, column);
  double number = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), number);
  if (error == std::errc() && end == cell.data() + cell.size() && std::isfinite(number)) return number;
  const std::string found = cell.empty() ? "is empty" : "holds '" + Shown(cell) + "'";
  return InvalidArgument(Where(row) + ", column '" + Shown(columns_[column]) + "' " + found +
                         ", where a finite number is needed");
}

std::string Table::Where(std::size_t row) const { return LineName(source_, lines_[row]); }

}  // namespace fed_learn
