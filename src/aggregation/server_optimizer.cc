#include "aggregation/server_optimizer.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/text.h"
#include "components/registry.h"

namespace fed_learn {
namespace {

enum class Algorithm { kSgd, kFedAdagrad, kFedAdam, kFedYogi };

struct Settings {
  Algorithm algorithm = Algorithm::kSgd;
  double lr = 1;
  double beta1 = 0;  // of SGD: momentum
  double beta2 = 0;
  double tau = 0;
  double v0 = 0;
  bool bias_correction = false;
};

// The moments of one tensor; without elements where the algorithm has none.
struct Moments {
  Tensor first;
  Tensor second;
};

// Of the moments of a tensor of the model.
struct Layout {
  DType dtype;
  std::int64_t elements;

  bool Fits(const Tensor& moment) const { return moment.dtype() == dtype && moment.elements() == elements; }
};

constexpr std::string_view kFirst = "first_moment/";
constexpr std::string_view kSecond = "second_moment/";
constexpr std::string_view kRounds = "rounds";

double Power(double base, std::int64_t exponent) {
  double power = 1;
  for (; exponent > 0; exponent /= 2, base *= base) {
    if (exponent % 2 == 1) power *= base;
  }
  return power;
}

Tensor Filled(DType dtype, std::int64_t elements, double value) {
  Tensor tensor = Tensor::Allocate(dtype, {elements});
  if (dtype == DType::kF64) {
    for (double& element : tensor.mutable_values<double>()) element = value;
  } else {
    for (float& element : tensor.mutable_values<float>()) element = static_cast<float>(value);
  }
  return tensor;
}

class MomentOptimizer : public ServerOptimizer {
 public:
  explicit MomentOptimizer(const Settings& settings) : settings_(settings) {}

  Status Prepare(const ModelData& model) override;
  void BeginRound() override { ++rounds_; }
  void BeginTensor(std::size_t tensor) override;
  void Step(std::size_t begin, std::span<double> difference) override;
  ModelData SaveState() const override;
  Status LoadState(const ModelData& state) override;

 private:
  bool has_first() const { return settings_.beta1 > 0; }
  bool has_second() const { return settings_.algorithm != Algorithm::kSgd; }

  template <typename Real>
  void FirstMoment(std::span<Real> moment, std::span<double> difference) const;
  template <typename Real>
  void SecondMoment(std::span<Real> moment, std::span<const double> difference, std::span<double> denominator) const;
  template <typename Real>
  void StepRange(std::size_t begin, std::span<double> difference);

