#include "client/trainer_environment.h"

#include <unistd.h>

#include <algorithm>
#include <array>

namespace fed_learn {
namespace {

constexpr std::array<std::string_view, 17> kNames = {
    "PATH", "HOME", "USER",    "LOGNAME",     "SHELL",           "LANG",           "LANGUAGE", "TZ", "TMPDIR", "TMP",
    "TEMP", "TERM", "DISPLAY", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "XDG_CACHE_HOME", "PWD"};

constexpr std::array<std::string_view, 16> kFamilies = {"LC_",    "PYTHON",   "CONDA_", "CUDA_", "NVIDIA_", "NCCL_",
                                                        "ROCM_",  "HIP_",     "OMP_",   "MKL_",  "KMP_",    "OPENBLAS_",
                                                        "TORCH_", "PYTORCH_", "TF_",    "KERAS_"};

// Within a family, too, a variable may be a secret (CONDA_TOKEN).
constexpr std::array<std::string_view, 5> kSecrets = {"KEY", "TOKEN", "SECRET", "PASSWORD", "CREDENTIAL"};

}  // namespace

bool IsPassedOn(std::string_view name) {
  const auto contains = [&](std::string_view word) { return name.find(word) != std::string_view::npos; };
  if (std::any_of(kSecrets.begin(), kSecrets.end(), contains)) return false;
  if (std::find(kNames.begin(), kNames.end(), name) != kNames.end()) return true;
  return std::any_of(kFamilies.begin(), kFamilies.end(),
                     [&](std::string_view family) { return name.starts_with(family); });
}

std::vector<std::string> TrainerEnvironment(const std::map<std::string, std::string>& ours,
                                            const std::map<std::string, std::string>& added) {
  std::map<std::string, std::string> variables = {{"PYTHONUNBUFFERED", "1"}};
  for (const auto& [name, value] : ours) {
    if (IsPassedOn(name)) variables[name] = value;
  }
  for (const auto& [name, value] : added) variables[name] = value;
  std::vector<std::string> environment;
  for (const auto& [name, value] : variables) environment.push_back(name + "=" + value);
  return environment;
}

std::map<std::string, std::string> OwnEnvironment() {
  std::map<std::string, std::string> variables;
  for (char** entry = ::environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::size_t equals = text.find('=');
    if (equals != std::string_view::npos && equals > 0) {
      variables.emplace(text.substr(0, equals), text.substr(equals + 1));
    }
  }
  return variables;
}

}  // namespace fed_learn
