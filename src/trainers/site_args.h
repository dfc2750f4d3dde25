// The arguments of one site, where a configuration that all sites share says what differs.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace fed_learn {

// `args` without its "sites", after args.sites[site] was merged over it (RFC 7396: objects are merged, anything else is
// replaced). The same arguments if there is no "sites". NotFound, with the nearest name, for a site that is not there.
Result<Json> ArgsOfSite(const Json& args, std::string_view site);

// The names in args.sites, sorted.
std::vector<std::string> SitesOf(const Json& args);

}  // namespace fed_learn
