#include "base/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <vector>

#include "base/text.h"

namespace fed_learn {
namespace {

constexpr std::size_t kDepthMax = 64;
constexpr std::size_t kQuotedBytesMax = 160;  // of the library's message, which quotes what it read last

// Walks the text and keeps, outside of itself, how far the parser has read: the events of a SAX parser carry no
// position.
class TrackedIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  TrackedIterator(const char* at, const char*& furthest) : at_(at), furthest_(&furthest) {}
  reference operator*() const { return *at_; }
  TrackedIterator& operator++() {
    *furthest_ = ++at_;
    return *this;
  }
  TrackedIterator operator++(int) {
    TrackedIterator before = *this;
    ++*this;
    return before;
  }
  friend bool operator==(const TrackedIterator& a, const TrackedIterator& b) { return a.at_ == b.at_; }

 private:
  const char* at_;
  const char** furthest_;
};

// Builds the value and stops at the first thing that is wrong.
class Builder : public nlohmann::json_sax<Json> {
 public:
  bool null() override { return Put(nullptr); }
  bool boolean(bool value) override { return Put(value); }
  bool number_integer(number_integer_t value) override { return Put(value); }
  bool number_unsigned(number_unsigned_t value) override { return Put(value); }
  bool number_float(number_float_t value, const string_t&) override { return Put(value); }
  bool string(string_t& value) override { return Put(std::move(value)); }
  bool binary(binary_t& value) override { return Put(std::move(value)); }
  bool start_object(std::size_t) override { return Enter(Json::object()); }
  bool start_array(std::size_t) override { return Enter(Json::array()); }
  bool end_object() override { return Leave(); }
  bool end_array() override { return Leave(); }

  bool key(string_t& name) override {
    const auto [member, added] = open_.back()->get_ref<Json::object_t&>().try_emplace(name);
    if (!added) return Refuse(fmt::format("the key \"{}\" stands twice in one object; keep one of them", name));
    member_ = &member->second;
    return true;
  }

  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& error) override {
    std::string_view what = error.what();
    // "[json.exception.…] parse error at line 1, column 2: syntax error …": the position is told by ParseJson.
    for (const std::string_view before : {"] ", ": "}) {
      const std::size_t at = what.find(before);
      const bool is_position = before == "] " || what.starts_with("parse error at");
      if (at != std::string_view::npos && is_position) what.remove_prefix(at + before.size());
    }
    std::string message = Escaped(what.substr(0, kQuotedBytesMax));
    if (what.size() > kQuotedBytesMax) message += "…";
    return Refuse(std::move(message));
  }

  std::optional<std::string> wrong;  // why parsing stopped
  Json root;

 private:
  template <typename T>
  Json* Add(T&& value) {
    if (open_.empty()) {
      root = std::forward<T>(value);
      return &root;
    }
    if (open_.back()->is_array()) return &open_.back()->emplace_back(std::forward<T>(value));
    *member_ = std::forward<T>(value);
    return member_;
  }

  template <typename T>
  bool Put(T&& value) {
    Add(std::forward<T>(value));
    return true;
  }

  bool Enter(Json container) {
    if (open_.size() == kDepthMax) return Refuse(fmt::format("nested deeper than {} levels", kDepthMax));
    open_.push_back(Add(std::move(container)));
    return true;
  }

  bool Leave() {
    open_.pop_back();
    return true;
  }

  bool Refuse(std::string why) {
    wrong = std::move(why);
    return false;
  }

  std::vector<Json*> open_;  // the containers around the current place; an element of one is not moved while it is open
  Json* member_ = nullptr;   // where the value of the last key goes
};

}  // namespace

Result<Json> ParseJson(std::string_view text, std::string_view source) {
  Builder builder;
  const char* furthest = text.data();
  const char* end = text.data() + text.size();
  if (Json::sax_parse(TrackedIterator(text.data(), furthest), TrackedIterator(end, furthest), &builder)) {
    return std::move(builder.root);
  }
  const std::string_view read = text.substr(0, static_cast<std::size_t>(furthest - text.data()));
  const std::size_t line_begin = read.find_last_of('\n') + 1;  // npos + 1 is 0
  const auto line = 1 + std::count(read.begin(), read.end(), '\n');
  const std::size_t column = std::max<std::size_t>(1, read.size() - line_begin);
  return InvalidArgument(fmt::format("{}: line {}, column {}: {}", source, line, column, Escaped(*builder.wrong)));
}

}  // namespace fed_learn
