// SPDX-License-Identifier: Apache-2.0
#include "apps/encode/latent_run.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "apps/encode/latent_set.h"
#include "apps/sample/compute.h"
#include "cluster/agree.h"
#include "cluster/session.h"
#include "core/error.h"
#include "core/file_crc.h"
#include "core/file_system.h"
#include "core/log.h"
#include "core/progress.h"
#include "core/text.h"
#include "data/hdf5.h"
#include "launch/signals.h"
#include "sampler/range_dealer.h"
#include "sampler/set_in_progress.h"

namespace pathline::apps {
namespace {

using core::ExitCode;
using sampler::IdRange;

constexpr std::size_t kMostPartBytes = std::size_t{64} << 20;

DeviceKind kind_of(const std::string& device) {
  return device == "cpu" ? DeviceKind::kCpu : device == "cuda" ? DeviceKind::kCuda : DeviceKind::kAny;
}

class EncodingRun {
 public:
  EncodingRun(const LatentOptions& options, cluster::Communicator& world)
      : options_(options), world_(world), root_(world.rank() == 0) {}

  int run() {
    prepare();
    if (cluster::word_of_root(world_, finished_)) return 0;
    const std::int64_t made = encode();
    if (cluster::word_of_root(world_, stopped(made))) return static_cast<int>(ExitCode::kStopped);
    cluster::together(world_, [&] {
      if (root_) write_set();
    });
    return 0;
  }

 private:
  struct Decided {
    std::int64_t threads = 0;
    DeviceKind device = DeviceKind::kAny;
  };

  void prepare() {
    const Decided own = cluster::together(world_, [&] { return root_ ? decide() : Decided{}; });
    const Decided decided = cluster::word_of_root(world_, own);
    at::set_num_threads(static_cast<int>(decided.threads));
    const Compute compute = choose_compute(decided.device, sampler::Launch::kEager, world_);
    cluster::together(world_, [&] {
      source_ = data::open_source({options_.input});
      encoder_ = std::make_unique<LatentEncoder>(options_, *source_, compute.device);
      record_ = record_for(decided.threads, compute.kernels);
      if (root_) begin();
    });
  }

  /// As an earlier start decided, where this one is not asked for something else.
  Decided decide() {
    data::parse_latent_scale(options_.normalize);  // says what cannot be before the work
    PL_CHECK(options_.input != options_.output, ExitCode::kUsage, "--output ", options_.output,
             " is the set that is read. Give another name.");
    PL_CHECK(options_.output.ends_with(".h5"), ExitCode::kUsage, "--output ", options_.output,
             " does not end with .h5; a set of latents is an HDF5 file. Name one.");
    PL_CHECK(options_.threads >= 0 && options_.part_size >= 0, ExitCode::kUsage, "--threads is ", options_.threads,
             " and --part-size ", options_.part_size, "; they must be positive.");
    const std::optional<sampler::JobRecord> begun = sampler::PartStore(files_, options_.output).begun();
    Decided decided{options_.threads, kind_of(options_.device)};
    if (begun && decided.threads == 0) decided.threads = core::parse_integer(begun->value("threads"), "threads");
    if (begun && options_.device == "auto") decided.device = kind_of(device_kind_of(begun->value("kernels")));
    if (decided.threads == 0) decided.threads = cluster::usual_threads();
    return decided;
  }

  sampler::JobRecord record_for(std::int64_t threads, const std::string& kernels) const {
    const data::SetInfo& pictures = source_->info();
    sampler::JobRecord record;
    record.add("pictures", core::concat(pictures.digest.empty() ? pictures.description : pictures.digest, ", ",
                                        pictures.count, " of them"));
    record.add("encoder", "crc32c " + core::crc_of_file(files_, options_.encoder));
    record.add("moments", options_.moments ? "mean and log-variance" : "no");
    record.add("flips", options_.flips ? "both" : "plain");
    record.add("normalize", options_.normalize);
    record.add("batch", std::to_string(options_.batch));
    record.add("threads", std::to_string(threads));
    record.add("kernels", kernels);
    return record;
  }

  /// Rank 0: the job is ours from here on, and what is missing of it is known.
  void begin() {
    set_ = std::make_unique<sampler::SetInProgress>(files_, options_.output, IdRange{0, source_->info().count});
    finished_ = made_before();
    if (finished_) {
      set_->parts().remove_done();
      core::log_info(options_.output, " is complete already");
      return;
    }
    set_->begin(record_);
    if (set_->begun() > 0) {
      core::log_info("continuing: ", set_->begun(), " of ", source_->info().count, " pictures are encoded");
    }
  }

