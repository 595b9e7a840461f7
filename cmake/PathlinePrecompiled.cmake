# Headers that cost seconds in every source that includes them are parsed once for all sources of a kind. Sources still
# include what they use: builds with PATHLINE_PRECOMPILE=OFF (the other presets, scripts/cuda_compile_check) prove it.
option(PATHLINE_PRECOMPILE "Parse heavy headers once" ON)

set(_standard_headers <algorithm> <array> <cmath> <cstdint> <filesystem> <functional> <map> <memory> <optional> <span>
  <sstream> <string> <vector>)
set(_torch_headers <ATen/Parallel.h> <ATen/TensorOperators.h> <ATen/core/Tensor.h> <ATen/core/grad_mode.h>
  <ATen/ops/empty.h>)
set(_test_headers <gmock/gmock.h> <gtest/gtest.h>)

# _pathline_header_set(torch LIBRARIES pathline_torch HEADERS <a.h>)
#   headers_NAME: a target that only parses them.
function(_pathline_header_set name)
  cmake_parse_arguments(ARG "" "" "LIBRARIES;HEADERS" ${ARGN})
  if(PATHLINE_PRECOMPILE)
    add_library(headers_${name} OBJECT "${PROJECT_SOURCE_DIR}/cmake/headers.cc")
    target_link_libraries(headers_${name} PRIVATE pathline_settings ${ARG_LIBRARIES})
    target_precompile_headers(headers_${name} PRIVATE ${ARG_HEADERS})
  endif()
endfunction()

_pathline_header_set(torch LIBRARIES pathline_torch HEADERS ${_standard_headers} ${_torch_headers})
_pathline_header_set(programs LIBRARIES CLI11::CLI11 HEADERS ${_standard_headers} <CLI/CLI.hpp>)
if(PATHLINE_TESTS)
  _pathline_header_set(tests LIBRARIES GTest::gmock GTest::gtest HEADERS ${_standard_headers} ${_test_headers})
  _pathline_header_set(torch_tests LIBRARIES pathline_torch GTest::gmock GTest::gtest
    HEADERS ${_standard_headers} ${_torch_headers} ${_test_headers})
endif()

# pathline_precompiled(model torch)
#   Sources of the target find the headers of that kind parsed.
function(pathline_precompiled target kind)
  if(PATHLINE_PRECOMPILE)
    target_precompile_headers(${target} REUSE_FROM headers_${kind})
  endif()
endfunction()

# pathline_kind_of_test(kind "model;data")
#   The kind of a test: "torch_tests" if one of the libraries stands on LibTorch.
function(pathline_kind_of_test result libraries)
  set(kind tests)
  foreach(folder flow model sampler trainer)
    if(folder IN_LIST libraries)
      set(kind torch_tests)
    endif()
  endforeach()
  set(${result} ${kind} PARENT_SCOPE)
endfunction()
