# The GPU side, built where nvcc, NCCL (a CUDA wheel brings it) and a CUDA build of LibTorch are found (docs/gpu.md).
# Included once Torch_DIR is known.
#   PATHLINE_CUDA        AUTO | ON (missing pieces are an error) | OFF
#   PATHLINE_HAS_CUDA    result: sources behind pathline_gpu_sources() are the CUDA ones
#   pathline_torch       LibTorch, where it is a CUDA build. Its own CMake files are not used then: they refuse to
#                        configure even programs for the CPU unless a complete CUDA toolkit is installed, and they do not
#                        know CMake's own choice of architectures. Headers and four libraries are all that is needed.
#   pathline_cuda, pathline_nccl   headers and libraries of the CUDA runtime and NCCL, as LibTorch itself loads them
set(PATHLINE_CUDA AUTO CACHE STRING "Build the GPU side: AUTO (where nvcc and a CUDA build of LibTorch are found), ON or OFF")
set_property(CACHE PATHLINE_CUDA PROPERTY STRINGS AUTO ON OFF)
set(PATHLINE_HAS_CUDA OFF)

get_filename_component(_torch_root "${Torch_DIR}/../../.." ABSOLUTE)
set(PATHLINE_TORCH_IS_CUDA OFF)
if(Torch_DIR AND EXISTS "${_torch_root}/lib/libtorch_cuda.so")
  set(PATHLINE_TORCH_IS_CUDA ON)
endif()

# The toolkit's own nvcc: the one on PATH may be a script that starts it, and CMake looks for headers beside it.
function(_pathline_find_nvcc)
  find_program(PATHLINE_NVCC nvcc HINTS "$ENV{CUDA_HOME}/bin" "$ENV{CUDA_PATH}/bin" PATHS /usr/local/cuda/bin)
  if(CMAKE_CUDA_COMPILER)
    set(nvcc "${CMAKE_CUDA_COMPILER}")
  elseif(PATHLINE_NVCC)
    set(nvcc "${PATHLINE_NVCC}")
  else()
    return()
  endif()
  execute_process(COMMAND "${nvcc}" --dryrun -c -x cu /dev/null -o /dev/null ERROR_VARIABLE commands OUTPUT_QUIET)
  execute_process(COMMAND "${nvcc}" --version OUTPUT_VARIABLE version ERROR_QUIET)
  execute_process(COMMAND "${nvcc}" --list-gpu-arch OUTPUT_VARIABLE architectures ERROR_QUIET)
  if(commands MATCHES "#\\$ TOP=([^\n]*)" AND version MATCHES "release ([0-9]+\\.[0-9]+)")
    string(REGEX MATCH "release ([0-9]+\\.[0-9]+)" _ "${version}")
    set(_cuda_version "${CMAKE_MATCH_1}" PARENT_SCOPE)
    string(REGEX MATCH "#\\$ TOP=([^\n]*)" _ "${commands}")
    get_filename_component(home "${CMAKE_MATCH_1}" REALPATH)
    set(_cuda_home "${home}" PARENT_SCOPE)
    set(_cuda_architectures "${architectures}" PARENT_SCOPE)
  endif()
endfunction()

set(_cuda_missing "")
if(NOT PATHLINE_CUDA STREQUAL "OFF")
  _pathline_find_nvcc()
  file(GLOB _wheel_cudart "${_torch_root}/../nvidia/*/lib/libcudart.so.*")
  file(GLOB _wheel_includes LIST_DIRECTORIES true "${_torch_root}/../nvidia/*/include")
  if(NOT PATHLINE_TORCH_IS_CUDA)
    set(_cuda_missing "LibTorch at ${_torch_root} is a CPU build")
  elseif(NOT _cuda_home)
    set(_cuda_missing "no nvcc was found (on PATH, in CUDA_HOME, in /usr/local/cuda)")
  elseif(_wheel_cudart)
    string(REGEX REPLACE "\\..*" "" _cuda_major "${_cuda_version}")
    if(NOT _wheel_cudart MATCHES "libcudart\\.so\\.${_cuda_major}")
      set(_cuda_missing "nvcc is of CUDA ${_cuda_version}, but LibTorch brings ${_wheel_cudart}")
    endif()
  endif()
  if(NOT _cuda_missing)
    find_path(PATHLINE_NCCL_INCLUDE nccl.h HINTS "${_torch_root}/../nvidia/nccl/include" "${_cuda_home}/include")
    find_library(PATHLINE_NCCL_LIBRARY NAMES libnccl.so.2 nccl
      HINTS "${_torch_root}/../nvidia/nccl/lib" "${_cuda_home}/lib64")
    if(NOT PATHLINE_NCCL_INCLUDE OR NOT PATHLINE_NCCL_LIBRARY)
      set(_cuda_missing "NCCL was not found (PATHLINE_NCCL_INCLUDE, PATHLINE_NCCL_LIBRARY)")
    endif()
  endif()
  if(NOT _cuda_missing)
    set(PATHLINE_HAS_CUDA ON)
  elseif(PATHLINE_CUDA STREQUAL "ON")
    message(FATAL_ERROR "PATHLINE_CUDA=ON, but ${_cuda_missing}. "
      "Install a CUDA toolkit and a CUDA build of torch of the same major version, or leave PATHLINE_CUDA at AUTO.")
  endif()
