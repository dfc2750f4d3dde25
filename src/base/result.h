// Result<T>: a T, or the Error that says why there is none. What crosses a room's border is one of these; exceptions
// stay inside the libraries that throw them.
#pragma once

#include <tl/expected.hpp>
#include <utility>

#include "base/error.h"

namespace fed_learn {

// An Error converts to any Result, so a function can `return NotFound("…");`.
template <typename T>
class [[nodiscard]] Result : public tl::expected<T, Error> {
 public:
  using tl::expected<T, Error>::expected;
  Result(Error error) : tl::expected<T, Error>(tl::unexpect, std::move(error)) {}  // NOLINT: implicit on purpose
};

// Success without a value.
using Status = Result<void>;

}  // namespace fed_learn

#define FED_LEARN_CONCAT_INNER(a, b) a##b
#define FED_LEARN_CONCAT(a, b) FED_LEARN_CONCAT_INNER(a, b)

// Returns the error of a Status from the enclosing function; goes on if there is none.
#define RETURN_IF_ERROR(expression)                                           \
  do {                                                                        \
    if (auto return_if_error = (expression); !return_if_error.has_value()) {  \
      return std::move(return_if_error).error();                              \
    }                                                                         \
  } while (false)

// ASSIGN_OR_RETURN(auto file, Open(path)); declares `file`, or returns the error.
#define ASSIGN_OR_RETURN(declaration, expression) \
  ASSIGN_OR_RETURN_INNER(FED_LEARN_CONCAT(assign_or_return_, __COUNTER__), declaration, expression)
#define ASSIGN_OR_RETURN_INNER(result, declaration, expression) \
  auto result = (expression);                                   \
  if (!result.has_value()) return std::move(result).error();    \
  declaration = *std::move(result)
