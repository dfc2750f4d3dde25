// What opening and recording cost; on the simulated disk they are part of every simulated restart.
#include <benchmark/benchmark.h>

#include <filesystem>
#include <memory>
#include <string>

#include "base/posix_disk.h"
#include "base/simulated_disk.h"
#include "server/sqlite_store.h"

namespace fed_learn {
namespace {

void OpenNewInMemory(benchmark::State& state) {
  for (auto _ : state) {
    SimulatedDisk disk;
    benchmark::DoNotOptimize(OpenSqliteStore(disk, "store").value());
  }
}
BENCHMARK(OpenNewInMemory);

void ReopenInMemory(benchmark::State& state) {
  SimulatedDisk disk;
  auto store = OpenSqliteStore(disk, "store").value();
  for (int round = 0; round < state.range(0); ++round) {
    (void)store->RecordRound({.round = round, .sites = {"a", "b"}, .metrics = {{"loss", 0.5}}});
  }
  store.reset();
  for (auto _ : state) benchmark::DoNotOptimize(OpenSqliteStore(disk, "store").value());
}
BENCHMARK(ReopenInMemory)->Arg(0)->Arg(10)->Arg(1000);

void RecordAudit(benchmark::State& state, Disk& disk) {
  auto store = OpenSqliteStore(disk, "store").value();
  for (auto _ : state) {
    if (!store->RecordAudit("2026-01-01T00:00:00Z", "ann", "start server").has_value()) {
      state.SkipWithError("not recorded");
    }
  }
}

void RecordInMemory(benchmark::State& state) {
  SimulatedDisk disk;
  RecordAudit(state, disk);
}
BENCHMARK(RecordInMemory);

void RecordOnDisk(benchmark::State& state) {
  const std::string root = std::filesystem::temp_directory_path() / "sqlite_store_bench";
  std::filesystem::remove_all(root);
  PosixDisk disk(root);
  RecordAudit(state, disk);
  std::filesystem::remove_all(root);
}
BENCHMARK(RecordOnDisk);

}  // namespace
}  // namespace fed_learn
