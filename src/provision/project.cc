#include "provision/project.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include "base/text.h"
#include "identity/name.h"

namespace fed_learn {
namespace {

constexpr int kPortMax = 65535;
constexpr int kClientsMax = 1'000'000;
constexpr int kDaysMax = 3650;
constexpr std::size_t kTextBytesMax = 256;

// From 1, as editors count; an empty file has no place of its own.
int LineOf(const YAML::Mark& mark) { return std::max(mark.line, 0) + 1; }

// One mapping of the file, and which keys it may have.
class Section {
 public:
  // InvalidArgument if `node` is not a mapping, or has a key twice or one that is not `known`.
  static Result<Section> Open(const YAML::Node& node, std::string_view source, std::string what,
                              std::vector<std::string> known) {
    Section section(node, source, std::move(what));
    if (!node.IsMap())
      return section.Wrong(node, fmt::format("{} has to be a mapping of keys to values", section.what_));
    for (const auto& entry : node) {
      const std::string key = entry.first.Scalar();
      if (!section.values_.emplace(key, entry.second).second) {
        return section.Wrong(entry.first, fmt::format("the key '{}' stands twice; keep one of them", Escaped(key)));
      }
      if (std::find(known.begin(), known.end(), key) == known.end()) {
        return section.Wrong(
            entry.first, fmt::format("unknown key '{}' in {}{}", Escaped(key), section.what_, DidYouMean(key, known)));
      }
    }
    return section;
  }

  bool Has(const std::string& key) const { return values_.contains(key); }
  const YAML::Node& At(const std::string& key) const { return values_.at(key); }

  Error Missing(std::string_view key) const {
    return Wrong(node_, fmt::format("{} lacks the key '{}'; add it", what_, key));
  }

  // Empty if the key is absent or has no value.
  Result<std::string> Text(const std::string& key) const {
    if (!Has(key) || At(key).IsNull()) return std::string();
    if (At(key).IsScalar() && At(key).Scalar().size() <= kTextBytesMax) return At(key).Scalar();
    return Wrong(At(key), fmt::format("'{}' has to be a text of at most {} bytes", key, kTextBytesMax));
  }

  Result<std::string> RequiredText(const std::string& key) const {
    ASSIGN_OR_RETURN(std::string text, Text(key));
    if (text.empty()) return Missing(key);
    return text;
  }

  Result<std::optional<int>> Number(const std::string& key, int min, int max) const {
    if (!Has(key)) return std::optional<int>();
    const std::string text = At(key).IsScalar() ? At(key).Scalar() : "";
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size() && value >= min && value <= max) {
      return std::optional<int>(value);
    }
    return Wrong(At(key), fmt::format("'{}' has to be a number from {} to {}", key, min, max));
  }

  Result<bool> Flag(const std::string& key) const {
    if (!Has(key)) return false;
    if (bool value = false; YAML::convert<bool>::decode(At(key), value)) return value;
    return Wrong(At(key), fmt::format("'{}' has to be true or false", key));
  }

  // The elements of a list; none if the key is absent or has no value.
  Result<std::vector<YAML::Node>> List(const std::string& key) const {
    std::vector<YAML::Node> elements;
    if (!Has(key) || At(key).IsNull()) return elements;
    if (!At(key).IsSequence()) return Wrong(At(key), fmt::format("'{}' has to be a list", key));
    for (const auto& element : At(key)) elements.push_back(element);
    return elements;
  }

  // An error at the place of `node`.
  Error Wrong(const YAML::Node& node, std::string_view what) const {
    return InvalidArgument(fmt::format("{}:{}: {}", source_, LineOf(node.Mark()), what));
  }

  // `status`'s error, if it has one, at the place of the key.
  Status Check(const std::string& key, const Status& status) const {
    if (status.has_value()) return {};
    return Wrong(At(key), fmt::format("'{}': {}", key, status.error().message()));
  }

 private:
  Section(const YAML::Node& node, std::string_view source, std::string what)
      : node_(node), source_(source), what_(std::move(what)) {}

  YAML::Node node_;
  std::string source_;
  std::string what_;
  std::map<std::string, YAML::Node> values_;
};

class ProjectReader {
 public:
  explicit ProjectReader(std::string_view source) { project_.source = source; }

  Result<Project> Read(const YAML::Node& root) {
    ASSIGN_OR_RETURN(const Section top,
                     Open(root, "the project", {"name", "server", "fl_clients", "admin_clients", "key_type", "days"}));
    ASSIGN_OR_RETURN(project_.name, top.RequiredText("name"));
    RETURN_IF_ERROR(top.Check("name", CheckName(project_.name)));
    if (top.Has("key_type")) {
      ASSIGN_OR_RETURN(const std::string text, top.Text("key_type"));
      const auto type = KeyTypeFromString(text);
      RETURN_IF_ERROR(top.Check("key_type", type.has_value() ? Status() : Status(type.error())));
      project_.key_type = *type;
    }
    ASSIGN_OR_RETURN(const auto days, top.Number("days", 1, kDaysMax));
    project_.days = days.value_or(project_.days);
    if (!top.Has("server")) return top.Missing("server");
    RETURN_IF_ERROR(ReadServer(top.At("server")));
    ASSIGN_OR_RETURN(const auto sites, top.List("fl_clients"));
    for (const YAML::Node& node : sites) RETURN_IF_ERROR(ReadSite(node));
    ASSIGN_OR_RETURN(const auto admins, top.List("admin_clients"));
    for (const YAML::Node& node : admins) RETURN_IF_ERROR(ReadAdmin(node));
    return std::move(project_);
  }

