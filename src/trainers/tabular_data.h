// TabularData: a site's rows as matrices, for training and for validation.
//
// Which file, columns and rows are a site's own is said by the arguments of TabularFitter:
//   "data": "data/brca.csv"            relative to the app folder
//   "target": ["E", "T"]               columns
//   "features": ["age", …] | {"except": ["pid"]}   columns; default: all but the targets and the keys of the split
//   "validation_data": "data/test.csv" a second file with the same columns; or
//   "split": {"file": "data/split.csv", "key": "pid", "column": "fold", "train": "train_0", "validation": ["test_0"]}
// With "split" a row belongs to training if its column holds one of the values of "train", and so on; rows with other
// values are left out. "file" names a file in which the row of the same key holds the column; without it the column is
// in "data" itself, and no key is needed.
#pragma once

#include <string>
#include <vector>

#include "base/disk.h"
#include "base/json.h"
#include "base/result.h"
#include "components/registry.h"
#include "trainers/matrix.h"

namespace fed_learn {

// Equally many rows in both.
struct TabularRows {
  Matrix inputs;
  Matrix targets;
};

struct TabularSplit {
  std::string file;  // empty: the column is in the data file
  std::string key;
  std::string column;
  std::vector<std::string> train;
  std::vector<std::string> validation;
};

struct TabularDataOptions {
  std::string data;
  std::string validation_data;  // empty: none
  std::vector<std::string> targets;
  std::vector<std::string> features;  // empty: all columns but `features_except`, the targets and those of the split
  std::vector<std::string> features_except;
  bool has_split = false;
  TabularSplit split;
};

// Reads the arguments above; what is wrong with them is also said by args.Done().
// InvalidArgument, naming the argument, for one that is missing or of another form.
Result<TabularDataOptions> ReadTabularDataOptions(Args& args);

struct TabularData {
  std::vector<std::string> features;  // names of the columns of inputs
  TabularRows train;                  // in the order of the file
  TabularRows validation;             // may have no rows
};

// Reads the files. NotFound for a file or column that is not there; InvalidArgument for a cell that is no number, a key
// twice in the split's file, or a split without a training row. Every error names file, line, column.
Result<TabularData> LoadTabularData(const TabularDataOptions& options, const ComponentServices& services);

// The rows of all, one after another. REQUIRES: equal columns.
TabularRows Pooled(const std::vector<const TabularRows*>& parts);

}  // namespace fed_learn
