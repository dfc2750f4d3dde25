#include "trainers/loss.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/random.h"

namespace fed_learn {
namespace {

using ::testing::HasSubstr;

constexpr Loss kLosses[] = {Loss::kLogistic, Loss::kSoftmax, Loss::kSquared, Loss::kCox};

Matrix RandomMatrix(Eigen::Index rows, Eigen::Index columns, Random& random) {
  return Matrix::NullaryExpr(rows, columns, [&] { return random.Normal(); });
}

// Few different times, so that there are ties.
Matrix RandomTargets(Loss loss, Eigen::Index rows, Eigen::Index outputs, Random& random) {
  const Eigen::Index columns = loss == Loss::kCox ? 2 : loss == Loss::kSoftmax ? 1 : outputs;
  Matrix targets = RandomMatrix(rows, columns, random);
  for (Eigen::Index row = 0; row < rows; ++row) {
    if (loss == Loss::kLogistic) targets(row, 0) = random.Uniform();
    if (loss == Loss::kSoftmax) targets(row, 0) = static_cast<double>(random.Below(3));
    if (loss == Loss::kCox) targets.row(row) << (random.Chance(0.5) ? 1 : 0), static_cast<double>(random.Below(5));
  }
  return targets;
}

Eigen::Index OutputsFor(Loss loss) { return loss == Loss::kSoftmax ? 3 : 1; }

Matrix ColumnOf(std::initializer_list<double> values) {
  Matrix matrix(static_cast<Eigen::Index>(values.size()), 1);
  std::copy(values.begin(), values.end(), matrix.data());
  return matrix;
}

TEST(LossTest, GradientsAreThoseOfFiniteDifferences) {
  constexpr double step = 1e-6;
  Random random(3);
  for (const Loss loss : kLosses) {
    for (const Eigen::Index rows : {1, 2, 9}) {
      const Eigen::Index columns = OutputsFor(loss);
      const Matrix outputs = RandomMatrix(rows, columns, random);
      const Matrix targets = RandomTargets(loss, rows, columns, random);
      const Matrix gradient = EvaluateLoss(loss, outputs, targets).gradient;
      ASSERT_EQ(gradient.rows(), rows);
      for (Eigen::Index i = 0; i < outputs.size(); ++i) {
        Matrix above = outputs;
        Matrix below = outputs;
        above.data()[i] += step;
        below.data()[i] -= step;
        const double difference =
            (EvaluateLoss(loss, above, targets).mean - EvaluateLoss(loss, below, targets).mean) / (2 * step);
        EXPECT_NEAR(gradient.data()[i], difference, 1e-8) << ToString(loss) << " of " << rows << " rows";
      }
    }
  }
}

TEST(LossTest, NoRowsHaveNoLoss) {
  for (const Loss loss : kLosses) {
    const Eigen::Index columns = OutputsFor(loss);
    const LossValue value = EvaluateLoss(loss, Matrix(0, columns), Matrix(0, loss == Loss::kCox ? 2 : 1));
    EXPECT_EQ(value.mean, 0);
    EXPECT_EQ(value.gradient.rows(), 0);
    EXPECT_EQ(value.gradient.cols(), columns);
  }
}

TEST(LossTest, LogisticByHand) {
  const LossValue value = EvaluateLoss(Loss::kLogistic, ColumnOf({0, 2}), ColumnOf({1, 0}));
  EXPECT_NEAR(value.mean, (std::log(2) + std::log1p(std::exp(2))) / 2, 1e-15);
}

TEST(LossTest, LargeOutputsStayFinite) {
  EXPECT_EQ(EvaluateLoss(Loss::kLogistic, ColumnOf({1000, -1000}), ColumnOf({0, 1})).mean, 1000);
  Matrix outputs(1, 2);
  outputs << 1000, -1000;
  EXPECT_EQ(EvaluateLoss(Loss::kSoftmax, outputs, ColumnOf({1})).mean, 2000);
  Matrix targets(2, 2);
  targets << 1, 1, 0, 2;
  const LossValue cox = EvaluateLoss(Loss::kCox, ColumnOf({-1000, 1000}), targets);
  EXPECT_EQ(cox.mean, 1000);
  EXPECT_EQ(cox.gradient, ColumnOf({-0.5, 0.5}));
}

TEST(LossTest, SquaredByHand) { EXPECT_EQ(EvaluateLoss(Loss::kSquared, ColumnOf({1, 4}), ColumnOf({0, 2})).mean, 2.5); }

// The definition: for each event, the log of the summed risks of those who come no later in the order of falling time.
TEST(LossTest, CoxByItsFormula) {
  const Matrix outputs = ColumnOf({0.5, -1, 2, 0.1});
  Matrix targets(4, 2);
  targets << 1, 3, 0, 9, 1, 5, 1, 3;  // sorted: row 1, row 2, row 0, row 3 (tied with row 0, after it)
  const double expected = (std::log(std::exp(-1) + std::exp(2)) - 2 +                    //
                           std::log(std::exp(-1) + std::exp(2) + std::exp(0.5)) - 0.5 +  //
                           std::log(std::exp(-1) + std::exp(2) + std::exp(0.5) + std::exp(0.1)) - 0.1) /
                          4;
  EXPECT_NEAR(EvaluateLoss(Loss::kCox, outputs, targets).mean, expected, 1e-14);
}

TEST(LossTest, CoxBatchWithoutAnEventHasNoGradient) {
  Matrix targets(3, 2);
  targets << 0, 1, 0, 2, 0, 2;
  const LossValue value = EvaluateLoss(Loss::kCox, ColumnOf({1, 2, 3}), targets);
  EXPECT_EQ(value.mean, 0);
  EXPECT_TRUE(value.gradient.isZero(0));
}

TEST(LossTest, CoxOfOneEventAloneHasNoGradient) {
  Matrix targets(1, 2);
  targets << 1, 7;
  const LossValue value = EvaluateLoss(Loss::kCox, ColumnOf({3}), targets);
  EXPECT_EQ(value.mean, 0);
  EXPECT_EQ(value.gradient, ColumnOf({0}));
}

TEST(LossTest, AccuracyCountsRightAnswers) {
  EXPECT_EQ(Accuracy(Loss::kLogistic, ColumnOf({1, -1, 2, -2}), ColumnOf({1, 0, 0, 0})), 0.75);
  Matrix outputs(2, 3);
  outputs << 1, 5, 2, 3, 0, 1;
  EXPECT_EQ(Accuracy(Loss::kSoftmax, outputs, ColumnOf({1, 2})), 0.5);
}

TEST(LossTest, UnknownNameIsRefusedWithTheNearest) {
  EXPECT_THAT(LossFromString("softmacks").error().message(), HasSubstr("softmax"));
  for (const Loss loss : kLosses) EXPECT_EQ(LossFromString(ToString(loss)).value(), loss);
}

TEST(LossTest, ColumnsThatDoNotGoWithTheLossAreRefused) {
  EXPECT_THAT(CheckTargetColumns(Loss::kCox, 1, 1).error().message(), HasSubstr("(event, time)"));
  EXPECT_THAT(CheckTargetColumns(Loss::kCox, 2, 2).error().message(), HasSubstr("one output"));
  EXPECT_THAT(CheckTargetColumns(Loss::kSoftmax, 1, 1).error().message(), HasSubstr("output for each class"));
  EXPECT_THAT(CheckTargetColumns(Loss::kSquared, 2, 1).error().message(), HasSubstr("2 target columns, not 1"));
  EXPECT_TRUE(CheckTargetColumns(Loss::kLogistic, 2, 2).has_value());
}

TEST(LossTest, ValuesThatTheLossCannotUseAreRefused) {
  EXPECT_FALSE(CheckTargetValues(Loss::kLogistic, 1, ColumnOf({1.5}).row(0)).has_value());
  EXPECT_FALSE(CheckTargetValues(Loss::kSoftmax, 3, ColumnOf({3}).row(0)).has_value());
  EXPECT_FALSE(CheckTargetValues(Loss::kSoftmax, 3, ColumnOf({0.5}).row(0)).has_value());
  EXPECT_FALSE(CheckTargetValues(Loss::kCox, 1, ColumnOf({2}).row(0)).has_value());
  EXPECT_TRUE(CheckTargetValues(Loss::kSoftmax, 3, ColumnOf({2}).row(0)).has_value());
}

}  // namespace
}  // namespace fed_learn
