// SPDX-License-Identifier: Apache-2.0
// HDF5 files: what they hold, and making them.
#include <hdf5.h>

#include <algorithm>
#include <filesystem>

#include "data/hdf5.h"
#include "data/hdf5_library.h"

namespace pathline::data::hdf5 {

using core::ExitCode;

namespace {

constexpr std::size_t kMostDataSets = 1000;
constexpr std::size_t kMostObjects = 10'000'000;
constexpr int kDeepestGroup = 3;

struct Link {
  std::string name;
  bool hard;  // else it may lead nowhere
};

/// Of everything in a group, in order of name.
std::vector<Link> links_of(hid_t group, const std::string& path, const std::string& what) {
  std::vector<Link> links;
  const auto add = [](hid_t, const char* name, const H5L_info_t* about, void* out) -> herr_t {
    return static_cast<std::vector<Link>*>(out)->push_back({name, about->type == H5L_TYPE_HARD}), 0;
  };
  checked(H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, nullptr, add, &links), path, what);
  return links;
}

}  // namespace

File File::open(const std::string& path) {
  std::error_code missing;
  const std::uintmax_t bytes = std::filesystem::file_size(path, missing);
  PL_CHECK(!missing, ExitCode::kInput, "cannot open the data set ", path, " (", missing.message(),
           "). Check the path, or make the file with `pathline data import` or `pathline data make`.");
  const Lock lock;
  const Handle access = access_properties();
  const hid_t id = H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.id());
  const std::string why = id < 0 ? reason() : "";
  PL_CHECK(why.find("truncated file") == std::string::npos, ExitCode::kInput, path, " is truncated: it has ", bytes,
           " bytes (the HDF5 library says: ", why, "), so samples are missing. Copy or import it again.");
  PL_CHECK(id >= 0, ExitCode::kInput, "cannot read ", path, " as an HDF5 file of ", bytes,
           " bytes (the HDF5 library says: ", why,
           "). Give a file that `pathline data import` made, or import this one.");
  File file(path, Handle(id, H5Fclose));
  file.bytes_ = bytes;
  return file;
}

File File::create(const std::string& path, const Chunking& chunking) {
  const Lock lock;
  const Handle access = access_properties();
  // From 1.8 on all metadata carry checksums; without them the library may crash over a turned bit.
  H5Pset_libver_bounds(access.id(), chunking.rows == 0 ? H5F_LIBVER_V18 : H5F_LIBVER_V110, H5F_LIBVER_V110);
  H5Pset_alignment(access.id(), 1 << 16, 1 << 12);  // pixels start on a page
  const Handle plan(H5Pcreate(H5P_FILE_CREATE), H5Pclose);
  H5Pset_obj_track_times(plan.id(), false);
  const hid_t id = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, plan.id(), access.id());
  return File(path, Handle(checked(id, path, "create a file", ExitCode::kEnvironment), H5Fclose));
}

bool File::has(const std::string& name) const {
  const Lock lock;
  return H5Lexists(file_.id(), name.c_str(), H5P_DEFAULT) > 0;
}

DataSet File::data_set(const std::string& name) const {
  const Lock lock;
  return DataSet(path_, name, file_.id(), bytes_);
}

std::vector<std::string> File::data_set_names(std::size_t most) const {
  const Lock lock;
  std::vector<std::string> found;
  std::size_t looked_at = 0;  // damage may link groups in circles
  const auto visit = [&](const auto& again, const std::string& group, int depth) -> void {
    const std::string what = "list " + (group.empty() ? "/" : group);
    const Handle opened(checked(H5Gopen2(file_.id(), (group + "/").c_str(), H5P_DEFAULT), path_, what), H5Gclose);
    for (const auto& [name, hard] : links_of(opened.id(), path_, what)) {
      if (found.size() >= most || ++looked_at > kMostObjects) return;
      const Handle object(H5Oopen(opened.id(), name.c_str(), H5P_DEFAULT), H5Oclose);
      if (object.id() < 0 && hard) fail(path_, "open " + group + "/" + name, ExitCode::kInput);
      if (object.id() < 0) continue;
      const H5I_type_t kind = H5Iget_type(object.id());
      if (kind == H5I_DATASET) found.push_back(group + "/" + name);
      if (kind == H5I_GROUP && depth < kDeepestGroup) again(again, group + "/" + name, depth + 1);
    }
  };
  visit(visit, "", 1);
  return found;
}

std::vector<DataSet> File::data_sets() const {
  std::vector<DataSet> found;
  for (const std::string& name : data_set_names(kMostDataSets)) found.push_back(data_set(name));
  return found;
}

DataSet File::create(const std::string& name, std::int64_t type, const std::vector<std::int64_t>& shape,
                     const Chunking& chunking) {
  const std::vector<hsize_t> sizes(shape.begin(), shape.end());
  const Handle space(H5Screate_simple(static_cast<int>(sizes.size()), sizes.data(), nullptr), H5Sclose);
  const Handle plan(H5Pcreate(H5P_DATASET_CREATE), H5Pclose), links(H5Pcreate(H5P_LINK_CREATE), H5Pclose);
  H5Pset_create_intermediate_group(links.id(), 1);
  if (chunking.rows == 0) {
    H5Pset_alloc_time(plan.id(), H5D_ALLOC_TIME_EARLY);
  } else {
    std::vector<hsize_t> chunk = sizes;
    chunk[0] = static_cast<hsize_t>(chunking.rows);
    checked(H5Pset_chunk(plan.id(), static_cast<int>(chunk.size()), chunk.data()), path_, "choose chunks of " + name,
            ExitCode::kUsage);
    if (chunking.deflate > 0 && H5Tget_size(type) > 1) H5Pset_shuffle(plan.id());
    if (chunking.deflate > 0) H5Pset_deflate(plan.id(), static_cast<unsigned>(chunking.deflate));
  }
  H5Pset_fill_time(plan.id(), H5D_FILL_TIME_NEVER);
  H5Pset_obj_track_times(plan.id(), false);  // equal sets are equal files
  const hid_t id = H5Dcreate2(file_.id(), name.c_str(), type, space.id(), links.id(), plan.id(), H5P_DEFAULT);
  Handle(checked(id, path_, "create " + name, ExitCode::kEnvironment), H5Dclose).close();
  return DataSet(path_, name, file_.id(), bytes_);
}

DataSet File::create_data_set(const std::string& name, Element element, const std::vector<std::int64_t>& shape,
                              const Chunking& chunking) {
  const Lock lock;
  return create(name, native(element), shape, chunking);
}

DataSet File::create_like(const File& from, const DataSet& model, const std::vector<std::int64_t>& shape,
                          const Chunking& chunking) {
  const Lock lock;
  const Handle type(H5Tcopy(model.type_.id()), H5Tclose);
  DataSet made = create(model.name(), type.id(), shape, chunking);
  copy_attributes(from, model.name());
  return made;
}

void File::close() {
  const Lock lock;
  checked(file_.close(), path_, "close the file", ExitCode::kEnvironment);
}

}  // namespace pathline::data::hdf5
