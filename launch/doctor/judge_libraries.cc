// SPDX-License-Identifier: Apache-2.0
#include "launch/doctor/judge_libraries.h"

#include <algorithm>
#include <sstream>

#include "core/error.h"
#include "core/text.h"

namespace pathline::doctor {

using core::concat;

std::vector<std::string> mapped_libraries(const std::string& maps) {
  std::vector<std::string> libraries;
  std::istringstream lines(maps);
  for (std::string line; std::getline(lines, line);) {
    const auto place = line.find('/');
    if (place == std::string::npos || line.find(".so", place) == std::string::npos) continue;
    const std::string path = line.substr(place);
    if (std::find(libraries.begin(), libraries.end(), path) == libraries.end()) libraries.push_back(path);
  }
  return libraries;
}

Line judge_loaded(std::span<const std::string> libraries, const std::string& preload) {
  const std::string set = preload.empty() ? "" : concat(" (LD_PRELOAD=", preload, ")");
  for (const char* once :
       {"libmpi.so", "libnccl.so", "libcudart.so", "libtorch_cpu.so", "libc10.so", "libhdf5.so", "libcudnn.so"}) {
    std::vector<std::string> copies;
    for (const auto& path : libraries) {
      if (path.find(concat("/", once)) != std::string::npos) copies.push_back(path);
    }
    if (copies.size() > 1) {
      return broken("libraries", concat("two copies of one library are loaded: ", core::listed(copies), set),
                    "leave one: look at LD_LIBRARY_PATH, LD_PRELOAD and loaded modules");
    }
  }
  for (const auto& path : libraries) {
    if (path.find("libeatmydata") != std::string::npos) {
      return broken("libraries", concat(path, " is loaded", set, ": it makes fsync do nothing"), "start without it");
    }
  }
  return good("libraries", concat(libraries.size(), " loaded, none twice", set));
}

Line judge_version(const Version& version) {
  const auto built = core::split(version.built, '.'), loaded = core::split(version.loaded, '.');
  const auto parts = static_cast<std::size_t>(version.same_parts);
  bool same = true;
  for (std::size_t i = 0; i < parts; ++i) {
    same = same && (i < built.size() ? built[i] : "0") == (i < loaded.size() ? loaded[i] : "0");
  }
  const std::string place = version.where.empty() ? "" : concat(" from ", version.where);
  if (!same) {
    return broken(version.library,
                  concat("version ", version.loaded, place, ", but this program was built for ", version.built),
                  concat("give it the one that it was built for (LD_LIBRARY_PATH, modules: ", version.library, " ",
                         version.built, "), or build it anew"));
  }
  return good(version.library, version.loaded == version.built
                                   ? concat(version.loaded, place)
                                   : concat(version.loaded, place, ", built for ", version.built));
}

Line judge_start(const std::string& words, const std::string& how_it_ended) {
  std::string last;
  std::istringstream lines(words);
  for (std::string line; std::getline(lines, line);) {
    for (const char* sign :
         {"error while loading shared libraries", "symbol lookup error", "version `", "cannot open shared object"}) {
      if (line.find(sign) == std::string::npos) continue;
      return broken(
          "libraries", concat("the programs do not start: ", line),
          "a library is missing or of another version: load the module it comes from, look at LD_LIBRARY_PATH, or "
          "build again with scripts/build");
    }
    if (line.find_first_not_of(" -\t") != std::string::npos) last = line;
  }
  return broken(
      "libraries",
      concat("the probing process ended by itself, ", how_it_ended,
             last.empty() ? "" : concat("; its last words: ", last)),
      "a library crashed: look whether LD_LIBRARY_PATH or LD_PRELOAD give it another MPI or LibTorch, and whether this "
      "processor is the one it was built for");
}

}  // namespace pathline::doctor
