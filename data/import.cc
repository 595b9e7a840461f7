// SPDX-License-Identifier: Apache-2.0
#include "data/import.h"

#include <algorithm>
#include <optional>

#include "core/error.h"
#include "core/log.h"
#include "data/image_store_writer.h"
#include "data/import_plan.h"
#include "data/parallel.h"
#include "data/resize.h"

namespace pathline::data {
namespace {

using core::ExitCode;

constexpr std::int64_t kBlock = 512;  // pictures decoded before they are written: bounds the memory

std::string called(const PictureSource& source, std::int64_t index) {
  const std::string name = source.name(index);
  return name.empty() ? core::concat("Picture ", index) : name;
}

/// A grey picture in a colour set loses nothing; any other difference needs a decision.
void make_alike(Image& image, const SetInfo& info, const std::string& name) {
  if (image.channels == 1 && info.channels == 3) image = to_rgb(image);
  PL_CHECK(image.channels == info.channels, ExitCode::kUsage, name,
           " is coloured, while the first picture is grey (a store has one kind). Give --rgb or --grey.");
  PL_CHECK(image.height == info.height && image.width == info.width, ExitCode::kUsage, name, " is ", image.height,
           " x ", image.width, ", while the first picture is ", info.height, " x ", info.width,
           " (a store has one size). Give --size N to crop and resize all to N x N.");
}

/// One import; fills one file after the other.
class Importer {
 public:
  Importer(const PictureSource& source, const ImportOptions& options, const ImportPlan& plan,
           const OnProgress& progress)
      : source_(source), options_(options), info_(plan.info), progress_(progress), done_(plan.pictures_done()) {}

  const std::vector<std::string>& problems() const { return problems_; }

  /// Nothing is written if one of its pictures, or one before, cannot be read and that is not allowed; all are tried
  /// nevertheless.
  void write(const PlannedFile& file) {
    SetInfo info = info_;
    info.count = file.last - file.first;
    std::optional<ImageStoreWriter> writer;
    if (may_write()) writer.emplace(file.path, info);
    std::vector<std::int64_t> kept;
    for (std::int64_t begin = file.first; begin < file.last; begin += kBlock) {
      const std::int64_t end = std::min(file.last, begin + kBlock);
      const std::vector<Attempt> block = decoded(begin, end);
      for (std::int64_t i = begin; i < end; ++i) {
        const Attempt& picture = block[static_cast<std::size_t>(i - begin)];
        if (!picture.problem.empty()) problems_.push_back(picture.problem);
        if (!may_write()) writer.reset();
        if (!writer || !picture.problem.empty()) continue;
        writer->append(picture.image.bytes(), source_.label(i));
        kept.push_back(i);
      }
      progress_(done_ += end - begin);
    }
    if (writer) finish(*writer, file, kept);
  }

 private:
  bool may_write() const { return problems_.empty() || options_.skip_bad; }

  std::vector<Attempt> decoded(std::int64_t begin, std::int64_t end) const {
    std::vector<Attempt> block(static_cast<std::size_t>(end - begin));
    parallel_for(begin, end, options_.threads, [&](std::int64_t i) {
      Attempt& picture = block[static_cast<std::size_t>(i - begin)];
      picture = attempt(source_, i, options_);
      if (picture.problem.empty()) make_alike(picture.image, info_, called(source_, i));
    });
    return block;
  }

  void finish(ImageStoreWriter& writer, const PlannedFile& file, const std::vector<std::int64_t>& kept) const {
    PL_CHECK(!kept.empty(), ExitCode::kInput, "None of the ", file.last - file.first, " pictures that belong into ",
             file.path, " can be read (a part cannot be empty). Give a larger --part-size.");
    writer.shorten(static_cast<std::int64_t>(kept.size()));
    if (!info_.attribute_names.empty()) {
      writer.add_attributes(info_.attribute_names, [&](std::int64_t item) {
        return source_.attributes(kept[static_cast<std::size_t>(item)]);
      });
    }
    writer.add_attribute("import_fingerprint", file.fingerprint);
    writer.finish(file.state == PlannedFile::State::kMissing ? Existing::kKeep : Existing::kReplace);
  }

  const PictureSource& source_;
  const ImportOptions& options_;
  const SetInfo& info_;
  const OnProgress& progress_;
  std::vector<std::string> problems_;
  std::int64_t done_;
};

[[noreturn]] void fail_for(const std::vector<std::string>& problems, const ImportPlan& plan) {
  for (const auto& problem : problems) core::log_error(problem);
  throw core::Error(
      ExitCode::kInput,
      core::concat(problems.size(), " of ", plan.info.count, " pictures cannot be read; they are named above, and ",
                   plan.in_parts() ? "no part from the first of them on was written" : "nothing was written",
                   ". Replace them, or leave them out with --skip-bad."));
}

/// The finished set, opened as those will who use it.
Imported reviewed(const ImportPlan& plan, std::vector<std::string> problems) {
  const auto set = open_source({plan.in_parts() ? plan.index : plan.files.front().path});
  Imported done;
  done.count = set->info().count;
  done.left_out = plan.info.count - done.count;
  done.problems = std::move(problems);
  done.digest = set->info().digest;
  return done;
}

}  // namespace

Image fitted(Image image, const ImportOptions& options) {
  if (options.channels == 1) image = to_grey(image);
  if (options.channels == 3) image = to_rgb(image);
  if (options.size > 0) image = resized(centre_square(image), options.size, options.size, options.filter);
  if (options.pad > 0) image = padded(image, options.pad);
  return image;
}

Attempt attempt(const PictureSource& source, std::int64_t index, const ImportOptions& options) {
  try {
    return {fitted(source.picture(index), options), ""};
  } catch (const core::Error& error) {
    if (error.code() != ExitCode::kInput) throw;
    return {{}, error.what()};
  }
}

Imported import_pictures(const PictureSource& source, const ImportOptions& options, const ImportPlan& plan,
                         const OnProgress& progress) {
  core::PosixFileSystem files;
  for (const std::string& path : plan.obsolete) files.remove(path);
  Importer importer(source, options, plan, progress);
  for (const PlannedFile& file : plan.files) {
    if (file.state != PlannedFile::State::kWhole) importer.write(file);
  }
  if (!importer.problems().empty() && !options.skip_bad) fail_for(importer.problems(), plan);
  if (plan.in_parts()) core::replace_file(files, plan.index, index_text(plan));
  return reviewed(plan, importer.problems());
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
