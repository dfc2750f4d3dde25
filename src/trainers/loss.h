// The losses a tabular model can be trained with. Pure functions; safe from any thread.
#pragma once

#include <cstddef>
#include <string_view>

#include "base/result.h"
#include "trainers/matrix.h"

namespace fed_learn {

enum class Loss {
  kLogistic,  // "logistic": binary cross entropy of outputs as logits; as many targets as outputs, each in 0…1
  kSoftmax,   // "softmax": cross entropy of outputs as logits; one target, the class counted from 0
  kSquared,   // "squared": squared difference; as many targets as outputs
  kCox,       // "cox": negative partial log-likelihood of the batch; one output (log risk), targets event and time
};

std::string_view ToString(Loss loss);

// InvalidArgument, with the nearest name, for a name that is none of the above.
Result<Loss> LossFromString(std::string_view name);

// InvalidArgument if a model with so many outputs, or a table with so many target columns, does not go with the loss.
Status CheckTargetColumns(Loss loss, std::size_t outputs, std::size_t targets);

// InvalidArgument if a row of targets (its columns have been checked) holds a value that the loss cannot use.
Status CheckTargetValues(Loss loss, std::size_t outputs, const Eigen::Ref<const Eigen::RowVectorXd>& targets);

struct LossValue {
  double mean = 0;  // logistic and squared: over rows and outputs; softmax and cox: over rows
  Matrix gradient;  // of the mean with regard to each output
};

// Rows are samples. Cox: risk sets are made of the batch alone, a row's risk set is itself and the rows that come
// before it when the batch is sorted by falling time (rows of one time keep their order); rows without an event add
// zero, but count in the mean. A batch without rows or (Cox) without an event has mean 0 and gradient 0.
// REQUIRES: columns and values have been checked; equally many rows.
LossValue EvaluateLoss(Loss loss, const Matrix& outputs, const Matrix& targets);

// Share of right answers: logistic, logit > 0 against target > 0.5 over rows and outputs; softmax, the largest output.
// REQUIRES: as EvaluateLoss, at least one row, and logistic or softmax.
double Accuracy(Loss loss, const Matrix& outputs, const Matrix& targets);

}  // namespace fed_learn