endif()

if(PATHLINE_TORCH_IS_CUDA)
  add_library(pathline_torch INTERFACE)
  target_include_directories(pathline_torch SYSTEM INTERFACE
    "${_torch_root}/include" "${_torch_root}/include/torch/csrc/api/include")
  target_link_libraries(pathline_torch INTERFACE "${_torch_root}/lib/libtorch_cpu.so" "${_torch_root}/lib/libc10.so")
endif()

if(PATHLINE_HAS_CUDA)
  message(STATUS "Pathline: GPU side with CUDA ${_cuda_version} from ${_cuda_home}")
  if(NOT CMAKE_CUDA_ARCHITECTURES)
    # Machine code for A100 and for H100 and H200; for newer GPUs as well where the toolkit knows them, else as PTX.
    set(_architectures 80-real 90)
    if(_cuda_architectures MATCHES "compute_100")
      set(_architectures 80-real 90-real 100)
    endif()
    set(CMAKE_CUDA_ARCHITECTURES "${_architectures}" CACHE STRING "GPU architectures")
  endif()
  set(CMAKE_CUDA_COMPILER "${_cuda_home}/bin/nvcc" CACHE FILEPATH "nvcc")
  set(CMAKE_CUDA_STANDARD 17)  # CMake before 3.26 knows no C++20 for nvcc
  set(CMAKE_CUDA_STANDARD_REQUIRED ON)
  set(CMAKE_CUDA_EXTENSIONS OFF)
  set(CMAKE_CUDA_RUNTIME_LIBRARY None)  # LibTorch's own, below: two runtimes in a process do not know each other's streams
  enable_language(CUDA)
  # No contraction, IEEE division and root: a kernel gives the bits that the host's loop gives.
  set(CMAKE_CUDA_FLAGS_RELEASE "-O3")
  target_compile_options(pathline_settings INTERFACE
    "$<$<COMPILE_LANGUAGE:CUDA>:--fmad=false;-Xcompiler=-ffp-contract=off>")

  set(_cudart "${_wheel_cudart}")
  if(NOT _cudart)
    find_library(PATHLINE_CUDART cudart HINTS "${_cuda_home}/lib64" "${_cuda_home}/lib" REQUIRED)
    set(_cudart "${PATHLINE_CUDART}")
  endif()
  list(GET _cudart 0 _cudart)
  add_library(pathline_cuda INTERFACE)
  # The toolkit's headers first; LibTorch's own headers name more libraries (cuBLAS, cuSPARSE) than a small one has.
  target_include_directories(pathline_cuda SYSTEM INTERFACE "${_cuda_home}/include" ${_wheel_includes})
  target_link_libraries(pathline_cuda INTERFACE "${_cudart}")
  # A linker that drops unused libraries would drop the kernels of LibTorch: they register themselves when loaded.
  target_link_libraries(pathline_torch INTERFACE pathline_cuda "${_torch_root}/lib/libc10_cuda.so"
    "-Wl,--push-state,--no-as-needed,${_torch_root}/lib/libtorch_cuda.so,--pop-state")

  add_library(pathline_nccl INTERFACE)
  target_include_directories(pathline_nccl SYSTEM INTERFACE "${PATHLINE_NCCL_INCLUDE}")
  target_link_libraries(pathline_nccl INTERFACE pathline_cuda "${PATHLINE_NCCL_LIBRARY}")
elseif(PATHLINE_TORCH_IS_CUDA)
  message(STATUS "Pathline: for the CPU alone: PATHLINE_CUDA=${PATHLINE_CUDA} ${_cuda_missing}")
endif()

# pathline_gpu_sources(flow CUDA keyed_draws_cuda.cc draws.cu ABSENT no_keyed_draws_cuda.cc)
#   Adds one of the two lists to a folder's library: an absent back end is another file, not a condition in its callers.
function(pathline_gpu_sources name)
  cmake_parse_arguments(ARG "" "" "CUDA;ABSENT" ${ARGN})
  if(PATHLINE_HAS_CUDA)
    target_sources(${name} PRIVATE ${ARG_CUDA})
    target_link_libraries(${name} PRIVATE pathline_cuda)
  else()
    target_sources(${name} PRIVATE ${ARG_ABSENT})
  endif()
endfunction()
