#include "trainers/tabular_data.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "base/text.h"
#include "trainers/table.h"

namespace fed_learn {
namespace {

using Names = std::vector<std::string>;

bool Contains(const Names& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// A string stands for a list of one. Nothing for any other form.
std::optional<Names> NamesFrom(const Json& json) {
  if (json.is_string()) return Names{json.get<std::string>()};
  if (!json.is_array()) return std::nullopt;
  Names names;
  for (const Json& name : json) {
    if (!name.is_string()) return std::nullopt;
    names.push_back(name.get<std::string>());
  }
  return names;
}

Status ReadFeatures(const Json& json, TabularDataOptions& options) {
  if (json.is_null()) return {};
  if (const auto names = NamesFrom(json); names.has_value() && !names->empty()) {
    options.features = *names;
    return {};
  }
  if (json.is_object() && json.size() == 1 && json.contains("except")) {
    if (const auto names = NamesFrom(json["except"]); names.has_value()) {
      options.features_except = *names;
      return {};
    }
  }
  return InvalidArgument(R"(args.features must be a list of columns, or {"except": [columns]})");
}

Status ReadSplit(const Json& json, TabularDataOptions& options) {
  if (json.is_null()) return {};
  Args args(json);
  TabularSplit split;
  split.file = args.String("file", "");
  split.key = args.String("key", "");
  split.column = args.String("column", "");
  const auto train = NamesFrom(args.Value("train"));
  const Json validation = args.Value("validation");
  const auto validation_names = validation.is_null() ? Names() : NamesFrom(validation);
  if (const Status done = args.Done(); !done.has_value()) return done.error().In("split");
  if (split.column.empty()) return InvalidArgument("args.split.column is missing; it names the column to split by");
  if (!train.has_value() || train->empty() || !validation_names.has_value()) {
    return InvalidArgument("args.split.train and args.split.validation must be values of column '" +
                           Escaped(split.column) + "', or lists of them");
  }
  if (split.file.empty() != split.key.empty()) {
    return InvalidArgument("args.split.file and args.split.key go together: the key joins the two files");
  }
  split.train = *train;
  split.validation = *validation_names;
  options.split = std::move(split);
  options.has_split = true;
  return {};
}

std::string PathOf(const ComponentServices& services, const std::string& path) {
  const bool as_it_is = path.starts_with('/') || services.app_folder.empty();
  return as_it_is ? path : services.app_folder + "/" + path;
}

Names FeaturesOf(const Table& table, const TabularDataOptions& options) {
  if (!options.features.empty()) return options.features;
  Names features;
  for (const std::string& column : table.columns()) {
    const bool of_split = options.has_split && (column == options.split.key ||
                                                (options.split.file.empty() && column == options.split.column));
    if (of_split || Contains(options.features_except, column) || Contains(options.targets, column)) continue;
    features.push_back(column);
  }
  return features;
}

Result<Matrix> Numbers(const Table& table, const Names& columns, const std::vector<std::size_t>& rows) {
  Matrix matrix(static_cast<Eigen::Index>(rows.size()), static_cast<Eigen::Index>(columns.size()));
  for (std::size_t j = 0; j < columns.size(); ++j) {
    ASSIGN_OR_RETURN(const std::size_t column, table.Find(columns[j]));
    for (std::size_t i = 0; i < rows.size(); ++i) {
      ASSIGN_OR_RETURN(matrix(static_cast<Eigen::Index>(i), static_cast<Eigen::Index>(j)),
                       table.Number(rows[i], column));
    }
  }
  return matrix;
}

Result<TabularRows> RowsOf(const Table& table, const Names& features, const Names& targets,
                           const std::vector<std::size_t>& rows) {
  TabularRows result;
  ASSIGN_OR_RETURN(result.inputs, Numbers(table, features, rows));
  ASSIGN_OR_RETURN(result.targets, Numbers(table, targets, rows));
  return result;
}

std::vector<std::size_t> AllRows(const Table& table) {
  std::vector<std::size_t> rows(table.rows());
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = i;
  return rows;
}

// What the split says of each row of the data file: a value of its column, or nothing.
Result<std::vector<std::string>> SplitValues(const Table& table, const TabularSplit& split,
                                             const ComponentServices& services) {
  std::vector<std::string> values(table.rows());
  if (split.file.empty()) {
    ASSIGN_OR_RETURN(const std::size_t column, table.Find(split.column));
    for (std::size_t row = 0; row < table.rows(); ++row) values[row] = table.Cell(row, column);
    return values;
  }
  ASSIGN_OR_RETURN(const Table other, Table::Read(*services.disk, PathOf(services, split.file)));
  ASSIGN_OR_RETURN(const std::size_t other_key, other.Find(split.key));
  ASSIGN_OR_RETURN(const std::size_t column, other.Find(split.column));
  ASSIGN_OR_RETURN(const std::size_t key, table.Find(split.key));
  std::map<std::string_view, std::size_t> row_of;
  for (std::size_t row = 0; row < other.rows(); ++row) {
    if (!row_of.emplace(other.Cell(row, other_key), row).second) {
      return InvalidArgument(other.Where(row) + " has '" + Escaped(other.Cell(row, other_key)) + "' in column '" +
                             Escaped(split.key) + "' for the second time; one row must say where it belongs");
    }
  }
  for (std::size_t row = 0; row < table.rows(); ++row) {
    const auto found = row_of.find(table.Cell(row, key));
    if (found != row_of.end()) values[row] = other.Cell(found->second, column);
  }
  return values;
}

std::vector<std::size_t> RowsWith(const std::vector<std::string>& values, const Names& wanted) {
  std::vector<std::size_t> rows;
  for (std::size_t row = 0; row < values.size(); ++row) {
    if (Contains(wanted, values[row])) rows.push_back(row);
  }
  return rows;
}

Error NoTrainingRow(const TabularDataOptions& options, const std::vector<std::string>& values) {
  std::set<std::string> found(values.begin(), values.end());
  found.erase("");
  return InvalidArgument("no row of " + Escaped(options.data) + " has '" + Escaped(options.split.train.front()) +
                         "' in column '" + Escaped(options.split.column) + "'" +
                         DidYouMean(options.split.train.front(), Names(found.begin(), found.end())));
}

}  // namespace

Result<TabularDataOptions> ReadTabularDataOptions(Args& args) {
  TabularDataOptions options;
  options.data = args.String("data", "");
  options.validation_data = args.String("validation_data", "");
  const auto targets = NamesFrom(args.Value("target"));
  RETURN_IF_ERROR(ReadFeatures(args.Value("features"), options));
  RETURN_IF_ERROR(ReadSplit(args.Value("split"), options));
  if (options.data.empty()) return InvalidArgument("args.data is missing; it names the CSV file with the rows");
  if (!targets.has_value() || targets->empty()) {
    return InvalidArgument("args.target must name the target column, or a list of them");
  }
  if (options.has_split && !options.validation_data.empty()) {
    return InvalidArgument("args.split and args.validation_data exclude each other");
  }
  options.targets = *targets;
  return options;
}

Result<TabularData> LoadTabularData(const TabularDataOptions& options, const ComponentServices& services) {
  ASSIGN_OR_RETURN(const Table table, Table::Read(*services.disk, PathOf(services, options.data)));
  TabularData data;
  data.features = FeaturesOf(table, options);
  std::vector<std::size_t> train_rows = AllRows(table);
  std::vector<std::size_t> validation_rows;
  if (options.has_split) {
    ASSIGN_OR_RETURN(const std::vector<std::string> values, SplitValues(table, options.split, services));
    train_rows = RowsWith(values, options.split.train);
    validation_rows = RowsWith(values, options.split.validation);
    if (train_rows.empty()) return NoTrainingRow(options, values);
  }
  if (train_rows.empty()) return InvalidArgument(table.source() + " has no row below its header");
  ASSIGN_OR_RETURN(data.train, RowsOf(table, data.features, options.targets, train_rows));
  if (options.validation_data.empty()) {
    ASSIGN_OR_RETURN(data.validation, RowsOf(table, data.features, options.targets, validation_rows));
  } else {
    ASSIGN_OR_RETURN(const Table other, Table::Read(*services.disk, PathOf(services, options.validation_data)));
    ASSIGN_OR_RETURN(data.validation, RowsOf(other, data.features, options.targets, AllRows(other)));
  }
  return data;
}

TabularRows Pooled(const std::vector<const TabularRows*>& parts) {
  Eigen::Index rows = 0;
  for (const TabularRows* part : parts) rows += part->inputs.rows();
  TabularRows pooled;
  if (parts.empty()) return pooled;
  pooled.inputs.resize(rows, parts.front()->inputs.cols());
  pooled.targets.resize(rows, parts.front()->targets.cols());
  Eigen::Index at = 0;
  for (const TabularRows* part : parts) {
    pooled.inputs.middleRows(at, part->inputs.rows()) = part->inputs;
    pooled.targets.middleRows(at, part->targets.rows()) = part->targets;
    at += part->inputs.rows();
  }
  return pooled;
}

}  // namespace fed_learn
