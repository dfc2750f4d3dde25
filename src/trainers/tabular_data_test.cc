#include "trainers/tabular_data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "base/simulated_disk.h"

namespace fed_learn {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class TabularDataTest : public ::testing::Test {
 protected:
  TabularDataTest() {
    Write("app/data/rows.csv", "pid,age,sex,y\na,10,0,1\nb,20,1,2\nc,30,0,3\nd,40,1,4\n");
    Write("app/data/split.csv", "pid,fold\nb,train_0\na,train_0\nd,test_0\nc,train_1\n");
  }

  void Write(const std::string& path, std::string_view text) {
    ASSERT_TRUE(disk_.MakeFolders(path.substr(0, path.rfind('/'))).has_value());
    ASSERT_TRUE(WriteFileAtomically(disk_, path, text).has_value());
  }

  Result<TabularData> Load(const Json& json) {
    Args args(json);
    ASSIGN_OR_RETURN(const TabularDataOptions options, ReadTabularDataOptions(args));
    RETURN_IF_ERROR(args.Done());
    return LoadTabularData(options, {.disk = &disk_, .app_folder = "app", .run_folder = ""});
  }

  TabularData Loaded(const Json& json) {
    auto data = Load(json);
    EXPECT_TRUE(data.has_value()) << data.error().message();
    return std::move(data).value_or(TabularData());
  }

  std::string ErrorOf(const Json& json) {
    const auto data = Load(json);
    EXPECT_FALSE(data.has_value()) << json;
    return data.has_value() ? "" : data.error().message();
  }

  static Json SplitArgs(const Json& split) { return {{"data", "data/rows.csv"}, {"target", "y"}, {"split", split}}; }
  static Json Split(const char* train, const char* validation) {
    return {
        {"file", "data/split.csv"}, {"key", "pid"}, {"column", "fold"}, {"train", train}, {"validation", validation}};
  }

