// Which names parties may have. A party's name is its certificate's CN and the name of its folders, so it has to be
// safe as a file name, in a log and in a URL. Safe from any thread.
#pragma once

#include <string_view>

#include "base/result.h"

namespace fed_learn {

// The name of the one server of a project; no other party may have it.
inline constexpr std::string_view kServerName = "server";

// InvalidArgument, saying what is allowed, unless `name` is 1 to 64 letters, digits, '.', '_', '-' or '@' (ASCII) that
// begin with a letter or digit and do not end in ".zip" (a kit's archive lies beside its folder).
Status CheckName(std::string_view name);

// CheckName, and not the server's name in any case of letters.
Status CheckSiteName(std::string_view name);

// An IPv4 or IPv6 address as in "10.0.0.1" or "::1", without brackets.
bool IsIpAddress(std::string_view host);

// InvalidArgument unless `host` is an IP address or a DNS name such as "fl.example.org" or "localhost".
Status CheckHost(std::string_view host);

}  // namespace fed_learn
