// FLContext: what travels through a chain of processors (the seed's `data_ctx`): a model, metadata that is sent along
// with it, and properties that stay here. Not thread-safe.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/json.h"
#include "model/model_data.h"

namespace fed_learn {

class FLContext {
 public:
  FLContext() = default;
  explicit FLContext(ModelData model) : model_(std::move(model)) {}

  const ModelData& model() const { return model_; }
  ModelData& model() { return model_; }
  void set_model(ModelData model) { model_ = std::move(model); }

  // Metadata: number, string, bool, array or object; null is "absent", as GetMetadata says of a field nobody set.
  void AddMetadata(std::string_view field, Json value) { metadata_[std::string(field)] = std::move(value); }
  Json GetMetadata(std::string_view field) const;
  const std::map<std::string, Json>& metadata() const { return metadata_; }
  void set_metadata(std::map<std::string, Json> metadata) { metadata_ = std::move(metadata); }

  void SetProp(std::string_view key, Json value) { props_[std::string(key)] = std::move(value); }
  Json GetProp(std::string_view key, Json absent = nullptr) const;

  // Deep: a change in one is never seen in the other.
  FLContext Clone() const;

 private:
  ModelData model_;
  std::map<std::string, Json> metadata_;
  std::map<std::string, Json> props_;
};

}  // namespace fed_learn
