// AppContext: the facts around a piece of work (the seed's `app_ctx`). A plain value; services come by constructor.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

namespace fed_learn {

// Set once, from any thread; looked at by whoever does long work.
class AbortSignal {
 public:
  void Set() { set_->store(true, std::memory_order_relaxed); }
  bool IsSet() const { return set_->load(std::memory_order_relaxed); }

 private:
  std::shared_ptr<std::atomic<bool>> set_ = std::make_shared<std::atomic<bool>>(false);
};

enum class Phase { kInit, kTrain, kModelValidation, kFinished };
enum class Side { kServer, kClient };

struct AppContext {
  std::string task_name;  // the federation's name; equal at both ends
  std::int64_t run_number = 1;
  Side side = Side::kClient;
  std::string client_name;  // empty at the server
  Phase phase = Phase::kInit;
  int current_round = 0;
  int start_round = 0;
  int num_rounds = 0;         // the round at which the run ends; -1: without end
  int local_epochs = 0;       // 0: not given
  int steps_aggregation = 0;  // > 0: train this many steps instead of epochs
  std::uint64_t seed = 0;     // of the run; derive with DeriveSeed(seed, client_name, current_round)
  AbortSignal abort;
};

}  // namespace fed_learn
