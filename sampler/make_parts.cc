// SPDX-License-Identifier: Apache-2.0
#include "sampler/make_parts.h"

#include <array>
#include <map>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/machine.h"
#include "core/task_thread.h"

namespace pathline::sampler {
namespace {

constexpr std::uint64_t kMostWaiting = 4;  // parts that wait for the writing thread

/// A range of which some samples are still being made.
struct OpenPart {
  std::int64_t first = 0;
  std::int64_t taken = 0;  // ids handed to the slots
  std::int64_t done = 0;
  std::vector<Record> records;  // (count), by id - first
  bool complete() const { return done == static_cast<std::int64_t>(records.size()); }
};

class PartMaker {
 public:
  PartMaker(const PartMaking& making, RangeDealer& dealer, PartStore& store)
      : making_(making), dealer_(dealer), store_(store), begin_(core::monotonic_seconds()) {}

  std::optional<std::int64_t> next_id() {
    if (stopped_ || making_.stop()) {
      if (!std::exchange(stopped_, true)) dealer_.give_up();
      return std::nullopt;
    }
    if (next_ == end_) {
      const std::optional<IdRange> range = dealer_.take(static_cast<double>(done_) / seconds());
      if (!range) return std::nullopt;
      next_ = range->first;
      end_ = range->last;
      OpenPart& part = open_[range->first];
      part.first = range->first;
      part.records.resize(static_cast<std::size_t>(range->count()));
    }
    std::prev(open_.upper_bound(next_))->second.taken += 1;
    return next_++;
  }

  void add(Sample&& sample, const Statistics& so_far) {
    const auto found = std::prev(open_.upper_bound(sample.id));
    OpenPart& part = found->second;
    Record& place = part.records.at(static_cast<std::size_t>(sample.id - part.first));
    place = making_.record_of(std::move(sample));
    part.done += 1;
    done_ += 1;
    if (part.complete()) {
      commit(std::move(part));
      open_.erase(found);
    }
    dealer_.report({so_far.count, so_far.failed, so_far.nfe, so_far.useful_rows, so_far.evaluated_rows});
    making_.progress();
  }

  /// After a stop, ranges were begun and not ended: what was begun of them is there by now.
  void finish() {
    for (auto& [first, part] : open_) {
      PL_ASSERT(part.done == part.taken);
      part.records.resize(static_cast<std::size_t>(part.taken));
      if (part.taken > 0) commit(std::move(part));
    }
    writer_.wait_for_all();
  }

 private:
  double seconds() const { return std::max(core::monotonic_seconds() - begin_, 1e-9); }

  void commit(OpenPart&& part) {
    const auto held = std::make_shared<OpenPart>(std::move(part));
    const std::uint64_t number = writer_.post([this, held] {
      for (Record& record : held->records) record = making_.packed(std::move(record));
      const auto count = static_cast<std::int64_t>(held->records.size());
      store_.commit(making_.job, {held->first, held->first + count}, held->records);
    });
    if (number > kMostWaiting) writer_.wait_for(number - kMostWaiting);
  }

  const PartMaking& making_;
  RangeDealer& dealer_;
  PartStore& store_;
  const double begin_;
  std::int64_t next_ = 0, end_ = 0;  // what is left of the newest range
  std::int64_t done_ = 0;
  bool stopped_ = false;
  std::map<std::int64_t, OpenPart> open_;  // by first id
  core::TaskThread writer_;
};

}  // namespace

Statistics summed(cluster::Communicator& ranks, const Statistics& mine) {
  std::array<std::int64_t, 12> sums = {mine.count,           mine.failed,         mine.nfe,
                                       mine.rejected_steps,  mine.useful_rows,    mine.evaluated_rows,
                                       mine.queued_useful,   mine.queued_rows,    mine.not_finite,
                                       mine.steps_too_short, mine.too_many_steps, mine.at_noise_floor};
  std::array<std::int64_t, 1> most = {mine.max_nfe};
  std::array<double, 2> seconds = {mine.seconds, mine.field_seconds};
  ranks.all_reduce(std::span<std::int64_t>(sums), cluster::Reduction::kSum);
  ranks.all_reduce(std::span<std::int64_t>(most), cluster::Reduction::kMax);
  ranks.all_reduce(std::span<double>(seconds), cluster::Reduction::kMax);
  Statistics total;
  total.count = sums[0];
  total.failed = sums[1];
  total.nfe = sums[2];
  total.rejected_steps = sums[3];
  total.useful_rows = sums[4];
  total.evaluated_rows = sums[5];
  total.queued_useful = sums[6];
  total.queued_rows = sums[7];
  total.not_finite = sums[8];
  total.steps_too_short = sums[9];
  total.too_many_steps = sums[10];
  total.at_noise_floor = sums[11];
  total.max_nfe = most[0];
  total.seconds = seconds[0];
  total.field_seconds = seconds[1];
  return total + Statistics{};
}

Statistics make_parts(const Field& field, const Job& job, const PartMaking& making, RangeDealer& dealer,
                      PartStore& store) {
  try {
    PartMaker maker(making, dealer, store);
    const Statistics made = generate(
        field, job, [&] { return maker.next_id(); }, making.label_of,
        [&](Sample&& sample, const Statistics& so_far) { maker.add(std::move(sample), so_far); });
    maker.finish();
    return made;
  } catch (...) {
    dealer.give_up();
    throw;
  }
}

}  // namespace pathline::sampler
