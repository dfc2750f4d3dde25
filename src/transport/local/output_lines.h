// OutputLines: what a program prints, as lines for our log: cut, limited in rate, and the last ones kept for the report
// when it dies. What a carriage return overwrites (a progress bar) is dropped, as on a terminal. Not thread-safe.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <string>
#include <string_view>

namespace fed_learn {

struct OutputLimits {
  std::size_t line_bytes = 2000;  // a longer line is cut into several
  std::size_t lines_kept = 20;
  std::size_t burst_lines = 200;     // logged at once
  std::size_t lines_per_refill = 5;  // and then this many for each call of Refill
};

class OutputLines {
 public:
  // `log` gets each line without its end, as the program wrote it: escaping is the log's.
  explicit OutputLines(std::function<void(std::string_view)> log, OutputLimits limits = {});

  void Feed(std::string_view bytes);

  // Time has passed: more lines may be logged. Says how many were not, if any.
  void Refill();

  // The program has ended: the unfinished line is one, too.
  void Finish();

  void Forget();  // a new program

  // "its last lines: a | b | c", escaped and on one line; "it printed nothing" if there are none.
  std::string Report() const;

 private:
  void EndLine();

  std::function<void(std::string_view)> log_;
  OutputLimits limits_;
  std::string line_;
  bool overwrite_ = false;  // a carriage return came; the next character begins the line anew
  std::deque<std::string> kept_;
  std::size_t may_log_;
  std::size_t left_out_ = 0;
};

}  // namespace fed_learn