  SimulatedDisk disk_;
};

TEST_F(TabularDataTest, SplitFileDecidesWhichRowsAreWhose) {
  const TabularData data = Loaded(SplitArgs(Split("train_0", "test_0")));
  EXPECT_THAT(data.features, ElementsAre("age", "sex"));
  Matrix train(2, 2);
  train << 10, 0, 20, 1;
  EXPECT_EQ(data.train.inputs, train);
  EXPECT_EQ(data.train.targets(1, 0), 2);
  ASSERT_EQ(data.validation.inputs.rows(), 1);
  EXPECT_EQ(data.validation.inputs(0, 0), 40);
}

TEST_F(TabularDataTest, SplitColumnMayBeInTheDataItself) {
  const TabularData data = Loaded({{"data", "data/rows.csv"},
                                   {"target", "y"},
                                   {"features", {"age"}},
                                   {"split", {{"column", "sex"}, {"train", "0"}, {"validation", Json::array({"1"})}}}});
  EXPECT_EQ(data.train.inputs.rows(), 2);
  EXPECT_EQ(data.train.inputs(1, 0), 30);
  EXPECT_EQ(data.validation.inputs(0, 0), 20);
}

TEST_F(TabularDataTest, WithoutASplitEveryRowTrains) {
  Write("app/data/test.csv", "y,sex,age,pid\n9,1,90,z\n");
  const TabularData data = Loaded({{"data", "data/rows.csv"},
                                   {"validation_data", "data/test.csv"},
                                   {"target", "y"},
                                   {"features", {{"except", "pid"}}}});
  EXPECT_EQ(data.train.inputs.rows(), 4);
  Matrix validation(1, 2);
  validation << 90, 1;
  EXPECT_EQ(data.validation.inputs, validation);
}

TEST_F(TabularDataTest, WithoutValidationThereAreNoRowsOfIt) {
  const TabularData data = Loaded({{"data", "data/rows.csv"}, {"target", "y"}, {"features", {"age"}}});
  EXPECT_EQ(data.validation.inputs.rows(), 0);
  EXPECT_EQ(data.validation.inputs.cols(), 1);
}

TEST_F(TabularDataTest, SplitWithoutATrainingRowNamesTheNearestValue) {
  EXPECT_THAT(ErrorOf(SplitArgs(Split("train_9", "test_0"))),
              AllOf(HasSubstr("data/rows.csv"), HasSubstr("'train_9' in column 'fold'"), HasSubstr("'train_")));
}

TEST_F(TabularDataTest, KeyTwiceInTheSplitIsRefused) {
  Write("app/data/split.csv", "pid,fold\na,train_0\na,test_0\n");
  EXPECT_THAT(ErrorOf(SplitArgs(Split("train_0", "test_0"))),
              AllOf(HasSubstr("split.csv, line 3"), HasSubstr("second time")));
}

TEST_F(TabularDataTest, MissingColumnsAreNamedWithTheirFile) {
  EXPECT_THAT(ErrorOf({{"data", "data/rows.csv"}, {"target", "z"}, {"features", {"age"}}}),
              AllOf(HasSubstr("rows.csv"), HasSubstr("no column 'z'")));
  Json split = Split("train_0", "test_0");
  split["column"] = "folds";
  EXPECT_THAT(ErrorOf(SplitArgs(split)), AllOf(HasSubstr("split.csv has no column 'folds'"), HasSubstr("'fold'")));
}

TEST_F(TabularDataTest, TextAmongTheNumbersIsNamed) {
  EXPECT_THAT(ErrorOf({{"data", "data/rows.csv"}, {"target", "y"}}),
              HasSubstr("rows.csv, line 2, column 'pid' holds 'a'"));
}

TEST_F(TabularDataTest, FileWithoutRowsIsRefused) {
  Write("app/data/none.csv", "x,y\n");
  EXPECT_THAT(ErrorOf({{"data", "data/none.csv"}, {"target", "y"}}), HasSubstr("no row below its header"));
}

TEST_F(TabularDataTest, WrongArgumentsAreNamed) {
  EXPECT_THAT(ErrorOf({{"target", "y"}}), HasSubstr("args.data"));
  EXPECT_THAT(ErrorOf({{"data", "data/rows.csv"}}), HasSubstr("args.target"));
  EXPECT_THAT(ErrorOf({{"data", "data/rows.csv"}, {"target", "y"}, {"features", 3}}), HasSubstr("args.features"));
  EXPECT_THAT(ErrorOf(SplitArgs({{"column", "fold"}})), HasSubstr("args.split.train"));
  EXPECT_THAT(ErrorOf(SplitArgs({{"train", "0"}})), HasSubstr("args.split.column"));
  EXPECT_THAT(ErrorOf(SplitArgs({{"column", "fold"}, {"train", "0"}, {"key", "pid"}})), HasSubstr("go together"));
  EXPECT_THAT(ErrorOf(SplitArgs({{"column", "fold"}, {"trian", "0"}})), AllOf(HasSubstr("split"), HasSubstr("train")));
  Json both = SplitArgs(Split("train_0", "test_0"));
  both["validation_data"] = "data/rows.csv";
  EXPECT_THAT(ErrorOf(both), HasSubstr("exclude each other"));
}

TEST_F(TabularDataTest, PoolingPutsRowsOneAfterAnother) {
  const TabularData data = Loaded({{"data", "data/rows.csv"}, {"target", "y"}, {"features", {"age"}}});
  EXPECT_EQ(Pooled({}).inputs.rows(), 0);
  const TabularRows pooled = Pooled({&data.train, &data.validation, &data.train});
  ASSERT_EQ(pooled.inputs.rows(), 8);
  EXPECT_EQ(pooled.inputs(4, 0), 10);
  EXPECT_EQ(pooled.targets(7, 0), 4);
}

}  // namespace
}  // namespace fed_learn
