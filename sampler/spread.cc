// SPDX-License-Identifier: Apache-2.0
#include "sampler/spread.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <vector>

#include "cluster/agree.h"
#include "core/error.h"
#include "core/progress.h"

namespace pathline::sampler {
namespace {

constexpr std::int64_t kRoundBytes = std::int64_t{64} << 20;  // of samples that a rank holds back for rank 0

/// How a sample travels; its elements follow, fp32.
struct Header {
  std::int64_t id, label, nfe, rejected, status;
};

/// Samples of one range, one after the other.
class Parcel {
 public:
  explicit Parcel(const std::vector<std::int64_t>& shape) : shape_(shape) {
    for (const std::int64_t extent : shape) elements_ *= static_cast<std::size_t>(extent);
  }

  std::size_t sample_bytes() const { return sizeof(Header) + elements_ * sizeof(float); }

  void pack(const Sample& sample, std::vector<std::byte>& bytes) const {
    const Header header{sample.id, sample.label, sample.nfe, sample.rejected, static_cast<std::int64_t>(sample.status)};
    const at::Tensor value = sample.value.contiguous();
    PL_ASSERT(static_cast<std::size_t>(value.numel()) == elements_ && value.scalar_type() == at::kFloat);
    const std::size_t begin = bytes.size();
    bytes.resize(begin + sample_bytes());
    std::memcpy(bytes.data() + begin, &header, sizeof header);
    std::memcpy(bytes.data() + begin + sizeof header, value.const_data_ptr<float>(), elements_ * sizeof(float));
  }

  Sample unpack(const std::byte* bytes) const {
    Header header;
    std::memcpy(&header, bytes, sizeof header);
    Sample sample{header.id,  header.label,    at::empty(shape_, at::kFloat),
                  header.nfe, header.rejected, static_cast<SampleStatus>(header.status)};
    std::memcpy(sample.value.mutable_data_ptr<float>(), bytes + sizeof header, elements_ * sizeof(float));
    return sample;
  }

 private:
  const std::vector<std::int64_t> shape_;
  std::size_t elements_ = 1;
};

/// Rank 0 receives everyone's bytes, in order of ranks; others receive nothing. Collective.
std::vector<std::byte> gather_to_rank_0(cluster::Communicator& ranks, std::span<const std::byte> mine,
                                        const std::vector<std::size_t>& sizes) {
  const auto world = static_cast<std::size_t>(ranks.size());
  std::vector<std::span<const std::byte>> send(world);
  send[0] = mine;
  std::vector<std::span<std::byte>> receive(world);
  std::vector<std::byte> all;
  if (ranks.rank() == 0) {
    std::size_t total = 0;
    for (const std::size_t size : sizes) total += size;
    all.resize(total);
    std::size_t begin = 0;
    for (std::size_t r = 0; r < world; ++r) {
      receive[r] = std::span(all).subspan(begin, sizes[r]);
      begin += sizes[r];
    }
  }
  ranks.all_to_all(send, receive);
  return all;
}

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

IdRange range_of(int rank, int ranks, std::int64_t first, std::int64_t last, std::int64_t most) {
  const std::int64_t share = std::min(most, (last - first + ranks - 1) / ranks);
  const std::int64_t begin = std::min(last, first + rank * share);
  return {begin, std::min(last, begin + share)};
}

Statistics generate_on_ranks(cluster::Communicator& ranks, const Field& field, const Job& job, std::int64_t first,
                             std::int64_t last, const std::function<std::int64_t(std::int64_t id)>& label_of,
                             const Gathered& gathered) {
  const double start = core::monotonic_seconds();
  const Parcel parcel(job.sample_shape);
  const std::int64_t most = std::max(4 * job.slots, kRoundBytes / static_cast<std::int64_t>(parcel.sample_bytes()));
  const bool root = ranks.rank() == 0;
  Statistics mine;
  for (std::int64_t next = first; next < last;) {
    const IdRange range = range_of(ranks.rank(), ranks.size(), next, last, most);
    std::vector<std::byte> packed;
    mine = mine + cluster::together(ranks, [&] {
             std::int64_t done = 0;
             return generate(field, job, range.first, range.last, label_of, [&](Sample&& sample) {
               parcel.pack(sample, packed);
               ++done;
               if (root) gathered.progress(std::min(last, next + done * ranks.size()) - first);
             });
           });
    std::vector<std::size_t> sizes;
    for (int r = 0; r < ranks.size(); ++r) {
      const IdRange theirs = range_of(r, ranks.size(), next, last, most);
      sizes.push_back(static_cast<std::size_t>(theirs.count()) * parcel.sample_bytes());
      if (r + 1 == ranks.size()) next = theirs.last;
    }
    const std::vector<std::byte> all = gather_to_rank_0(ranks, packed, sizes);
    cluster::together(ranks, [&] {
      for (std::size_t at = 0; at < all.size(); at += parcel.sample_bytes()) gathered.put(parcel.unpack(&all[at]));
    });
  }
  mine.seconds = core::monotonic_seconds() - start;
  return summed(ranks, mine);
}

}  // namespace pathline::sampler
