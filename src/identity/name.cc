#include "identity/name.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>

#include "base/text.h"

namespace fed_learn {
namespace {

constexpr std::size_t kNameBytesMax = 64;   // X.509's limit of a CN
constexpr std::size_t kHostBytesMax = 253;  // DNS's
constexpr std::size_t kLabelBytesMax = 63;

bool IsLetterOrDigit(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

bool IsNameCharacter(char c) { return IsLetterOrDigit(c) || c == '.' || c == '_' || c == '-' || c == '@'; }

bool IsLabel(std::string_view label) {
  return !label.empty() && label.size() <= kLabelBytesMax && label.front() != '-' && label.back() != '-' &&
         std::all_of(label.begin(), label.end(), [](char c) { return IsLetterOrDigit(c) || c == '-' || c == '_'; });
}

bool IsDnsName(std::string_view host) {
  if (host.empty() || host.size() > kHostBytesMax) return false;
  while (true) {
    const std::size_t dot = host.find('.');
    if (!IsLabel(host.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    host.remove_prefix(dot + 1);
  }
}

// "10.0.0" is an address with a part lost, never a name.
bool IsDigitsAndDots(std::string_view host) {
  return std::all_of(host.begin(), host.end(), [](char c) { return (c >= '0' && c <= '9') || c == '.'; });
}

}  // namespace

Status CheckName(std::string_view name) {
  const bool valid = !name.empty() && name.size() <= kNameBytesMax && IsLetterOrDigit(name.front()) &&
                     std::all_of(name.begin(), name.end(), IsNameCharacter) && !name.ends_with(".zip");
  if (valid) return {};
  return InvalidArgument(fmt::format(
      "'{}' cannot be a name: use 1 to {} letters, digits, '.', '_', '-' or '@', beginning with a letter or "
      "digit and not ending in .zip",
      Escaped(name.substr(0, 2 * kNameBytesMax)), kNameBytesMax));
}

Status CheckSiteName(std::string_view name) {
  RETURN_IF_ERROR(CheckName(name));
  std::string lower(name);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? c | 0x20 : c; });
  if (lower != kServerName) return {};
  return InvalidArgument(fmt::format("'{}' is the server's own name; call the site or admin something else", name));
}

bool IsIpAddress(std::string_view host) {
  const std::string text(host);  // inet_pton wants a terminating zero
  std::array<unsigned char, sizeof(in6_addr)> address{};
  return inet_pton(AF_INET, text.c_str(), address.data()) == 1 ||
         inet_pton(AF_INET6, text.c_str(), address.data()) == 1;
}

Status CheckHost(std::string_view host) {
  if (host.find('\0') == std::string_view::npos && IsIpAddress(host)) return {};
  if (IsDnsName(host) && !IsDigitsAndDots(host)) return {};
  return InvalidArgument(fmt::format("'{}' is neither a host name (fl.example.org) nor an IP address",
                                     Escaped(host.substr(0, kHostBytesMax))));
}

}  // namespace fed_learn
