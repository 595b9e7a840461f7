# Settings that hold for every target.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Release, Debug or RelWithDebInfo" FORCE)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O2")  # PL_ASSERT stays on: our own mistakes must not turn into wrong weights

set(PATHLINE_SANITIZE "" CACHE STRING "Sanitizers, as for -fsanitize= (address,undefined or thread)")

add_library(pathline_settings INTERFACE)
target_include_directories(pathline_settings INTERFACE "${PROJECT_SOURCE_DIR}")
target_compile_definitions(pathline_settings INTERFACE AT_PER_OPERATOR_HEADERS)  # <ATen/TensorOperators.h> without all of ATen
# No contraction: a*b+c is rounded twice unless std::fma is written. Otherwise the vector body and the scalar tail of
# one loop, or two CPU generations, would give different bits (docs/architecture.md, "Same bits").
target_compile_options(pathline_settings INTERFACE "$<$<COMPILE_LANGUAGE:C,CXX>:-Wall;-Wextra;-ffp-contract=off>")
if(PATHLINE_SANITIZE)
  target_compile_options(pathline_settings INTERFACE
    "$<$<COMPILE_LANGUAGE:C,CXX>:-fsanitize=${PATHLINE_SANITIZE};-fno-omit-frame-pointer>")
  target_link_options(pathline_settings INTERFACE "-fsanitize=${PATHLINE_SANITIZE}")
endif()

find_program(PATHLINE_CCACHE ccache)
if(PATHLINE_CCACHE)
  # What ccache must overlook to keep sources with precompiled headers: their contents stand for the headers' times.
  set(CMAKE_CXX_COMPILER_LAUNCHER "${CMAKE_COMMAND};-E;env;CCACHE_SLOPPINESS=pch_defines,time_macros;${PATHLINE_CCACHE}")
endif()
find_program(PATHLINE_MOLD mold)
if(PATHLINE_MOLD)
  # Segments on pages of their own: otherwise mold 1.10 puts ATen's one-byte thread-local, in about one link of 500, on a
  # page that is not mapped, and the program ends before main ("cannot apply additional memory protection").
  target_link_options(pathline_settings INTERFACE -fuse-ld=mold -Wl,-z,separate-loadable-segments)
endif()
