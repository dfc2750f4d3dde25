#include "trainers/loss.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "base/text.h"

namespace fed_learn {
namespace {

constexpr std::array kLosses{Loss::kLogistic, Loss::kSoftmax, Loss::kSquared, Loss::kCox};

// log(exp(a) + exp(b)); minus infinity stands for the log of nothing.
double LogAddExp(double a, double b) {
  const auto [low, high] = std::minmax(a, b);
  return std::isinf(low) ? high : high + std::log1p(std::exp(low - high));
}

LossValue Logistic(const Matrix& outputs, const Matrix& targets) {
  LossValue value{.mean = 0, .gradient = Matrix::Zero(outputs.rows(), outputs.cols())};
  const auto count = static_cast<double>(outputs.size());
  for (Eigen::Index i = 0; i < outputs.size(); ++i) {
    const double x = outputs.data()[i];
    const double y = targets.data()[i];
    const double small = std::exp(-std::abs(x));
    value.mean += std::max(x, 0.0) - x * y + std::log1p(small);
    const double probability = (x >= 0 ? 1 : small) / (1 + small);
    value.gradient.data()[i] = (probability - y) / count;
  }
  value.mean /= count;
  return value;
}

LossValue Softmax(const Matrix& outputs, const Matrix& targets) {
  LossValue value{.mean = 0, .gradient = Matrix(outputs.rows(), outputs.cols())};
  const auto count = static_cast<double>(outputs.rows());
  for (Eigen::Index row = 0; row < outputs.rows(); ++row) {
    const double highest = outputs.row(row).maxCoeff();
    double sum = 0;
    for (Eigen::Index k = 0; k < outputs.cols(); ++k) sum += std::exp(outputs(row, k) - highest);
    const double log_sum = highest + std::log(sum);
    for (Eigen::Index k = 0; k < outputs.cols(); ++k) {
      value.gradient(row, k) = std::exp(outputs(row, k) - log_sum) / count;
    }
    const auto truth = static_cast<Eigen::Index>(targets(row, 0));
    value.gradient(row, truth) -= 1 / count;
    value.mean += log_sum - outputs(row, truth);
  }
  value.mean /= count;
  return value;
}

LossValue Squared(const Matrix& outputs, const Matrix& targets) {
  const auto count = static_cast<double>(outputs.size());
  const Matrix difference = outputs - targets;
  return {.mean = difference.squaredNorm() / count, .gradient = difference * (2 / count)};
}

// In logarithms throughout, so that no risk is too large or too small for a double.
LossValue Cox(const Matrix& outputs, const Matrix& targets) {
  constexpr Eigen::Index event = 0;
  constexpr Eigen::Index time = 1;
  const auto count = static_cast<double>(outputs.rows());
  std::vector<Eigen::Index> order(static_cast<std::size_t>(outputs.rows()));
  std::iota(order.begin(), order.end(), Eigen::Index{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](Eigen::Index a, Eigen::Index b) { return targets(a, time) > targets(b, time); });

  LossValue value{.mean = 0, .gradient = Matrix::Zero(outputs.rows(), 1)};
  std::vector<double> log_risk(order.size());  // of each row's risk set
  double sum = -std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < order.size(); ++i) {
    sum = LogAddExp(sum, outputs(order[i], 0));
    log_risk[i] = sum;
    if (targets(order[i], event) != 0) value.mean += log_risk[i] - outputs(order[i], 0);
  }
  value.mean /= count;

  double shares = -std::numeric_limits<double>::infinity();  // log of the sum of 1/risk over events yet to come
  for (std::size_t i = order.size(); i-- > 0;) {
    const bool is_event = targets(order[i], event) != 0;
    if (is_event) shares = LogAddExp(shares, -log_risk[i]);
    value.gradient(order[i], 0) = (std::exp(outputs(order[i], 0) + shares) - (is_event ? 1 : 0)) / count;
  }
  return value;
}

}  // namespace

