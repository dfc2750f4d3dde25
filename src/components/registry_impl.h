// The templates of registry.h.
#pragma once

#include "base/text.h"
#include "components/registry.h"

namespace fed_learn {

template <typename Interface>
std::vector<std::string> FactoryTable<Interface>::names() const {
  std::vector<std::string> names;
  for (const auto& [name, factory] : factories_) names.push_back(name);
  return names;
}

template <typename Interface>
Result<std::unique_ptr<Interface>> FactoryTable<Interface>::Make(const ComponentSpec& spec,
                                                                 const ComponentServices& services) const {
  if (spec.name.find('.') != std::string::npos) {
    return FailedPrecondition("'" + spec.name +
                              "' is a component by path; this build has built-in components only, given by \"name\"" +
                              DidYouMean(spec.name, names()));
  }
  const auto found = factories_.find(spec.name);
  if (found == factories_.end()) {
    return NotFound("no component is called '" + spec.name + "'" + DidYouMean(spec.name, names()));
  }
  auto component = found->second(spec.args, services);
  if (!component.has_value()) return component.error().In(spec.name);
  return component;
}

}  // namespace fed_learn
