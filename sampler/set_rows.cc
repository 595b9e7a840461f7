// SPDX-License-Identifier: Apache-2.0
#include "sampler/set_rows.h"

#include <ATen/ops/empty.h>

#include <cstring>
#include <memory>
#include <span>

#include "core/error.h"
#include "data/import.h"
#include "data/npz.h"
#include "data/shard_source.h"

namespace pathline::sampler {
namespace {

using core::ExitCode;

std::span<std::byte> bytes_of(const at::Tensor& tensor) {
  return {static_cast<std::byte*>(tensor.mutable_data_ptr()), static_cast<std::size_t>(tensor.nbytes())};
}

SetRows rows_of_store(const std::string& path) {
  const std::shared_ptr<data::ShardSource> source = data::open_source({path});
  const data::SetInfo& info = source->info();
  PL_CHECK(info.kind != data::ItemKind::kLatent, ExitCode::kInput, path, " holds latents (", info.description,
           "; pictures or points are compared). Sample with --decoder to make pictures of them.");
  const bool points = info.kind == data::ItemKind::kPoint;
  SetRows rows{info.count, points, info.description, {}};
  rows.read = [source, points](std::int64_t first, std::int64_t n) {
    const data::SetInfo& info = source->info();
    const at::Tensor items = points ? at::empty({n, info.channels}, at::kFloat)
                                    : at::empty({n, info.height, info.width, info.channels}, at::kByte);
    for (std::int64_t i = 0; i < n; ++i) {
      const std::size_t at = static_cast<std::size_t>(i) * info.item_bytes();
      source->read(first + i, bytes_of(items).subspan(at, info.item_bytes()));
    }
    return points ? items : items.permute({0, 3, 1, 2}).contiguous();
  };
  return rows;
}

SetRows rows_of_points(core::FileSystem& files, const std::string& path) {
  const data::NpyArray array = data::NpzReader(files, path).read("arr_0");
  PL_CHECK(array.dtype == "f4" || array.dtype == "f8", ExitCode::kInput, path, " holds points of type ", array.dtype,
           " (floating-point numbers are needed). Convert them.");
  at::Tensor all = at::empty(array.shape, array.dtype == "f4" ? at::kFloat : at::kDouble);
  std::memcpy(all.mutable_data_ptr(), array.bytes.data(), array.bytes.size());
  all = all.to(at::kFloat);
  SetRows rows{all.size(0), true, core::concat(path, ": ", all.size(0), " points"), {}};
  rows.read = [all](std::int64_t first, std::int64_t n) { return all.slice(0, first, first + n); };
  return rows;
}

SetRows rows_of_pictures(core::FileSystem& files, const std::string& path) {
  const std::shared_ptr<data::PictureSource> source = data::open_pictures(files, path, "");
  SetRows rows{source->count(), false, source->description(), {}};
  rows.read = [source, path](std::int64_t first, std::int64_t n) {
    at::Tensor items;
    for (std::int64_t i = 0; i < n; ++i) {
      const data::Image picture = source->picture(first + i);
      if (!items.defined()) items = at::empty({n, picture.height, picture.width, picture.channels}, at::kByte);
      PL_CHECK(items.sizes().slice(1) == at::IntArrayRef({picture.height, picture.width, picture.channels}),
               ExitCode::kInput, "pictures of ", path, " differ in size: number ", first + i, " is ", picture.height,
               " x ", picture.width, " x ", picture.channels, ". Bring them to one size: pathline data import --size.");
      std::memcpy(items[i].mutable_data_ptr(), picture.pixels.data(), picture.pixels.size());
    }
    return items.permute({0, 3, 1, 2}).contiguous();
  };
  return rows;
}

}  // namespace

SetRows open_rows(core::FileSystem& files, const std::string& path) {
  if (path.ends_with(".h5") || path.ends_with(".hdf5")) return rows_of_store(path);
  if (path.ends_with(".npz")) {
    const data::NpzReader reader(files, path);
    if (reader.has("arr_0") && reader.header("arr_0").shape.size() == 2) return rows_of_points(files, path);
  }
  return rows_of_pictures(files, path);
}

}  // namespace pathline::sampler
