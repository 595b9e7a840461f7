// SPDX-License-Identifier: Apache-2.0
#include "data/import.h"

#include <algorithm>

#include "core/error.h"
#include "core/log.h"
#include "data/image_store_writer.h"
#include "data/parallel.h"
#include "data/resize.h"

namespace pathline::data {
namespace {

using core::ExitCode;

constexpr std::int64_t kBlock = 512;  // pictures decoded before they are written: bounds the memory

/// A decoded picture, or why there is none.
struct Outcome {
  Image image;
  std::string problem;
};

Outcome attempt(const PictureSource& source, std::int64_t index, const ImportOptions& options) {
  try {
    return {fitted(source.picture(index), options), ""};
  } catch (const core::Error& error) {
    if (error.code() != ExitCode::kInput) throw;
    return {{}, error.what()};
  }
}

/// The first picture that can be read decides the shape of all.
Image model_picture(const PictureSource& source, const ImportOptions& options) {
  std::string problem;
  for (std::int64_t i = 0; i < source.count(); ++i) {
    Outcome outcome = attempt(source, i, options);
    if (outcome.problem.empty()) return std::move(outcome.image);
    if (problem.empty()) problem = outcome.problem;
  }
  throw core::Error(ExitCode::kInput, core::concat("None of the ", source.count(),
                                                   " pictures can be read. The first problem: ", problem));
}

SetInfo info_of(const PictureSource& source, const Image& model) {
  SetInfo info;
  info.count = source.count();
  info.height = model.height;
  info.width = model.width;
  info.channels = model.channels;
  info.classes = source.classes();
  info.class_names = source.class_names();
  return info;
}

/// A grey picture in a colour set loses nothing; any other difference needs a decision.
void make_alike(Image& image, const SetInfo& info, std::int64_t index) {
  if (image.channels == 1 && info.channels == 3) image = to_rgb(image);
  PL_CHECK(image.channels == info.channels, ExitCode::kUsage, "Picture ", index,
           " is coloured, while the first one is grey (a store has one kind). Give --rgb or --grey.");
  PL_CHECK(image.height == info.height && image.width == info.width, ExitCode::kUsage, "Picture ", index, " is ",
           image.height, " x ", image.width, ", while the first one is ", info.height, " x ", info.width,
           " (a store has one size). Give --size N to crop and resize all to N x N.");
}

void fail_for(const std::vector<std::string>& problems, std::int64_t count) {
  for (const auto& problem : problems) core::log_error(problem);
  throw core::Error(ExitCode::kInput,
                    core::concat(problems.size(), " of ", count,
                                 " pictures cannot be read; they are named above, and nothing was written. Replace "
                                 "them, or leave them out with --skip-bad."));
}

}  // namespace

Image fitted(Image image, const ImportOptions& options) {
  if (options.channels == 1) image = to_grey(image);
  if (options.channels == 3) image = to_rgb(image);
  if (options.size > 0) image = resized(centre_square(image), options.size, options.size, options.filter);
  if (options.pad > 0) image = padded(image, options.pad);
  return image;
}

Imported import_pictures(const PictureSource& source, const ImportOptions& options, const std::string& path,
                         const OnProgress& progress) {
  PL_CHECK(source.count() > 0, ExitCode::kInput, "There are no pictures to import: ", source.description(), ".");
  const SetInfo info = info_of(source, model_picture(source, options));
  ImageStoreWriter writer(path, info);
  std::vector<std::string> problems;
  std::vector<Outcome> block(static_cast<std::size_t>(std::min(kBlock, info.count)));
  for (std::int64_t begin = 0; begin < info.count; begin += kBlock) {
    const std::int64_t end = std::min(info.count, begin + kBlock);
    parallel_for(begin, end, options.threads, [&](std::int64_t i) {
      Outcome& outcome = block[static_cast<std::size_t>(i - begin)];
      outcome = attempt(source, i, options);
      if (outcome.problem.empty()) make_alike(outcome.image, info, i);
    });
    for (std::int64_t i = begin; i < end; ++i) {
      const Outcome& outcome = block[static_cast<std::size_t>(i - begin)];
      if (!outcome.problem.empty()) {
        problems.push_back(outcome.problem);
      } else if (problems.empty() || options.skip_bad) {
        writer.append(outcome.image.bytes(), source.label(i));
      }
    }
    progress(end);
  }
  if (!problems.empty() && !options.skip_bad) fail_for(problems, info.count);
  const auto kept = info.count - static_cast<std::int64_t>(problems.size());
  if (kept < info.count) writer.shorten(kept);
  return {kept, info.height, info.width, info.channels, std::move(problems), writer.finish()};
}

std::string store(const ShardSource& source, const std::string& path, int threads, const OnProgress& progress) {
  const SetInfo& info = source.info();
  ImageStoreWriter writer(path, info);
  for (std::int64_t begin = 0; begin < info.count; begin += 8 * kBlock) {
    const std::int64_t end = std::min(info.count, begin + 8 * kBlock);
    parallel_for(begin, end, threads, [&](std::int64_t i) {
      std::vector<std::byte> item(info.item_bytes());
      source.read(i, item);
      writer.put(i, item, source.label(i));
    });
    progress(end);
  }
  return writer.finish();
}

}  // namespace pathline::data
