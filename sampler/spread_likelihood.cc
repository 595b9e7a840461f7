// SPDX-License-Identifier: Apache-2.0
#include "sampler/spread_likelihood.h"

#include <algorithm>
#include <bit>
#include <span>

#include "cluster/agree.h"
#include "core/machine.h"

namespace pathline::sampler {
namespace {

constexpr double kSecondsOfWork = 5;

constexpr std::size_t kColumns = 4;  // log_p, error, nfe, outcome

/// The figures of an item as whole numbers, zero where another rank has them: the sum over ranks brings all of them
/// everywhere without changing a bit.
void pack(const LogDensity& density, std::span<std::int64_t> row) {
  row[0] = std::bit_cast<std::int64_t>(density.log_p);
  row[1] = std::bit_cast<std::int64_t>(density.error);
  row[2] = density.nfe;
  row[3] = static_cast<std::int64_t>(density.outcome);
}

LogDensity unpacked(std::int64_t id, std::span<const std::int64_t> row) {
  return {id, std::bit_cast<double>(row[0]), std::bit_cast<double>(row[1]), row[2], static_cast<Outcome>(row[3])};
}

class RankOfSet {
 public:
  RankOfSet(const SetOfData& data, RangeDealer& dealer, const std::function<void(const Tally&)>& progress)
      : data_(data),
        dealer_(dealer),
        progress_(progress),
        rows_(kColumns * static_cast<std::size_t>(data.ids.count())) {}

  std::optional<Datum> next() {
    if (left_.count() == 0) {
      const double seconds = std::max(core::monotonic_seconds() - begin_, 1e-9);
      const std::optional<IdRange> range = dealer_.take(static_cast<double>(mine_.done) / seconds);
      if (!range) return std::nullopt;
      left_ = *range;
    }
    return data_.datum(left_.first++);
  }

  void add(const LogDensity& density, bool root) {
    const auto place = static_cast<std::size_t>(density.id - data_.ids.first);
    pack(density, std::span(rows_).subspan(kColumns * place, kColumns));
    mine_.done += 1;
    mine_.failed += failed(density.outcome);
    mine_.nfe += density.nfe;
    dealer_.report(mine_);
    if (root) progress_(dealer_.total());
  }

  std::span<std::int64_t> rows() { return rows_; }

 private:
  const SetOfData& data_;
  RangeDealer& dealer_;
  const std::function<void(const Tally&)>& progress_;
  const double begin_ = core::monotonic_seconds();
  IdRange left_;  // of the newest range
  Tally mine_;
  std::vector<std::int64_t> rows_;  // (ids, kColumns)
};

}  // namespace

std::vector<LogDensity> densities_on_ranks(cluster::Communicator& ranks, const Field& field,
                                           const LikelihoodOptions& options, const std::vector<std::int64_t>& shape,
                                           bool labelled, const SetOfData& data,
                                           const std::function<void(const Tally&)>& progress) {
  const std::int64_t solves = options.exact ? 1 : std::max<std::int64_t>(1, options.probes);
  const DensitySolver solver = [&](const auto& next, const auto& emit) {
    log_densities(field, options, shape, labelled, next, emit);
  };
  return densities_on_ranks(ranks, solver, std::max<std::int64_t>(1, options.slots / solves), data, progress);
}

std::vector<LogDensity> densities_on_ranks(cluster::Communicator& ranks, const DensitySolver& solver,
                                           std::int64_t at_once, const SetOfData& data,
                                           const std::function<void(const Tally&)>& progress) {
  Dealing dealing;
  dealing.first_range = at_once;
  dealing.seconds = kSecondsOfWork;
  RangeDealer dealer(ranks, {data.ids}, dealing);
  RankOfSet mine(data, dealer, progress);
  cluster::together(ranks, [&] {
    try {
      solver([&] { return mine.next(); }, [&](const LogDensity& density) { mine.add(density, ranks.rank() == 0); });
    } catch (...) {
      dealer.give_up();
      throw;
    }
  });
  const std::span<std::int64_t> rows = mine.rows();
  ranks.all_reduce(rows, cluster::Reduction::kSum);
  std::vector<LogDensity> all;
  for (std::int64_t id = data.ids.first; id < data.ids.last; ++id) {
    all.push_back(unpacked(id, rows.subspan(kColumns * all.size(), kColumns)));
  }
  return all;
}

}  // namespace pathline::sampler
