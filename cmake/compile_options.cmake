# Flags that every target of ours is built with.
add_library(fed_learn_options INTERFACE)
target_compile_options(fed_learn_options INTERFACE -Wall -Wextra -Wpedantic
                       -Wno-missing-field-initializers)
if(FED_LEARN_WERROR)
  target_compile_options(fed_learn_options INTERFACE -Werror)
endif()

# GCC 12 takes std::string's own operator+ for overlapping copies when it optimises (its bug 105651).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(fed_learn_options INTERFACE $<$<CONFIG:Release>:-Wno-restrict>)
endif()

# Boost 1.74's Asio uses std::exchange without including <utility>, which C++20 headers no longer bring along.
target_compile_options(fed_learn_options INTERFACE "SHELL:-include utility")

# A contracted multiply-add rounds once instead of twice, so where the compiler contracts would show in the bits of a model.
target_compile_options(fed_learn_options INTERFACE -ffp-contract=off)
add_compile_options(-ffp-contract=off)

if(FED_LEARN_SANITIZE)
  add_compile_options(-fsanitize=${FED_LEARN_SANITIZE} -fno-omit-frame-pointer -g)
  add_link_options(-fsanitize=${FED_LEARN_SANITIZE})
  # g++ 12 warns of its own <regex> when a sanitizer hides what it would otherwise see.
  target_compile_options(fed_learn_options INTERFACE -Wno-maybe-uninitialized)
endif()

find_program(FED_LEARN_CCACHE ccache)
if(FED_LEARN_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${FED_LEARN_CCACHE})
endif()
