#include "model/fl_context.h"

namespace fed_learn {

Json FLContext::GetMetadata(std::string_view field) const {
  const auto found = metadata_.find(std::string(field));
  return found == metadata_.end() ? Json(nullptr) : found->second;
}

Json FLContext::GetProp(std::string_view key, Json absent) const {
  const auto found = props_.find(std::string(key));
  return found == props_.end() ? std::move(absent) : found->second;
}

FLContext FLContext::Clone() const {
  FLContext copy = *this;
  copy.model_ = model_.Clone();
  return copy;
}

}  // namespace fed_learn
