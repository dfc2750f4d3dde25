#include "formats/safetensors_model_saver.h"

#include "formats/model_file.h"
#include "formats/safetensors.h"

namespace fed_learn {
namespace {

constexpr std::string_view kLatest = "FL_global_model.safetensors";
constexpr std::string_view kBest = "best_FL_global_model.safetensors";

std::string InFolder(const std::string& folder, std::string_view path) {
  if (path.empty()) return folder.empty() ? "." : folder;
  if (path.front() == '/' || folder.empty()) return std::string(path);
  return folder + "/" + std::string(path);
}

Result<std::optional<std::regex>> ReadPattern(const std::string& pattern) {
  if (pattern.empty()) return std::optional<std::regex>();
  try {
    return std::optional<std::regex>(std::in_place, pattern, std::regex::ECMAScript | std::regex::optimize);
  } catch (const std::regex_error& error) {
    return InvalidArgument("args.exclude_vars is not a regular expression: '" + pattern + "': " + error.what());
  }
}

}  // namespace

Result<std::unique_ptr<ModelSaver>> SafetensorsModelSaver::Make(const Json& json, const ComponentServices& services) {
  Args args(json);
  const std::string pattern = args.String("exclude_vars", "");
  const std::string folder = args.String("model_log_dir", "");
  const std::string checkpoint = args.String("ckpt_preload_path", "");
  RETURN_IF_ERROR(args.Done());
  if (services.disk == nullptr) return InvalidArgument("a model saver needs a disk");
  std::unique_ptr<SafetensorsModelSaver> saver(new SafetensorsModelSaver());
  ASSIGN_OR_RETURN(saver->exclude_vars_, ReadPattern(pattern));
  saver->disk_ = services.disk;
  saver->folder_ = folder.empty() ? InFolder(services.run_folder, "") : InFolder(services.app_folder, folder);
  if (!checkpoint.empty()) saver->checkpoint_ = InFolder(services.app_folder, checkpoint);
  return saver;
}

Status SafetensorsModelSaver::Initialize(ModelSource* builder) {
  builder_ = builder;
  return disk_->MakeFolders(folder_);
}

Result<ModelData> SafetensorsModelSaver::LoadModel() {
  if (!checkpoint_.empty()) {
    ASSIGN_OR_RETURN(const ModelData model, ReadModelFile(*disk_, checkpoint_));
    return WithoutExcluded(model);
  }
  if (builder_ == nullptr) {
    return FailedPrecondition("there is no first model; give the saver args.ckpt_preload_path, or configure a builder");
  }
  ASSIGN_OR_RETURN(const ModelData model, builder_->Build());
  return WithoutExcluded(model);
}

Status SafetensorsModelSaver::SaveModel(const ModelData& model, bool is_best, const AppContext&) {
  ASSIGN_OR_RETURN(const ModelData kept, WithoutExcluded(model));
  RETURN_IF_ERROR(WriteSafetensors(*disk_, InFolder(folder_, kLatest), kept));
  if (!is_best) return {};
  return WriteSafetensors(*disk_, InFolder(folder_, kBest), kept);
}

Result<ModelData> SafetensorsModelSaver::WithoutExcluded(const ModelData& model) const {
  if (!exclude_vars_.has_value()) return model;
  ModelData kept;
  try {
    for (const NamedTensor& named : model) {
      if (std::regex_search(named.name, *exclude_vars_)) continue;
      RETURN_IF_ERROR(kept.Add(named.name, named.tensor, named.role));
    }
  } catch (const std::regex_error& error) {
    return InvalidArgument(std::string("args.exclude_vars is too complex for a tensor's name: ") + error.what());
  }
  return kept;
}

}  // namespace fed_learn
