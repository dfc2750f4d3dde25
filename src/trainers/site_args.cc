#include "trainers/site_args.h"

#include "base/text.h"

namespace fed_learn {

Result<Json> ArgsOfSite(const Json& args, std::string_view site) {
  if (!args.is_object() || !args.contains("sites")) return args;
  const Json& sites = args["sites"];
  if (!sites.is_object()) return InvalidArgument(R"(args.sites must be an object: {"site name": {arguments}})");
  const auto found = sites.find(std::string(site));
  if (found == sites.end() || !found->is_object()) {
    return NotFound("args.sites has no arguments for site '" + Escaped(site) + "'" + DidYouMean(site, SitesOf(args)));
  }
  Json merged = args;
  merged.erase("sites");
  merged.merge_patch(*found);
  return merged;
}

std::vector<std::string> SitesOf(const Json& args) {
  std::vector<std::string> names;
  if (!args.is_object() || !args.contains("sites") || !args["sites"].is_object()) return names;
  for (const auto& [name, site_args] : args["sites"].items()) names.push_back(name);
  return names;
}

}  // namespace fed_learn
