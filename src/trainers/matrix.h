// The matrix type of this room: double, row-major, one sample a row.
//
// Products are written a.lazyProduct(b): Eigen's blocked product splits its sums by the cache sizes that it finds on
// the machine, so its last bits differ between machines.
#pragma once

#include <Eigen/Core>

namespace fed_learn {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Vector = Eigen::VectorXd;

}  // namespace fed_learn
