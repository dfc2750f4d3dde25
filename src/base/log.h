// The process's log: one line an event, on standard error, for people (default) or as JSON (`--log-format json`).
//
// Thread-safe. No secret is ever passed to it: keys and tokens have no formatter.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

namespace fed_learn {

enum class LogLevel { kDebug, kInfo, kWarning, kError, kOff };
enum class LogFormat { kHuman, kJson };

struct LogOptions {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kHuman;
  std::string file;  // also append here; empty = standard error only
};

// Once, at the start of main.
void StartLog(const LogOptions& options);

// Written as it is; a newline or control character inside a message is escaped, so a peer cannot forge a line.
void Log(LogLevel level, std::string_view message);

template <typename... Args>
void LogInfo(fmt::format_string<Args...> format, Args&&... args) {
  Log(LogLevel::kInfo, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void LogWarning(fmt::format_string<Args...> format, Args&&... args) {
  Log(LogLevel::kWarning, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void LogError(fmt::format_string<Args...> format, Args&&... args) {
  Log(LogLevel::kError, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void LogDebug(fmt::format_string<Args...> format, Args&&... args) {
  Log(LogLevel::kDebug, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace fed_learn