 private:
  Result<Section> Open(const YAML::Node& node, std::string what, std::vector<std::string> known) const {
    return Section::Open(node, project_.source, std::move(what), std::move(known));
  }

  Status ReadServer(const YAML::Node& node) {
    ASSIGN_OR_RETURN(const Section section, Open(node, "'server'",
                                                 {"host", "cn", "alt_names", "fed_learn_port", "org", "min_num_clients",
                                                  "max_num_clients", "admin_port", "admin_storage", "email"}));
    ServerEntry& server = project_.server;
    if (section.Has("host") && section.Has("cn")) {
      return section.Wrong(section.At("cn"), "'cn' is Clara's word for 'host'; keep one of the two");
    }
    const std::string host_key = section.Has("cn") ? "cn" : "host";
    ASSIGN_OR_RETURN(server.host, section.RequiredText(host_key));
    RETURN_IF_ERROR(section.Check(host_key, CheckHost(server.host)));
    ASSIGN_OR_RETURN(const auto alt_names, section.List("alt_names"));
    for (const YAML::Node& alt_name : alt_names) {
      server.alt_names.push_back(alt_name.IsScalar() ? alt_name.Scalar() : "");
      if (auto valid = CheckHost(server.alt_names.back()); !valid.has_value()) {
        return section.Wrong(alt_name, valid.error().message());
      }
    }
    ASSIGN_OR_RETURN(const auto port, section.Number("fed_learn_port", 1, kPortMax));
    server.port = port.value_or(server.port);
    ASSIGN_OR_RETURN(server.org, section.Text("org"));
    ASSIGN_OR_RETURN(server.min_num_clients, section.Number("min_num_clients", 1, kClientsMax));
    ASSIGN_OR_RETURN(server.max_num_clients, section.Number("max_num_clients", 1, kClientsMax));
    if (server.max_num_clients && server.min_num_clients && *server.max_num_clients < *server.min_num_clients) {
      return section.Wrong(section.At("max_num_clients"), "'max_num_clients' is less than 'min_num_clients'; raise it");
    }
    NoteKeysWithoutEffect(section);
    return {};
  }

  void NoteKeysWithoutEffect(const Section& section) {
    for (const std::string key : {"admin_port", "admin_storage"}) {
      if (!section.Has(key)) continue;
      project_.notes.push_back(fmt::format("{}:{}: '{}' has no effect: admins use fed_learn_port, too", project_.source,
                                           LineOf(section.At(key).Mark()), key));
    }
    if (section.Has("email")) {
      project_.notes.push_back(fmt::format("{}:{}: 'email' of the server has no effect", project_.source,
                                           LineOf(section.At("email").Mark())));
    }
  }

  Status ReadSite(const YAML::Node& node) {
    ASSIGN_OR_RETURN(const Section section, Open(node, "a site of 'fl_clients'", {"client_name", "org", "own_key"}));
    SiteEntry site;
    ASSIGN_OR_RETURN(site.name, ReadName(section, "client_name"));
    ASSIGN_OR_RETURN(site.org, section.Text("org"));
    ASSIGN_OR_RETURN(site.own_key, section.Flag("own_key"));
    project_.sites.push_back(std::move(site));
    return {};
  }

  Status ReadAdmin(const YAML::Node& node) {
    ASSIGN_OR_RETURN(const Section section, Open(node, "an admin of 'admin_clients'", {"email", "org"}));
    AdminEntry admin;
    ASSIGN_OR_RETURN(admin.email, ReadName(section, "email"));
    ASSIGN_OR_RETURN(admin.org, section.Text("org"));
    project_.admins.push_back(std::move(admin));
    return {};
  }

  Result<std::string> ReadName(const Section& section, const std::string& key) {
    ASSIGN_OR_RETURN(std::string name, section.RequiredText(key));
    RETURN_IF_ERROR(section.Check(key, CheckSiteName(name)));
    if (!names_.insert(name).second) {
      return section.Wrong(section.At(key), fmt::format("the name '{}' stands twice; each party needs its own", name));
    }
    return name;
  }

  Project project_;
  std::set<std::string> names_;
};

}  // namespace

Result<Project> ParseProject(std::string_view text, std::string_view source) {
  try {
    return ProjectReader(source).Read(YAML::Load(std::string(text)));
  } catch (const YAML::Exception& error) {
    return InvalidArgument(fmt::format("{}:{}: not valid YAML: {}", source, LineOf(error.mark), error.msg));
  }
}

}  // namespace fed_learn
