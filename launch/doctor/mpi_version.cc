// SPDX-License-Identifier: Apache-2.0
#include "launch/doctor/mpi_version.h"

#include <mpi.h>

#include "core/error.h"

namespace pathline::doctor {
namespace {

/// The first "1.2.3" of a text; all of it where there is none.
std::string number_of(const std::string& text) {
  const auto begin = text.find_first_of("0123456789");
  return begin == std::string::npos ? text : text.substr(begin, text.find_first_not_of("0123456789.", begin) - begin);
}

}  // namespace

Version mpi_version() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = "";
  int length = 0;
  MPI_Get_library_version(text, &length);  // allowed before MPI_Init
  const std::string loaded(text, static_cast<std::size_t>(length));
#ifdef OMPI_MAJOR_VERSION
  const std::string family = "Open MPI";
  const std::string built = core::concat(OMPI_MAJOR_VERSION, ".", OMPI_MINOR_VERSION, ".", OMPI_RELEASE_VERSION);
#else
  const std::string family = "MPICH";
  const std::string built = MPICH_VERSION;
#endif
  Version version{.library = "MPI", .built = built, .loaded = number_of(loaded), .same_parts = 1, .where = ""};
  if (loaded.find(family) == std::string::npos) version.loaded = loaded.substr(0, loaded.find('\n'));  // another family
  return version;
}

}  // namespace pathline::doctor
