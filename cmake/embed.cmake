# fed_learn_embed(FILE NAME)
#
# Makes generated/embedded/<name of FILE>.h with the text of FILE as `inline constexpr std::string_view NAME`, so that
# the program carries the very file that the package ships.
function(fed_learn_embed file name)
  set_property(DIRECTORY ${PROJECT_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${file})
  file(READ ${PROJECT_SOURCE_DIR}/${file} text)
  get_filename_component(base ${file} NAME)
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/generated/embedded/${base}.h @ONLY CONTENT
"// Made from @file@ by cmake/embed.cmake.
#pragma once

#include <string_view>

namespace fed_learn {

inline constexpr std::string_view @name@ = R\"embedded(@text@)embedded\";

}  // namespace fed_learn
")
endfunction()