  const Settings settings_;
  std::vector<Layout> layouts_;  // of the model's tensors
  std::map<std::size_t, Moments> moments_;
  Moments* current_ = nullptr;
  std::int64_t rounds_ = 0;
  std::vector<double> denominator_;  // kept, so that a block allocates nothing
};

Status MomentOptimizer::Prepare(const ModelData& model) {
  std::vector<Layout> layouts;
  for (const NamedTensor& tensor : model) {
    const bool is_double = tensor.tensor.dtype() == DType::kF64;
    layouts.push_back({is_double ? DType::kF64 : DType::kF32, tensor.tensor.elements()});
  }
  for (const auto& [tensor, moments] : moments_) {
    for (const Tensor* moment : {&moments.first, &moments.second}) {
      if (moment->elements() == 0 || (tensor < layouts.size() && layouts[tensor].Fits(*moment))) continue;
      return FailedPrecondition(fmt::format(
          "the optimizer's state for tensor {} is not of this model; go on with the model it had, or begin a new run",
          tensor));
    }
  }
  layouts_ = std::move(layouts);
  return {};
}

// Whoever saves the state may still hold it, so what is shared is copied before it changes.
void MomentOptimizer::BeginTensor(std::size_t tensor) {
  const Layout layout = layouts_[tensor];
  const auto prepare = [layout](Tensor& moment, double initial) {
    if (moment.elements() != layout.elements) {
      moment = Filled(layout.dtype, layout.elements, initial);
    } else if (!moment.Unique()) {
      moment = moment.Clone();
    }
  };
  current_ = &moments_[tensor];
  if (has_first()) prepare(current_->first, 0);
  if (has_second()) prepare(current_->second, settings_.v0);
}

template <typename Real>
void MomentOptimizer::FirstMoment(std::span<Real> moment, std::span<double> difference) const {
  const bool is_sgd = settings_.algorithm == Algorithm::kSgd;
  const double beta = settings_.beta1;
  const double gain = is_sgd ? 1 : 1 - beta;
  const double correction = settings_.bias_correction ? 1 - Power(beta, rounds_) : 1;
  for (std::size_t i = 0; i < difference.size(); ++i) {
    const double m = beta * static_cast<double>(moment[i]) + gain * difference[i];
    moment[i] = static_cast<Real>(m);
    difference[i] = m / correction;
  }
}

template <typename Real>
void MomentOptimizer::SecondMoment(std::span<Real> moment, std::span<const double> difference,
                                   std::span<double> denominator) const {
  const double beta = settings_.beta2;
  const double correction = settings_.bias_correction ? 1 - Power(beta, rounds_) : 1;
  const auto update = [&](auto rule) {
    for (std::size_t i = 0; i < difference.size(); ++i) {
      const double v = rule(static_cast<double>(moment[i]), difference[i] * difference[i]);
      moment[i] = static_cast<Real>(v);
      denominator[i] = std::sqrt(v / correction) + settings_.tau;
    }
  };
  switch (settings_.algorithm) {
    case Algorithm::kFedAdagrad:
      return update([](double v, double square) { return v + square; });
    case Algorithm::kFedYogi:
      return update([beta](double v, double square) {
        const double sign = v > square ? 1 : v < square ? -1 : 0;
        return v - (1 - beta) * square * sign;
      });
    default:
      return update([beta](double v, double square) { return beta * v + (1 - beta) * square; });
  }
}

template <typename Real>
void MomentOptimizer::StepRange(std::size_t begin, std::span<double> difference) {
  denominator_.resize(difference.size());
  if (has_second()) {
    SecondMoment<Real>(current_->second.mutable_values<Real>().subspan(begin, difference.size()), difference,
                       denominator_);
  }
  if (has_first()) {
    FirstMoment<Real>(current_->first.mutable_values<Real>().subspan(begin, difference.size()), difference);
  }
  for (std::size_t i = 0; i < difference.size(); ++i) difference[i] *= settings_.lr;
  if (!has_second()) return;
  for (std::size_t i = 0; i < difference.size(); ++i) difference[i] /= denominator_[i];
}

void MomentOptimizer::Step(std::size_t begin, std::span<double> difference) {
  const Tensor& moment = has_second() ? current_->second : current_->first;
  if (moment.dtype() == DType::kF64) {
    StepRange<double>(begin, difference);
  } else {
    StepRange<float>(begin, difference);
  }
}

ModelData MomentOptimizer::SaveState() const {
  ModelData state;
  const auto add = [&state](std::string name, const Tensor& tensor) {
    // Cannot fail: the names are short, and each is there once.
    if (tensor.elements() > 0) static_cast<void>(state.Add(std::move(name), tensor, Role::kBuffer).has_value());
  };
  add(std::string(kRounds), Tensor::Of<std::int64_t>({1}, std::array{rounds_}));
  for (const auto& [tensor, moments] : moments_) {
    add(fmt::format("{}{}", kFirst, tensor), moments.first);
    add(fmt::format("{}{}", kSecond, tensor), moments.second);
  }
  return state;
}

// The place in the model that follows `prefix` in a name of the state.
std::optional<std::size_t> PlaceIn(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return std::nullopt;
  name.remove_prefix(prefix.size());
  std::size_t place = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), place);
  if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
  return place;
}