std::string_view ToString(Loss loss) {
  switch (loss) {
    case Loss::kLogistic:
      return "logistic";
    case Loss::kSoftmax:
      return "softmax";
    case Loss::kSquared:
      return "squared";
    case Loss::kCox:
      return "cox";
  }
  return "";
}

Result<Loss> LossFromString(std::string_view name) {
  std::vector<std::string> names;
  for (const Loss loss : kLosses) {
    if (ToString(loss) == name) return loss;
    names.emplace_back(ToString(loss));
  }
  return InvalidArgument("no loss is called '" + Escaped(name) + "'" + DidYouMean(name, names));
}

Status CheckTargetColumns(Loss loss, std::size_t outputs, std::size_t targets) {
  const bool same = loss == Loss::kLogistic || loss == Loss::kSquared;
  const std::size_t targets_needed = same ? outputs : loss == Loss::kCox ? 2 : 1;
  const std::string name(ToString(loss));
  if (targets != targets_needed) {
    return InvalidArgument("loss '" + name + "' of a model with " + std::to_string(outputs) + " outputs needs " +
                           std::to_string(targets_needed) +
                           (loss == Loss::kCox ? " target columns (event, time)" : " target columns") + ", not " +
                           std::to_string(targets));
  }
  if (loss == Loss::kCox && outputs != 1) {
    return InvalidArgument("loss 'cox' needs a model with one output, not " + std::to_string(outputs));
  }
  if (loss == Loss::kSoftmax && outputs < 2) {
    return InvalidArgument(
        "loss 'softmax' needs a model with an output for each class; for two classes and one "
        "output take 'logistic'");
  }
  return {};
}

Status CheckTargetValues(Loss loss, std::size_t outputs, const Eigen::Ref<const Eigen::RowVectorXd>& targets) {
  switch (loss) {
    case Loss::kLogistic:
      if ((targets.array() >= 0).all() && (targets.array() <= 1).all()) return {};
      return InvalidArgument("a target of loss 'logistic' must lie in 0…1");
    case Loss::kSoftmax:
      if (targets(0) >= 0 && targets(0) < static_cast<double>(outputs) && std::floor(targets(0)) == targets(0)) {
        return {};
      }
      return InvalidArgument("the target of loss 'softmax' must be a class from 0 to " + std::to_string(outputs - 1));
    case Loss::kSquared:
      return {};
    case Loss::kCox:
      if (targets(0) == 0 || targets(0) == 1) return {};
      return InvalidArgument("the event of loss 'cox' must be 0 (censored) or 1");
  }
  return {};
}

LossValue EvaluateLoss(Loss loss, const Matrix& outputs, const Matrix& targets) {
  if (outputs.rows() == 0) return {.mean = 0, .gradient = Matrix(0, outputs.cols())};
  switch (loss) {
    case Loss::kLogistic:
      return Logistic(outputs, targets);
    case Loss::kSoftmax:
      return Softmax(outputs, targets);
    case Loss::kSquared:
      return Squared(outputs, targets);
    case Loss::kCox:
      return Cox(outputs, targets);
  }
  return {};
}

double Accuracy(Loss loss, const Matrix& outputs, const Matrix& targets) {
  assert(loss == Loss::kLogistic || loss == Loss::kSoftmax);
  if (loss == Loss::kLogistic) {
    const auto right = ((outputs.array() > 0) == (targets.array() > 0.5)).count();
    return static_cast<double>(right) / static_cast<double>(outputs.size());
  }
  Eigen::Index right = 0;
  for (Eigen::Index row = 0; row < outputs.rows(); ++row) {
    Eigen::Index best = 0;
    outputs.row(row).maxCoeff(&best);
    if (best == static_cast<Eigen::Index>(targets(row, 0))) ++right;
  }
  return static_cast<double>(right) / static_cast<double>(outputs.rows());
}

}  // namespace fed_learn