  /// Is there a finished set of this very job? It would be made again, for hours.
  bool made_before() const {
    if (!files_.exists(options_.output) || set_->parts().begun()) return false;
    const data::hdf5::File file = data::hdf5::File::open(options_.output);
    return file.text("/", kEncodingAttribute) == record_.text();
  }

  /// Batches of the ranges that are missing, which always consist of whole ones.
  std::vector<IdRange> open_batches() const {
    std::vector<IdRange> open;
    for (const IdRange& range : root_ ? set_->missing() : std::vector<IdRange>()) {
      open.push_back({range.first / options_.batch, (range.last + options_.batch - 1) / options_.batch});
    }
    return open;
  }

  /// Pictures that all ranks encoded. Collective.
  std::int64_t encode() {
    const std::size_t batch_bytes = static_cast<std::size_t>(options_.batch) * encoder_->info().item_bytes();
    sampler::Dealing dealing;
    dealing.first_range = 1;
    dealing.most = options_.part_size > 0
                       ? std::max<std::int64_t>(1, options_.part_size / options_.batch)
                       : static_cast<std::int64_t>(std::max<std::size_t>(1, kMostPartBytes / batch_bytes));
    const std::int64_t begun = root_ ? set_->begun() : 0;
    core::Progress progress("encode", source_->info().count, "images", root_, begun);
    sampler::RangeDealer dealer(world_, open_batches(), dealing);
    std::array<std::int64_t, 1> made = {cluster::together(world_, [&] {
      try {
        return encode_ranges(dealer, [&] { progress.update(begun + dealer.total().done); });
      } catch (...) {
        dealer.give_up();
        throw;
      }
    })};
    world_.all_reduce(std::span<std::int64_t>(made), cluster::Reduction::kSum);
    progress.update(begun + made[0]);
    progress.finish();
    return made[0];
  }

  /// Until the dealer has nothing more; returns how many pictures this rank encoded.
  std::int64_t encode_ranges(sampler::RangeDealer& dealer, const std::function<void()>& progress) {
    sampler::PartStore parts(files_, options_.output);
    const double start = core::monotonic_seconds();
    std::int64_t batches = 0;
    sampler::Tally mine;
    bool stop = false;
    while (!stop) {
      const double seconds = std::max(core::monotonic_seconds() - start, 1e-9);
      const std::optional<IdRange> range = dealer.take(static_cast<double>(batches) / seconds);
      if (!range) break;
      std::vector<sampler::Record> records;
      for (std::int64_t batch = range->first; batch < range->last && !stop; ++batch, ++batches) {
        std::ranges::move(encoder_->encode(batch), std::back_inserter(records));
        mine.done += encoder_->items_of(batch).count();
        dealer.report(mine);
        if (root_) progress();
        stop = launch::take_signal_requests().stop;
      }
      if (stop) dealer.give_up();  // for all ranks
      parts.commit(record_.identity(), {records.front().id, records.back().id + 1}, records);
    }
    return mine.done;
  }

  /// As rank 0 knows: true if pictures are missing because a rank was asked to stop.
  bool stopped(std::int64_t made) const {
    if (!root_) return false;
    const std::int64_t there = set_->begun() + made, count = source_->info().count;
    if (there < count) {
      core::log_warning("asked to stop: ", there, " of ", count, " pictures are encoded in ", set_->parts().directory(),
                        "; start the same command again to go on");
      return true;
    }
    set_->wait_for_listing();
    return false;
  }

  /// Rank 0: all parts are there.
  void write_set() {
    const data::SetInfo& info = encoder_->info();
    LatentSet latents(options_, info, *source_, record_.text());
    set_->parts().read_all(record_.identity(), {0, info.count}, [&](sampler::Record&& record) { latents.add(record); });
    const std::string digest = latents.finish();
    set_->end();
    std::printf("%s: %lld latents of %lld x %lld x %lld\ndigest %s\n", options_.output.c_str(),
                static_cast<long long>(info.count), static_cast<long long>(info.channels),
                static_cast<long long>(info.height), static_cast<long long>(info.width), digest.c_str());
  }

  const LatentOptions options_;
  cluster::Communicator& world_;
  const bool root_;
  mutable core::PosixFileSystem files_;
  std::unique_ptr<data::ShardSource> source_;
  std::unique_ptr<LatentEncoder> encoder_;
  sampler::JobRecord record_;
  std::unique_ptr<sampler::SetInProgress> set_;  // rank 0
  bool finished_ = false;                        // rank 0
};

}  // namespace

int encode_latents(const LatentOptions& options, cluster::Communicator& world) {
  core::configure_log({.rank = world.rank(), .ranks = world.size(), .file = {}, .level = core::LogLevel::kInfo});
  return EncodingRun(options, world).run();
}

}  // namespace pathline::apps
