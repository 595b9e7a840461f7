# pathline_library(core SOURCES a.cc b.cc PUBLIC cluster PRIVATE ZLIB::ZLIB)
#   The static library of one folder. PUBLIC and PRIVATE name other folders or imported targets.
function(pathline_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC pathline_settings ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE})
endfunction()

# pathline_program(pathline-data SOURCES main.cc LIBRARIES data)
function(pathline_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBRARIES" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE pathline_settings ${ARG_LIBRARIES})
  set_property(GLOBAL APPEND PROPERTY PATHLINE_PROGRAMS ${name})
endfunction()

# pathline_test(core_tests SOURCES crc32c_test.cc LIBRARIES core LABELS unit TIMEOUT 120)
#   One GoogleTest program, one ctest entry a program (LibTorch needs a quarter of a second to start).
function(pathline_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;LIBRARIES;LABELS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE pathline_settings ${ARG_LIBRARIES} GTest::gmock GTest::gtest GTest::gtest_main)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/tests")
  add_test(NAME ${name} COMMAND ${name})
  _pathline_test_properties(${name} "${ARG_TIMEOUT}" "${ARG_LABELS}")
endfunction()

# pathline_rank_test(cluster SOURCES tree_test.cc LIBRARIES cluster RANKS 1 2 3 4)
#   The same sources twice: NAME_threads (ranks are threads of one process, every size of RANKS in turn) and NAME_mpi
#   (ranks are processes; one ctest entry for every size). Tests get their ranks from tests/support/ranks.h.
function(pathline_rank_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;LIBRARIES;RANKS;LABELS" ${ARGN})
  foreach(kind threads mpi)
    set(target ${name}_${kind})
    add_executable(${target} ${ARG_SOURCES} ${PROJECT_SOURCE_DIR}/tests/support/ranks_${kind}.cc)
    target_link_libraries(${target} PRIVATE pathline_settings ${ARG_LIBRARIES} cluster GTest::gmock GTest::gtest)
    set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/tests")
  endforeach()
  add_test(NAME ${name}_threads COMMAND ${name}_threads)
  _pathline_test_properties(${name}_threads "${ARG_TIMEOUT}" "${ARG_LABELS}")
  foreach(ranks ${ARG_RANKS})
    add_test(NAME ${name}_mpi_${ranks} COMMAND
      ${MPIEXEC_EXECUTABLE} -n ${ranks} --oversubscribe --bind-to none $<TARGET_FILE:${name}_mpi>)
    _pathline_test_properties(${name}_mpi_${ranks} "${ARG_TIMEOUT}" "${ARG_LABELS};mpi")
    set_tests_properties(${name}_mpi_${ranks} PROPERTIES PROCESSORS 2)
  endforeach()
endfunction()

function(_pathline_test_properties test timeout labels)
  if(NOT timeout)
    set(timeout 300)
  endif()
  set_tests_properties(${test} PROPERTIES TIMEOUT ${timeout} LABELS "${labels}"
    ENVIRONMENT "OMPI_ALLOW_RUN_AS_ROOT=1;OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1;OMPI_MCA_rmaps_base_oversubscribe=1")
endfunction()

# pathline_parallel(trainer update_kernel.cc)
#   Sources of a target that call at::parallel_for: a template, which uses threads only where its caller is compiled with
#   OpenMP.
function(pathline_parallel target)
  set_property(SOURCE ${ARGN} APPEND PROPERTY COMPILE_OPTIONS -fopenmp)
  target_link_libraries(${target} PUBLIC pathline_openmp)
endfunction()