Status MomentOptimizer::LoadState(const ModelData& state) {
  std::map<std::size_t, Moments> moments;
  std::int64_t rounds = 0;
  for (const NamedTensor& tensor : state) {
    const bool is_real = tensor.tensor.dtype() == DType::kF32 || tensor.tensor.dtype() == DType::kF64;
    const auto first = PlaceIn(tensor.name, kFirst);
    const auto second = PlaceIn(tensor.name, kSecond);
    if (tensor.name == kRounds && tensor.tensor.dtype() == DType::kI64 && tensor.tensor.elements() == 1) {
      std::memcpy(&rounds, tensor.tensor.bytes().data(), sizeof(rounds));
    } else if (first.has_value() && is_real && has_first()) {
      moments[*first].first = tensor.tensor.Clone();
    } else if (second.has_value() && is_real && has_second()) {
      moments[*second].second = tensor.tensor.Clone();
    } else {
      return InvalidArgument(fmt::format(
          "the state's tensor '{}' is not of this optimizer; begin a new run to change it", Escaped(tensor.name)));
    }
  }
  moments_ = std::move(moments);
  rounds_ = rounds;
  return {};
}

// Reads an argument that has to lie in [min, max), or in (min, max) where `is_open`.
struct Range {
  double min;
  double max;
  bool is_open;
  std::string_view wanted;
};
constexpr Range kPositive{0, HUGE_VAL, true, "a number above 0"};
constexpr Range kNotNegative{0, HUGE_VAL, false, "a number that is not negative"};
constexpr Range kDecay{0, 1, false, "a number from 0 to below 1"};

double ReadNumber(Args& args, std::string_view name, double absent, const Range& range) {
  const double value = args.Number(name, absent);
  if (value >= range.min && value < range.max && !(range.is_open && value == range.min)) return value;
  args.Fail(name, range.wanted);
  return absent;
}

Result<Settings> ReadSettings(Algorithm algorithm, const Json& json) {
  Args args(json);
  Settings settings{.algorithm = algorithm};
  if (algorithm == Algorithm::kSgd) {
    settings.lr = ReadNumber(args, "lr", 1, kPositive);
    settings.beta1 = ReadNumber(args, "momentum", 0, kDecay);
    RETURN_IF_ERROR(args.Done());
    return settings;
  }
  const bool is_adagrad = algorithm == Algorithm::kFedAdagrad;
  settings.lr = ReadNumber(args, "lr", 0.01, kPositive);
  settings.beta1 = ReadNumber(args, "beta1", is_adagrad ? 0 : 0.9, kDecay);
  settings.tau = ReadNumber(args, "tau", 1e-3, kPositive);
  if (!is_adagrad) {
    settings.beta2 = ReadNumber(args, "beta2", 0.99, kDecay);
    settings.bias_correction = args.Bool("bias_correction", false);
  }
  settings.v0 = ReadNumber(args, "v0", settings.bias_correction ? 0 : settings.tau * settings.tau, kNotNegative);
  RETURN_IF_ERROR(args.Done());
  return settings;
}

}  // namespace

Result<std::unique_ptr<ServerOptimizer>> MakeServerOptimizer(const Json& spec) {
  static constexpr std::array<std::pair<std::string_view, Algorithm>, 4> kAlgorithms{{
      {"SGD", Algorithm::kSgd},
      {"FedAdagrad", Algorithm::kFedAdagrad},
      {"FedAdam", Algorithm::kFedAdam},
      {"FedYogi", Algorithm::kFedYogi},
  }};
  ASSIGN_OR_RETURN(const ComponentSpec parsed, ParseComponentSpec(spec, "optimizer"));
  if (parsed.name == "FedAvg") {
    RETURN_IF_ERROR(Args(parsed.args).Done());
    return std::unique_ptr<ServerOptimizer>();
  }
  std::vector<std::string> names{"FedAvg"};
  for (const auto& [name, algorithm] : kAlgorithms) {
    names.emplace_back(name);
    if (name != parsed.name) continue;
    auto settings = ReadSettings(algorithm, parsed.args);
    if (!settings.has_value()) return settings.error().In("optimizer " + parsed.name);
    return std::unique_ptr<ServerOptimizer>(std::make_unique<MomentOptimizer>(*settings));
  }
  return InvalidArgument("no optimizer is called '" + Escaped(parsed.name) + "'" + DidYouMean(parsed.name, names));
}

}  // namespace fed_learn
