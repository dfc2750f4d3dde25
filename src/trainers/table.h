// Table: the cells of a CSV file as text, with what an error needs to name the place of each.
//
// Grammar: RFC 4180 with a header line. Lines end in LF or CRLF, a cell in double quotes may hold commas, line ends and
// doubled quotes, a UTF-8 byte order mark at the front is skipped, and a line without any character holds no row.
// A value type; reading is thread-safe.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/disk.h"
#include "base/result.h"

namespace fed_learn {

class Table {
 public:
  // `source` is the file named in errors. InvalidArgument, with the line, for an empty text, a column without a name or
  // named twice, a line with more or fewer cells than the header, a quote that is not closed or stands inside a cell.
  static Result<Table> Parse(std::string_view text, std::string source);

  // Parse of a file of at most 4 GB. The disk's error if it cannot be read.
  static Result<Table> Read(Disk& disk, std::string_view path);

  const std::string& source() const { return source_; }
  const std::vector<std::string>& columns() const { return columns_; }
  std::size_t rows() const { return lines_.size(); }

  // Place of a column. NotFound, naming the file and the nearest column, if there is none of that name.
  Result<std::size_t> Find(std::string_view column) const;

  // REQUIRES: row < rows(), column < columns().size().
  std::string_view Cell(std::size_t row, std::size_t column) const;

  // The cell as a number. InvalidArgument, with file, line and column, if it is empty, is not a decimal number or not
  // finite. REQUIRES: as Cell.
  Result<double> Number(std::size_t row, std::size_t column) const;

  // "brca.csv, line 12", counted from 1. REQUIRES: row < rows().
  std::string Where(std::size_t row) const;

 private:
  friend class TableParser;

  std::string source_;
  std::vector<std::string> columns_;
  std::string text_;                // all cells, unquoted, one after another
  std::vector<std::size_t> ends_;   // where each cell ends in text_, row by row
  std::vector<std::size_t> lines_;  // where each row begins in the file
};

}  // namespace fed_learn
