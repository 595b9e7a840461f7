// SPDX-License-Identifier: Apache-2.0
#include "data/hdf5_chunks.h"

#include <hdf5.h>
#if H5_VERSION_GE(1, 13, 2)
#include <H5FDdevelop.h>
#endif
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <memory>
#include <numeric>

#include "data/hdf5_library.h"

namespace pathline::data::hdf5 {

using core::ExitCode;

namespace {

constexpr std::int64_t kMostChunks = std::int64_t{1} << 24;
constexpr std::uint64_t kLargestChunk = std::numeric_limits<std::uint32_t>::max();

// ---- the driver

/// An open file of the driver; the library sees the first member.
struct Noting {
  H5FD_t shared = {};
  int descriptor = -1;
  haddr_t end = 0, allocated = 0;
  haddr_t noted = HADDR_UNDEF;  // where array elements were last asked for, from the first byte of the file
  std::size_t noted_bytes = 0;
};

// The library opens the file itself and has no place to hand the struct out; all this happens under its mutex.
Noting* opened_last = nullptr;

H5FD_t* open_noting(const char* path, unsigned, hid_t, haddr_t) {
  const int descriptor = ::open(path, O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return nullptr;
  opened_last = new Noting;
  opened_last->descriptor = descriptor;
  opened_last->end = static_cast<haddr_t>(std::max<off_t>(::lseek(descriptor, 0, SEEK_END), 0));
  return &opened_last->shared;
}

herr_t close_noting(H5FD_t* file) {
  Noting* noting = reinterpret_cast<Noting*>(file);
  ::close(noting->descriptor);
  delete noting;
  return 0;
}

herr_t read_noting(H5FD_t* file, H5FD_mem_t kind, hid_t, haddr_t offset, std::size_t bytes, void* out) {
  Noting& noting = *reinterpret_cast<Noting*>(file);
  if (kind == H5FD_MEM_DRAW) {
    noting.noted = offset;
    noting.noted_bytes = bytes;
    return 0;
  }
  for (std::size_t done = 0; done < bytes;) {
    const ssize_t got =
        ::pread(noting.descriptor, static_cast<char*>(out) + done, bytes - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return -1;
    done += static_cast<std::size_t>(got);
  }
  return 0;
}

/// Our driver, registered once.
hid_t noting_driver() {
  static const hid_t driver = [] {
    static H5FD_class_t methods = {};
#if H5_VERSION_GE(1, 13, 2)
    methods.version = H5FD_CLASS_VERSION;
    methods.value = static_cast<H5FD_class_value_t>(300);  // 256 to 511: not registered, for use inside a program
#endif
    methods.name = "pathline_noting";
    methods.maxaddr = static_cast<haddr_t>(std::numeric_limits<off_t>::max());
    methods.fc_degree = H5F_CLOSE_WEAK;
    methods.open = open_noting;
    methods.close = close_noting;
    methods.query = [](const H5FD_t*, unsigned long* flags) -> herr_t { return *flags = 0, 0; };
    methods.get_eoa = [](const H5FD_t* file, H5FD_mem_t) { return reinterpret_cast<const Noting*>(file)->allocated; };
    methods.set_eoa = [](H5FD_t* file, H5FD_mem_t, haddr_t end) -> herr_t {
      return reinterpret_cast<Noting*>(file)->allocated = end, 0;
    };
    methods.get_eof = [](const H5FD_t* file, H5FD_mem_t) { return reinterpret_cast<const Noting*>(file)->end; };
    methods.read = read_noting;
    methods.write = [](H5FD_t*, H5FD_mem_t, hid_t, haddr_t, std::size_t, const void*) -> herr_t { return -1; };
    const H5FD_mem_t kinds[] = H5FD_FLMAP_DICHOTOMY;
    std::copy(std::begin(kinds), std::end(kinds), methods.fl_map);
    return H5FDregister(&methods);
  }();
  return driver;
}

/// One array of a file that was opened with the driver. Held and used under Lock.
class Probe {
 public:
  Probe(const std::string& path, const std::string& name) : what_("find the chunks of " + name), path_(path) {
    const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
    checked(H5Pset_driver(access.id(), noting_driver(), nullptr), path, what_);
    file_ = Handle(checked(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.id()), path, what_), H5Fclose);
    noting_ = opened_last;
    set_ = Handle(checked(H5Dopen2(file_.id(), name.c_str(), H5P_DEFAULT), path, what_), H5Dclose);
  }

  /// The chunk whose first element is at `start`.
  StoredChunk chunk(const std::vector<hsize_t>& start) {
    hsize_t bytes = 0;
    // Some versions fail for a chunk that was never written; check_total() tells that from damage.
    if (H5Dget_chunk_storage_size(set_.id(), start.data(), &bytes) < 0 || bytes == 0) return {};
    PL_CHECK(bytes <= kLargestChunk, ExitCode::kInput, path_, " claims a chunk of ", bytes,
             " bytes. The file is damaged; fetch it again.");
    if (bytes > room_bytes_) {  // never filled, but the library is told where to
      room_bytes_ = bytes;
      room_ = std::make_unique_for_overwrite<std::byte[]>(room_bytes_);
    }
    StoredChunk found;
    noting_->noted = HADDR_UNDEF;
#if H5_VERSION_GE(2, 0, 0)
    std::size_t room = room_bytes_;
    const herr_t read = H5Dread_chunk2(set_.id(), H5P_DEFAULT, start.data(), &found.skipped, room_.get(), &room);
#else
    const herr_t read = H5Dread_chunk(set_.id(), H5P_DEFAULT, start.data(), &found.skipped, room_.get());
#endif
    checked(read, path_, what_);
    PL_CHECK(noting_->noted != HADDR_UNDEF && noting_->noted_bytes == bytes, ExitCode::kEnvironment,
             "the HDF5 library ", loaded_version(), " reads a chunk of ", path_,
             " in another way than Pathline expects. Tell its developers the version.");
    found.offset = noting_->noted;
    found.bytes = static_cast<std::uint32_t>(bytes);
    return found;
  }

  /// Throws unless the chunks that were found, of `bytes` together, are all that the library knows of.
  void check_total(std::uint64_t bytes) {
    H5D_space_status_t status = H5D_SPACE_STATUS_ERROR;
    checked(H5Dget_space_status(set_.id(), &status), path_, what_);
    const std::uint64_t stored = H5Dget_storage_size(set_.id());
    const bool all = bytes == stored && (bytes > 0 || status == H5D_SPACE_STATUS_NOT_ALLOCATED);
    PL_CHECK(all, ExitCode::kInput, "cannot ", what_, " in ", path_, ": ", bytes, " of ", stored,
             " bytes were found. The file is damaged; fetch or import it again.");
  }

  /// Where the first element of a contiguous array lies.
  std::uint64_t first_element() {
    const Handle space(checked(H5Dget_space(set_.id()), path_, what_), H5Sclose);
    const Handle type(checked(H5Dget_type(set_.id()), path_, what_), H5Tclose);
    const int rank = checked(H5Sget_simple_extent_ndims(space.id()), path_, what_);
    const std::vector<hsize_t> start(static_cast<std::size_t>(rank), 0), count(static_cast<std::size_t>(rank), 1);
    checked(H5Sselect_hyperslab(space.id(), H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr), path_,
            what_);
    const hsize_t one = 1;
    const Handle memory(H5Screate_simple(1, &one, nullptr), H5Sclose);
    std::vector<std::byte> element(H5Tget_size(type.id()));
    noting_->noted = HADDR_UNDEF;
    checked(H5Dread(set_.id(), type.id(), memory.id(), space.id(), H5P_DEFAULT, element.data()), path_, what_);
    PL_CHECK(noting_->noted != HADDR_UNDEF, ExitCode::kEnvironment, "the HDF5 library ", loaded_version(), " reads ",
             path_, " in another way than Pathline expects. Tell its developers the version.");
    return noting_->noted;
  }

 private:
  std::string what_, path_;
  Handle file_, set_;  // the array is closed first
  Noting* noting_ = nullptr;
  std::unique_ptr<std::byte[]> room_;
  std::size_t room_bytes_ = 0;
};

// ---- what the file says of the array

std::vector<Filter> filters_of(hid_t plan, const std::string& path, const std::string& what) {
  std::vector<Filter> filters;
  const int count = checked(H5Pget_nfilters(plan), path, what);
  for (int i = 0; i < count; ++i) {
    unsigned flags = 0, parameters[32];
    std::size_t used = std::size(parameters);
    const int id = checked(
        H5Pget_filter2(plan, static_cast<unsigned>(i), &flags, &used, parameters, 0, nullptr, nullptr), path, what);
    filters.push_back({id, {parameters, parameters + std::min(used, std::size(parameters))}});
  }
  return filters;
}

/// The grid is small enough to be listed, and a chunk to be decoded at once.
bool sensible(const ChunkMap& map) {
  std::uint64_t bytes = map.element_bytes;
  std::int64_t count = 1;
  for (std::size_t axis = 0; axis < map.shape.size(); ++axis) {
    if (map.chunk[axis] <= 0 || static_cast<std::uint64_t>(map.chunk[axis]) > kLargestChunk / bytes) return false;
    bytes *= static_cast<std::uint64_t>(map.chunk[axis]);
    if (map.along(axis) > kMostChunks / std::max<std::int64_t>(count, 1)) return false;
    count *= map.along(axis);
  }
  return count > 0;
}

/// Edge chunks without their filters would need rules of their own; files that have them are rare.
bool edges_filtered(hid_t plan) {
#if H5_VERSION_GE(1, 10, 0)
  unsigned options = 0;
  return H5Pget_chunk_opts(plan, &options) >= 0 && (options & H5D_CHUNK_DONT_FILTER_PARTIAL_CHUNKS) == 0;
#else
  return true;
#endif
}

void check_chunk(const File& file, const ChunkMap& map, const StoredChunk& chunk) {
  PL_CHECK(chunk.offset <= file.bytes() && chunk.bytes <= file.bytes() - chunk.offset, ExitCode::kInput, file.path(),
           " is truncated: a chunk of ", chunk.bytes, " bytes should lie at byte ", chunk.offset, ", the file has ",
           file.bytes(), ", so samples are missing. Copy or import it again.");
  PL_CHECK(!map.filters.empty() || chunk.bytes == 0 || chunk.bytes == map.chunk_bytes(), ExitCode::kInput, file.path(),
           " holds a chunk of ", chunk.bytes, " bytes at byte ", chunk.offset, ", where chunks have ",
           map.chunk_bytes(), ". The file is damaged; copy or import it again.");
}

void find_chunks(const File& file, const DataSet& set, ChunkMap& map) {
  Probe probe(file.path(), set.name());
  std::vector<hsize_t> start(map.shape.size(), 0);
  std::int64_t count = 1;
  for (std::size_t axis = 0; axis < map.shape.size(); ++axis) count *= map.along(axis);
  map.chunks.resize(static_cast<std::size_t>(count));
  std::uint64_t bytes = 0;
  for (StoredChunk& chunk : map.chunks) {
    chunk = probe.chunk(start);
    check_chunk(file, map, chunk);
    bytes += chunk.bytes;
    for (std::size_t axis = start.size(); axis-- > 0;) {  // the next start, the last axis fastest
      start[axis] += static_cast<hsize_t>(map.chunk[axis]);
      if (start[axis] < static_cast<hsize_t>(map.shape[axis])) break;
      start[axis] = 0;
    }
  }
  probe.check_total(bytes);
}

}  // namespace

std::size_t ChunkMap::chunk_bytes() const {
  return std::accumulate(chunk.begin(), chunk.end(), element_bytes,
                         [](std::size_t bytes, std::int64_t size) { return bytes * static_cast<std::size_t>(size); });
}

std::optional<ChunkMap> chunk_map(const File& file, const DataSet& set) {
  const Lock lock;
  const std::string what = "read the layout of " + set.name();
  const Handle plan(checked(H5Dget_create_plist(set.id()), file.path(), what), H5Pclose);
  if (H5Pget_layout(plan.id()) != H5D_CHUNKED || !edges_filtered(plan.id())) return std::nullopt;
  ChunkMap map;
  map.shape = set.shape();
  std::vector<hsize_t> chunk(map.shape.size());
  checked(H5Pget_chunk(plan.id(), static_cast<int>(chunk.size()), chunk.data()), file.path(), what);
  map.chunk.assign(chunk.begin(), chunk.end());
  map.element_bytes = set.element_bytes();
  if (!sensible(map)) return std::nullopt;
  map.filters = filters_of(plan.id(), file.path(), what);
  map.fill.resize(map.element_bytes);
  const Handle type(checked(H5Dget_type(set.id()), file.path(), what), H5Tclose);
  H5D_fill_value_t defined = H5D_FILL_VALUE_UNDEFINED;
  if (H5Pfill_value_defined(plan.id(), &defined) >= 0 && defined != H5D_FILL_VALUE_UNDEFINED) {
    checked(H5Pget_fill_value(plan.id(), type.id(), map.fill.data()), file.path(), what);
  }
  find_chunks(file, set, map);
  return map;
}

bool library_decodes(const std::vector<Filter>& filters) {
  const Lock lock;
  return std::ranges::all_of(filters, [](const Filter& filter) { return H5Zfilter_avail(filter.id) > 0; });
}

std::uint64_t first_byte(const std::string& path, const std::string& name) {
  const Lock lock;
  return Probe(path, name).first_element();
}

}  // namespace pathline::data::hdf5
