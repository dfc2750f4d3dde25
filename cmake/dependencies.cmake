# What is linked, each with its reason in docs/dependencies.md.
find_package(Threads REQUIRED)
find_package(OpenSSL 3.0 REQUIRED)
find_package(fmt 9 REQUIRED)
find_package(spdlog 1.10 REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(Eigen3 3.4 REQUIRED)
find_package(SQLite3 3.40 REQUIRED)
find_package(yaml-cpp 0.7 REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(xxhash REQUIRED IMPORTED_TARGET libxxhash>=0.8)
pkg_check_modules(libzip REQUIRED IMPORTED_TARGET libzip>=1.7)
add_library(xxhash ALIAS PkgConfig::xxhash)
add_library(libzip ALIAS PkgConfig::libzip)

# Header-only packages of Debian without a CMake or pkg-config file of their own that says more than a path.
foreach(header_only tl-expected:tl/expected.hpp valijson:valijson/validator.hpp boost:boost/beast.hpp
        cli11:CLI/CLI.hpp protozero:protozero/pbf_writer.hpp)
  string(REPLACE ":" ";" pair ${header_only})
  list(GET pair 0 name)
  list(GET pair 1 header)
  find_path(FED_LEARN_${name}_INCLUDE ${header} REQUIRED)
  add_library(${name} INTERFACE)
endforeach()
target_compile_definitions(boost INTERFACE BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_DISABLE_CONCEPTS
                           BOOST_BEAST_USE_STD_STRING_VIEW)
target_link_libraries(boost INTERFACE Threads::Threads)
