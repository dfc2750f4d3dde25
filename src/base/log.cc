#include "base/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <mutex>
#include <vector>

#include "base/json.h"
#include "base/text.h"

namespace fed_learn {
namespace {

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
    case LogLevel::kOff:
      break;
  }
  return spdlog::level::off;
}

// The log of the process: what StartLog made, or for people on standard error until then.
class ProcessLog {
 public:
  ProcessLog() { Start({}); }

  void Start(const LogOptions& options) {
    std::vector<spdlog::sink_ptr> sinks = {std::make_shared<spdlog::sinks::stderr_sink_mt>()};
    std::string file_error;
    if (!options.file.empty()) {
      try {
        sinks.push_back(std::make_shared<spdlog::sinks::basic_file_sink_mt>(options.file));
      } catch (const spdlog::spdlog_ex& error) {
        file_error = error.what();
      }
    }
    auto logger = std::make_shared<spdlog::logger>("fed_learn", sinks.begin(), sinks.end());
    if (options.format == LogFormat::kJson) {
      logger->set_pattern(R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l","message":%v})",
                          spdlog::pattern_time_type::utc);
    } else {
      logger->set_pattern("%Y-%m-%d %H:%M:%S %-5l %v");
    }
    logger->set_level(ToSpdlog(options.level));
    logger->flush_on(spdlog::level::debug);
    {
      const std::lock_guard lock(mutex_);
      state_ = {std::move(logger), options.format};
    }
    if (!file_error.empty()) {
      Write(LogLevel::kWarning, "the log goes to standard error only: " + file_error);
    }
  }

  void Write(LogLevel level, std::string_view message) {
    const State state = Current();
    if (level == LogLevel::kOff || !state.logger->should_log(ToSpdlog(level))) return;
    std::string text = Escaped(message);
    if (state.format == LogFormat::kJson) text = Json(std::move(text)).dump();
    state.logger->log(ToSpdlog(level), spdlog::string_view_t(text));
  }

 private:
  struct State {
    std::shared_ptr<spdlog::logger> logger;
    LogFormat format = LogFormat::kHuman;
  };

  State Current() {
    const std::lock_guard lock(mutex_);
    return state_;
  }

  std::mutex mutex_;
  State state_;
};

ProcessLog& TheLog() {
  static ProcessLog log;
  return log;
}

}  // namespace

void StartLog(const LogOptions& options) { TheLog().Start(options); }

void Log(LogLevel level, std::string_view message) { TheLog().Write(level, message); }

}  // namespace fed_learn
