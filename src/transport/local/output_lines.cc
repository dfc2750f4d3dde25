#include "transport/local/output_lines.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace fed_learn {

OutputLines::OutputLines(std::function<void(std::string_view)> log, OutputLimits limits)
    : log_(std::move(log)), limits_(limits), may_log_(limits.burst_lines) {}

void OutputLines::Feed(std::string_view bytes) {
  for (const char c : bytes) {
    if (c == '\n') {
      EndLine();
      continue;
    }
    if (c == '\r') {
      overwrite_ = true;
      continue;
    }
    if (std::exchange(overwrite_, false)) line_.clear();
    if (line_.size() == limits_.line_bytes) EndLine();
    line_.push_back(c);
  }
}

void OutputLines::EndLine() {
  overwrite_ = false;
  if (may_log_ > 0) {
    --may_log_;
    log_(line_);
  } else {
    ++left_out_;
  }
  kept_.push_back(std::exchange(line_, {}));
  if (kept_.size() > limits_.lines_kept) kept_.pop_front();
}

void OutputLines::Refill() {
  may_log_ = std::min(limits_.burst_lines, may_log_ + limits_.lines_per_refill);
  if (left_out_ == 0 || may_log_ < limits_.burst_lines) return;
  log_("… " + std::to_string(std::exchange(left_out_, 0)) + " lines were left out, since they came too fast");
}

void OutputLines::Finish() {
  if (!line_.empty()) EndLine();
}

void OutputLines::Forget() {
  line_.clear();
  kept_.clear();
  overwrite_ = false;
}

std::string OutputLines::Report() const {
  if (kept_.empty()) return "it printed nothing";
  std::string report = "its last lines: ";
  for (std::size_t i = 0; i < kept_.size(); ++i) {
    if (i > 0) report += " | ";
    report += Escaped(kept_[i]);
  }
  return report;
}

}  // namespace fed_learn
