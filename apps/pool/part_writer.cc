// SPDX-License-Identifier: Apache-2.0
#include "apps/pool/part_writer.h"

#include <algorithm>
#include <memory>
#include <span>

#include "core/error.h"
#include "core/log.h"
#include "data/contact_sheet.h"
#include "data/png.h"
#include "sampler/part_file.h"

namespace pathline::apps {
namespace {

constexpr std::size_t kPreviewed = 8;
constexpr std::uint64_t kMostWaiting = 4;  // parts; each holds a range in memory

/// The first samples of a range side by side; nothing for what is no picture.
std::vector<std::byte> preview_of(const std::vector<sampler::Record>& records, const std::vector<std::int64_t>& shape) {
  if (shape.size() != 3 || (shape[0] != 1 && shape[0] != 3)) return {};
  std::vector<data::Image> images;
  for (std::size_t i = 0; i < std::min(kPreviewed, records.size()); ++i) {
    data::Image image(shape[1], shape[2], shape[0]);
    PL_ASSERT(records[i].item.size() >= image.pixels.size());  // features may follow
    const std::span pixels = std::span(records[i].item).first(image.pixels.size());
    std::transform(pixels.begin(), pixels.end(), image.pixels.begin(),
                   [](std::byte value) { return std::to_integer<std::uint8_t>(value); });
    images.push_back(std::move(image));
  }
  return data::encode_png(data::grid_of(images, static_cast<std::int64_t>(kPreviewed), 1, 1));
}

void write_synced(core::FileSystem& files, const std::string& path, std::span<const std::byte> bytes) {
  const auto file = files.create(path);
  file->append(bytes);
  file->sync();
  file->close();
}

/// For people: its failure is nobody's concern.
void write_preview(core::FileSystem& files, const std::string& path, const std::vector<std::byte>& png) {
  if (png.empty()) return;
  try {
    const auto file = files.create(path);
    file->append(png);
    file->close();
  } catch (const core::Error& error) {
    core::log_warning("no preview: ", error.what());
  }
}

/// A file that nobody will ask for.
void discard(core::FileSystem& files, const std::string& path) {
  try {
    files.remove(path);
  } catch (const core::Error& error) {
    core::log_warning("a file without use stays: ", error.what());
  }
}

}  // namespace

void PartWriter::write(std::shared_ptr<const PreparedJob> job, const pool::Lease& lease,
                       std::vector<sampler::Record> records, pool::CommitReport report) {
  const auto held = std::make_shared<std::vector<sampler::Record>>(std::move(records));
  const std::uint64_t number =
      thread_.post([this, job, lease, held, report] { write_now(*job, lease, *held, report); });
  if (number > kMostWaiting) thread_.wait_for(number - kMostWaiting);
}

void PartWriter::write_now(const PreparedJob& job, const pool::Lease& lease, std::vector<sampler::Record>& records,
                           pool::CommitReport report) {
  if (link_.lost(lease.token)) return;
  const bool pictures = job.plan.latents.scale.empty();
  const std::vector<std::byte> preview = pictures ? preview_of(records, job.plan.item_shape) : std::vector<std::byte>();
  for (sampler::Record& record : records) {
    report.failed += record.status != sampler::SampleStatus::kDone;
    report.nfe += record.nfe;
    report.max_nfe = std::max(report.max_nfe, record.nfe);
    report.rejected += record.rejected;
    record = job.packed(std::move(record));
  }
  const std::vector<std::byte> part =
      sampler::encode_part(job.plan.record.identity(), {lease.first, lease.last}, records);
  report.bytes = part.size();
  try {
    write_synced(files_, lease.path, part);
  } catch (const core::Error& error) {
    trouble_ = true;
    discard(files_, lease.path);
    link_.give_back(lease.token, error.what());
    return;
  }
  write_preview(files_, lease.preview, preview);
  if (!link_.commit(lease.token, report)) discard(files_, lease.path);
}

}  // namespace pathline::apps
