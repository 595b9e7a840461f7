// SPDX-License-Identifier: Apache-2.0
#include "sampler/sink.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "core/error.h"
#include "data/hdf5.h"
#include "sampler/ordered_sink.h"

namespace pathline::sampler {
namespace {

enum class Format { kPicture, kNpz, kH5, kTar, kFolder };

Format format_of(const std::string& path) {
  const std::string ending = path.ends_with('/') ? "" : std::filesystem::path(path).extension().string();
  if (ending == ".png") return Format::kPicture;
  if (ending == ".npz") return Format::kNpz;
  if (ending == ".h5") return Format::kH5;
  if (ending == ".tar") return Format::kTar;
  PL_CHECK(ending.empty(), core::ExitCode::kUsage, "no format is known by the ending of ", path,
           ". Use .h5, .npz or .tar (sets of samples), .png (one picture), or a name that ends with / for a folder of "
           "PNG files.");
  return Format::kFolder;
}

}  // namespace

void OrderedSink::put(Record&& record) {
  PL_ASSERT(record.id >= next_ && record.id < options_.first + options_.count);
  const std::int64_t id = record.id;
  const bool inserted = early_.emplace(id, std::move(record)).second;
  PL_ASSERT(inserted);
  for (auto it = early_.begin(); it != early_.end() && it->first == next_; it = early_.erase(it)) {
    append(it->second);
    ++next_;
  }
}

void OrderedSink::finish() {
  PL_CHECK(next_ == options_.first + options_.count, core::ExitCode::kInput, "sample ", next_, " of ", options_.path,
           " was never made (the file would have a gap and is not written). Make the whole range again.");
  commit();
}

std::string OrderedSink::id_text(std::int64_t id) const {
  const std::size_t width = std::max<std::size_t>(6, std::to_string(options_.first + options_.count - 1).size());
  const std::string digits = std::to_string(id);
  return std::string(width - digits.size(), '0') + digits;
}

bool takes_png(const std::string& path) {
  const Format format = format_of(path);
  return format == Format::kTar || format == Format::kFolder;
}

std::unique_ptr<Sink> make_sink(const SinkOptions& options) {
  PL_CHECK(options.count > 0, core::ExitCode::kUsage, "a set of ", options.count,
           " samples was asked for. It must have at least 1.");
  const Format format = format_of(options.path);
  const std::int64_t channels = options.sample_shape[0];
  PL_CHECK(options.latents.scale.empty() || format == Format::kH5, core::ExitCode::kUsage, options.path,
           " cannot hold latents (the model was trained on them, and no --decoder makes pictures of its samples). ",
           "Write them to .h5, or give --decoder NETWORK.ts.");
  PL_CHECK(!takes_png(options.path) || (options.sample_shape.size() == 3 && (channels == 1 || channels == 3)),
           core::ExitCode::kUsage, "samples of shape ", data::hdf5::shape_text(options.sample_shape),
           " are no pictures for ", options.path, ". Write them to .h5 or .npz.");
  PL_CHECK(!options.start_of || format == Format::kH5, core::ExitCode::kUsage, options.path,
           " cannot hold what samples were made from beside them (--pairs). Write them to .h5.");
  PL_CHECK(!options.encoded || format == Format::kH5, core::ExitCode::kUsage, options.path,
           " cannot hold encoded noise beside its data (--encode). Write them to .h5.");
  const bool in_plane = format == Format::kPicture && options.trajectory_shape == std::vector<std::int64_t>{2};
  PL_CHECK(options.trajectory_times.empty() || format == Format::kH5 || in_plane, core::ExitCode::kUsage, options.path,
           " cannot hold the states that samples passed (--trajectories). Write them to .h5; only points of the plane "
           "can also be drawn with their ways, to .png.");
  switch (format) {
    case Format::kPicture:
      return make_png_sink(options);
    case Format::kNpz:
      return make_npz_sink(options);
    case Format::kH5:
      return make_h5_sink(options);
    case Format::kTar:
      return make_tar_sink(options);
    case Format::kFolder:
      break;
  }
  return make_folder_sink(options);
}

std::int64_t columns_for(std::int64_t count, std::int64_t labels) {
  constexpr std::int64_t kWidest = 32;
  return labels > 1 && labels <= kWidest && count % labels == 0 ? labels : 0;
}

}  // namespace pathline::sampler
