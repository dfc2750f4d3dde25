// How fast updates are added, beside what memory allows: a STREAM triad and a plain f32 axpy over as many elements, in
// the same run. `bytes_per_second` counts what is read and written. For honest pairs:
//   aggregation_bench --benchmark_enable_random_interleaving=true --benchmark_repetitions=5
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "aggregation/accumulator.h"
#include "aggregation/model_aggregator.h"
#include "base/random.h"

namespace fed_learn {
namespace {

constexpr std::int64_t kElements = 25'000'000;  // 100 MB of f32: from memory, not from a cache

// One block of random values, over and over: making 25 million would take longer than what is measured.
ModelData ModelOf(DType dtype, double scale) {
  Random random(1);
  std::vector<double> block(kElements / 1000);
  for (double& value : block) value = (random.Uniform() - 0.5) * scale;
  std::vector<std::byte> encoded(block.size() * SizeOf(dtype));
  BestKernels().For(dtype).encode(block.data(), block.size(), encoded.data());
  Tensor tensor = Tensor::Allocate(dtype, {kElements});
  auto bytes = tensor.mutable_bytes();
  for (; !bytes.empty(); bytes = bytes.subspan(encoded.size())) std::ranges::copy(encoded, bytes.begin());
  ModelData model;
  static_cast<void>(model.Add("w", std::move(tensor)).has_value());
  return model;
}

void SetBytes(benchmark::State& state, std::int64_t bytes_per_element) {
  state.SetBytesProcessed(state.iterations() * kElements * bytes_per_element);
}

void BM_StreamTriad(benchmark::State& state) {
  std::vector<double> a(kElements);
  const std::vector<double> b(kElements, 1);
  const std::vector<double> c(kElements, 2);
  for (auto _ : state) {
    for (std::size_t i = 0; i < a.size(); ++i) a[i] = b[i] + 3 * c[i];
    benchmark::DoNotOptimize(a.data());
    benchmark::ClobberMemory();
  }
  SetBytes(state, 24);
}
BENCHMARK(BM_StreamTriad)->Unit(benchmark::kMillisecond);

void BM_AxpyF32(benchmark::State& state) {
  std::vector<float> y(kElements, 1);
  const std::vector<float> x(kElements, 2);
  for (auto _ : state) {
    for (std::size_t i = 0; i < y.size(); ++i) y[i] += 0.5F * x[i];
    benchmark::DoNotOptimize(y.data());
    benchmark::ClobberMemory();
  }
  SetBytes(state, 12);
}
BENCHMARK(BM_AxpyF32)->Unit(benchmark::kMillisecond);

void Accumulate(benchmark::State& state, DType dtype, CpuTarget target, double update_scale, std::int64_t sum_bytes) {
  if (!IsSupported(target)) return state.SkipWithError("this processor lacks it");
  const ModelData update = ModelOf(dtype, update_scale);
  const FixedWeight weight = FixedWeight::From(100).value();
  Accumulator accumulator(KernelsFor(target));
  if (!accumulator.Begin(ModelOf(dtype, 1), {Rule::kAverage}, UpdateKind::kDifference).has_value()) {
    return state.SkipWithError("begin");
  }
  // The first one touches new pages, and widens where there is something to widen.
  if (!accumulator.Add(update, {weight, weight}).has_value()) return state.SkipWithError("add");
  for (auto _ : state) {
    if (!accumulator.Add(update, {weight, weight}).has_value()) return state.SkipWithError("add");
  }
  SetBytes(state, static_cast<std::int64_t>(SizeOf(dtype)) + 2 * sum_bytes);
}
BENCHMARK_CAPTURE(Accumulate, f32, DType::kF32, CpuTarget::kAvx2, 0.01, 8)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Accumulate, f32_baseline, DType::kF32, CpuTarget::kBaseline, 0.01, 8)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Accumulate, f32_widened, DType::kF32, CpuTarget::kAvx2, 1e6, 16)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Accumulate, f16, DType::kF16, CpuTarget::kAvx2, 0.01, 8)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Accumulate, bf16, DType::kBF16, CpuTarget::kAvx2, 0.01, 8)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Accumulate, f64, DType::kF64, CpuTarget::kAvx2, 0.01, 16)->Unit(benchmark::kMillisecond);

// A whole round of one site: begin, accept, finish. Optimizers work on the way, so that they cost no pass of their own.
void Round(benchmark::State& state, const char* optimizer) {
  auto aggregator = ModelAggregator::Make({{"optimizer", {{"name", optimizer}}}}).value();
  ModelData model = ModelOf(DType::kF32, 1);
  Contribution contribution;
  contribution.site = "a";
  contribution.update = ModelOf(DType::kF32, 0.01);
  const auto round = [&] {
    if (!aggregator->Begin(0, model).has_value() || !aggregator->Accept(contribution).has_value()) return false;
    auto result = aggregator->Finish();
    if (result.has_value()) model = std::move(result->model);
    return result.has_value();
  };
  if (!round()) return state.SkipWithError("round");  // the first one touches new pages
  for (auto _ : state) {
    if (!round()) return state.SkipWithError("round");
  }
}
BENCHMARK_CAPTURE(Round, FedAvg, "FedAvg")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Round, FedAdam, "FedAdam")->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace fed_learn
