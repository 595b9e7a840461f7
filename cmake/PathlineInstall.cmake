# `cmake --install build --prefix DIR` gives a tree that can be moved: bin/ (front end, back ends), lib/ (LibTorch as in
# its wheel), share/pathline/ (recipes). Libraries of the system (MPI, HDF5) stay where they are.
get_property(_programs GLOBAL PROPERTY PATHLINE_PROGRAMS)
get_filename_component(_torch_lib "${Torch_DIR}/../../../lib" ABSOLUTE)
install(TARGETS ${_programs} RUNTIME DESTINATION bin)
if(PATHLINE_TORCH_IS_CUDA)
  # Gigabytes of GPU libraries stay in the wheel: programs find them there.
  set_target_properties(${_programs} PROPERTIES BUILD_RPATH "${_torch_lib}" INSTALL_RPATH_USE_LINK_PATH ON
    INSTALL_RPATH "${_torch_lib}")
else()
  set_target_properties(${_programs} PROPERTIES BUILD_RPATH "${_torch_lib}" INSTALL_RPATH_USE_LINK_PATH OFF
    INSTALL_RPATH "$ORIGIN/../lib")
  install(DIRECTORY "${_torch_lib}/" DESTINATION lib FILES_MATCHING PATTERN "*.so*" PATTERN "*python*" EXCLUDE)
endif()
install(DIRECTORY recipes/ DESTINATION share/pathline/recipes)
