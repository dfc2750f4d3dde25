// SafetensorsModelSaver: keeps the global model as FL_global_model.safetensors, and the best one so far as
// best_FL_global_model.safetensors.
//
// Arguments of "SafetensorsModelSaver":
//   exclude_vars       a regular expression (ECMAScript, searched anywhere in the name): tensors whose name matches are
//                      neither in the first model nor in the files
//   model_log_dir      the folder of the files; the run's folder by default
//   ckpt_preload_path  any model file (model_file.h) to start from, instead of what the builder makes
// Relative paths start at the application's folder.
#pragma once

#include <memory>
#include <optional>
#include <regex>
#include <string>

#include "base/json.h"
#include "components/model_saver.h"
#include "components/registry.h"

namespace fed_learn {

class SafetensorsModelSaver : public ModelSaver {
 public:
  // InvalidArgument for wrong arguments, an unreadable regular expression, or services without a disk.
  static Result<std::unique_ptr<ModelSaver>> Make(const Json& args, const ComponentServices& services);

  // Makes the folder.
  Status Initialize(ModelSource* builder) override;

  // FailedPrecondition if there is neither checkpoint nor builder.
  Result<ModelData> LoadModel() override;

  Status SaveModel(const ModelData& model, bool is_best, const AppContext& app_ctx) override;

 private:
  SafetensorsModelSaver() = default;
  Result<ModelData> WithoutExcluded(const ModelData& model) const;

  Disk* disk_ = nullptr;
  std::optional<std::regex> exclude_vars_;
  std::string folder_;
  std::string checkpoint_;
  ModelSource* builder_ = nullptr;
};

}  // namespace fed_learn
