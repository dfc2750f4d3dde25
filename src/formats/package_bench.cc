// What a model costs beside the wire: describing (hash and zeros), parsing a manifest, receiving, the pool.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstring>

#include "base/random.h"
#include "formats/package.h"

namespace fed_learn {
namespace {

ModelData ModelOf(std::int64_t tensors, std::int64_t elements) {
  ModelData model;
  Random random(1);
  for (std::int64_t i = 0; i < tensors; ++i) {
    Tensor tensor = Tensor::Allocate(DType::kF32, {elements});
    for (float& value : tensor.mutable_values<float>()) value = static_cast<float>(random.Uniform() + 1);
    if (!model.Add("encoder.layer_" + std::to_string(i) + ".attention.weight", tensor).has_value()) std::abort();
  }
  return model;
}

void SetBytes(benchmark::State& state, std::uint64_t bytes) {
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes) * state.iterations());
}

void BM_Describe(benchmark::State& state) {
  const ModelData model = ModelOf(50, 500000);
  for (auto _ : state) benchmark::DoNotOptimize(DescribeModel(model));
  SetBytes(state, model.byte_size());
}
BENCHMARK(BM_Describe)->Unit(benchmark::kMillisecond);

void BM_DescribeZeros(benchmark::State& state) {
  ModelData model;
  Tensor zeros = Tensor::Allocate(DType::kU8, {100000000});
  std::memset(zeros.mutable_bytes().data(), 0, zeros.byte_size());
  if (!model.Add("w", zeros).has_value()) std::abort();
  for (auto _ : state) benchmark::DoNotOptimize(DescribeModel(model));
  SetBytes(state, model.byte_size());
}
BENCHMARK(BM_DescribeZeros)->Unit(benchmark::kMillisecond);

void BM_EncodeManifest10000(benchmark::State& state) {
  const Manifest manifest = DescribeModel(ModelOf(10000, 4));
  for (auto _ : state) benchmark::DoNotOptimize(EncodeManifest(manifest));
}
BENCHMARK(BM_EncodeManifest10000)->Unit(benchmark::kMillisecond);

void BM_ParseManifest10000(benchmark::State& state) {
  const std::string text = EncodeManifest(DescribeModel(ModelOf(10000, 4)));
  for (auto _ : state) benchmark::DoNotOptimize(ParseManifest(text, "bench").value());
  SetBytes(state, text.size());
}
BENCHMARK(BM_ParseManifest10000)->Unit(benchmark::kMillisecond);

// Receives 100 MB in pieces of 128 KB, with a pool that keeps its slabs (1) or gives them back (0).
void BM_Receive(benchmark::State& state) {
  const auto encoded = EncodeModel(ModelOf(50, 500000));
  const auto pool = std::make_shared<BufferPool>(state.range(0) == 1 ? 1ull << 30 : 0);
  for (auto _ : state) {
    ModelReceiver receiver(encoded->manifest, {}, pool);
    const auto source = SendTensors(encoded, receiver.lacking());
    if (!receiver.Expect(source->size()).has_value()) std::abort();
    while (!receiver.Space().empty()) {
      const auto from = source->At(receiver.offset());
      const std::size_t bytes = std::min({from.size(), receiver.Space().size(), std::size_t{128} << 10});
      std::memcpy(receiver.Space().data(), from.data(), bytes);
      receiver.Advance(bytes);
    }
    benchmark::DoNotOptimize(receiver.Finish().value());
  }
  SetBytes(state, encoded->model.byte_size());
}
BENCHMARK(BM_Receive)->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace fed_learn
