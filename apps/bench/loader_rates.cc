// SPDX-License-Identifier: Apache-2.0
#include "apps/bench/loader_rates.h"

#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>

#include <atomic>
#include <exception>
#include <functional>
#include <memory>
#include <thread>

#include "core/error.h"
#include "core/progress.h"
#include "data/decoded_chunks.h"
#include "data/hdf5.h"
#include "data/hdf5_chunks.h"
#include "data/lane_order.h"
#include "data/loader.h"
#include "data/sample_order.h"
#include "data/shard_source.h"

namespace pathline::apps {

namespace {

using core::ExitCode;

/// The array of the images, for the loops that do without the loader.
data::hdf5::DataSet images_of(const data::hdf5::File& file, const data::SetInfo& info) {
  for (data::hdf5::DataSet& set : file.data_sets()) {
    if (set.elements() == static_cast<std::uint64_t>(info.count) * info.item_values() && set.element_bytes() == 1) {
      return std::move(set);
    }
  }
  throw core::Error(ExitCode::kInput, core::concat(file.path(), " holds no 8-bit images in one array (",
                                                   info.description, "). Measure a file that does."));
}

/// Calls of `work(thread)`, which returns how many images it did, on all threads for as long as asked; images a second.
double rate_of(const LoaderBenchmark& wanted, const std::function<std::int64_t(int)>& work) {
  std::atomic<std::int64_t> images = 0;
  std::vector<std::thread> threads;
  std::vector<std::exception_ptr> failures(static_cast<std::size_t>(wanted.threads));
  const double start = core::monotonic_seconds();
  for (int t = 0; t < wanted.threads; ++t) {
    threads.emplace_back([&, t] {
      try {
        while (core::monotonic_seconds() - start < wanted.seconds) images += work(t);
      } catch (...) {
        failures[static_cast<std::size_t>(t)] = std::current_exception();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
  return static_cast<double>(images) / (core::monotonic_seconds() - start);
}

/// A number that is different every time; xorshift of Marsaglia (2003).
std::uint64_t next_random(std::uint64_t& state) {
  state ^= state << 13, state ^= state >> 7, state ^= state << 17;
  return state;
}

// Compiled with -O3: a bound must be vectorised.
void bytes_to_floats(const std::uint8_t* from, std::size_t count, float* to) {
  for (std::size_t i = 0; i < count; ++i) to[i] = static_cast<float>(from[i]) * (1 / 127.5f) - 1;
}

/// Reads images at random with pread and makes floats of them, in the order of their bytes.
class PlainLoop {
 public:
  PlainLoop(const LoaderBenchmark& wanted, const data::SetInfo& info, std::vector<std::uint64_t> offsets)
      : descriptor_(::open(wanted.path.c_str(), O_RDONLY)),
        floats_(!wanted.bytes),
        batch_(static_cast<std::size_t>(wanted.batch)),
        offsets_(std::move(offsets)) {
    PL_CHECK(descriptor_ >= 0, ExitCode::kInput, "cannot open ", wanted.path, ".");
    for (int t = 0; t < wanted.threads; ++t) {
      threads_.push_back({std::vector<std::uint8_t>(info.item_bytes()), std::vector<float>(batch_ * info.item_bytes()),
                          88172645463325252ull + 977 * static_cast<std::uint64_t>(t)});
    }
    bytes_ = info.item_bytes();
  }
  ~PlainLoop() { ::close(descriptor_); }

  std::int64_t operator()(int t) {
    Thread& own = threads_[static_cast<std::size_t>(t)];
    std::uint8_t* image = own.bytes.data();
    for (std::size_t i = 0; i < batch_; ++i) {
      const std::uint64_t offset = offsets_[next_random(own.state) % offsets_.size()];
      PL_CHECK(::pread(descriptor_, image, bytes_, static_cast<off_t>(offset)) == static_cast<ssize_t>(bytes_),
               ExitCode::kInput, "the file ended while it was measured.");
      if (floats_) bytes_to_floats(image, bytes_, own.floats.data() + i * bytes_);
    }
    return static_cast<std::int64_t>(batch_);
  }

 private:
  struct Thread {
    std::vector<std::uint8_t> bytes;
    std::vector<float> floats;
    std::uint64_t state;
  };
  int descriptor_;
  bool floats_;
  std::size_t batch_, bytes_ = 0;
  std::vector<std::uint64_t> offsets_;
  std::vector<Thread> threads_;
};

/// Inflates chunks that lie in memory, one after the other, from another place in every thread.
class InflateLoop {
 public:
  InflateLoop(const LoaderBenchmark& wanted, const data::hdf5::ChunkMap& map)
      : chunk_bytes_(map.chunk_bytes()),
        images_a_chunk_(map.chunk[0]),
        next_(static_cast<std::size_t>(wanted.threads)) {
    const int descriptor = ::open(wanted.path.c_str(), O_RDONLY);
    std::size_t total = 0;
    for (const auto& chunk : map.chunks) {
      if (chunk.bytes == 0 || total > kMostBytes) continue;
      stored_.emplace_back(chunk.bytes);
      total += chunk.bytes;
      PL_CHECK(::pread(descriptor, stored_.back().data(), chunk.bytes, static_cast<off_t>(chunk.offset)) ==
                   static_cast<ssize_t>(chunk.bytes),
               ExitCode::kInput, "cannot read ", wanted.path, ".");
    }
    ::close(descriptor);
    for (std::size_t t = 0; t < next_.size(); ++t) next_[t] = t * stored_.size() / next_.size();
  }

  std::int64_t operator()(int t) const {
    std::size_t& at = next_[static_cast<std::size_t>(t)];
    thread_local std::vector<std::uint8_t> out;
    thread_local std::unique_ptr<z_stream, decltype([](z_stream* stream) { inflateEnd(stream), delete stream; })>
        stream;
    if (!stream) {
      stream.reset(new z_stream{});
      inflateInit(stream.get());
    }
    out.resize(chunk_bytes_);
    const std::vector<std::uint8_t>& stored = stored_[at++ % stored_.size()];
    inflateReset(stream.get());
    stream->next_in = const_cast<std::uint8_t*>(stored.data());
    stream->avail_in = static_cast<uInt>(stored.size());
    stream->next_out = out.data();
    stream->avail_out = static_cast<uInt>(out.size());
    PL_CHECK(inflate(stream.get(), Z_FINISH) == Z_STREAM_END, ExitCode::kInput, "a chunk cannot be inflated.");
    return images_a_chunk_;
  }

 private:
  static constexpr std::size_t kMostBytes = std::size_t{1} << 30;
  std::size_t chunk_bytes_;
  std::int64_t images_a_chunk_;
  std::vector<std::vector<std::uint8_t>> stored_;
  mutable std::vector<std::size_t> next_;
};

/// Where images begin that lie in the file as they are, each in one piece.
std::vector<std::uint64_t> plain_offsets(const data::hdf5::DataSet& set, const data::hdf5::ChunkMap* map,
                                         const data::SetInfo& info) {
  std::vector<std::uint64_t> offsets;
  const std::uint64_t bytes = info.item_bytes();
  for (std::int64_t i = 0; set.offset() && i < info.count; ++i) {
    offsets.push_back(*set.offset() + static_cast<std::uint64_t>(i) * bytes);
  }
  if (map == nullptr || !map->filters.empty() ||
      map->chunk_bytes() != static_cast<std::size_t>(map->chunk[0]) * info.item_bytes()) {
    return offsets;
  }
  for (std::int64_t i = 0; i < info.count; ++i) {
    const auto& chunk = map->chunks[static_cast<std::size_t>(i / map->chunk[0])];
    offsets.push_back(chunk.offset + static_cast<std::uint64_t>(i % map->chunk[0]) * bytes);
  }
  return offsets;
}

bool deflated(const data::hdf5::ChunkMap& map) { return map.filters.size() == 1 && map.filters[0].id == 1; }

void drop_from_cache(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY);
  ::posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED);
  ::close(descriptor);
}

/// A loader of the whole batch, its order as in training.
class Measured {
 public:
  Measured(const LoaderBenchmark& wanted, data::ShardSource& source) : wanted_(wanted), source_(source) {
    const data::SetInfo& info = source.info();
    data::Groups groups{source.decoded_together(), info.count, 0};
    if (groups.firsts.size() > 1) groups.most = groups.firsts[1];
    const std::int64_t slices = 16;
    const data::HoldOut all(1, info.count, 0);
    const auto decoded = static_cast<std::size_t>(wanted.decoded_mb * (1 << 20));
    const std::int64_t each = data::plan_lanes(groups, info.item_bytes(), slices, decoded);
    lanes_ = each * slices;
    if (each > 0) {
      lane_order_ = std::make_unique<data::LaneOrder>(1, groups, all, wanted.batch, slices, each);
      source.decode_into(std::make_shared<data::DecodedChunks>(data::lane_bytes(groups, info.item_bytes()) *
                                                               static_cast<std::size_t>(lanes_)));
    } else if (!groups.firsts.empty()) {
      source.decode_into(std::make_shared<data::DecodedChunks>(decoded));
    }
  }

  std::int64_t lanes() const { return lanes_; }

  double rate() const {
    data::LoaderOptions options;
    options.batch = options.last = wanted_.batch;
    options.flip = source_.info().kind == data::ItemKind::kImage;
    options.pixels = wanted_.bytes;
    options.threads = wanted_.threads;
    options.start = start_;
    if (lane_order_)
      options.ahead = [this](std::uint64_t first, std::span<std::int64_t> out) { lane_order_->ahead(first, out); };
    data::Loader loader(source_, order(), options);
    for (int i = 0; i < options.depth; ++i) loader.give_back(loader.next());  // what threads and memory cost to begin
    const double start = core::monotonic_seconds();
    std::int64_t images = 0;
    while (core::monotonic_seconds() - start < wanted_.seconds) {
      data::Batch batch = loader.next();
      images += wanted_.batch;
      loader.give_back(std::move(batch));
    }
    start_ += static_cast<std::uint64_t>(images);
    return static_cast<double>(images) / (core::monotonic_seconds() - start);
  }

 private:
  data::Order order() const {
    return [this](std::uint64_t first, std::span<std::int64_t> out) {
      if (lane_order_) return lane_order_->samples(first, out);
      data::SampleOrder(1, source_.info().count).samples(first, out);
    };
  }
  const LoaderBenchmark& wanted_;
  data::ShardSource& source_;
  std::unique_ptr<data::LaneOrder> lane_order_;
  std::int64_t lanes_ = 0;
  mutable std::uint64_t start_ = 0;
};

double library_rate(const LoaderBenchmark& wanted, const data::hdf5::DataSet& set, const data::SetInfo& info) {
  std::vector<std::byte> image(info.item_bytes());
  std::uint64_t state = 4101842887655102017ull;
  LoaderBenchmark alone = wanted;
  alone.threads = 1;  // others would wait for the library's lock
  return rate_of(alone, [&](int) {
    set.read(static_cast<std::int64_t>(next_random(state) % static_cast<std::uint64_t>(info.count)), 1,
             data::hdf5::Element::kUint8, image);
    return std::int64_t{1};
  });
}

}  // namespace

LoaderRates benchmark_loader(const LoaderBenchmark& wanted) {
  const auto source = data::open_source({wanted.path});
  const data::SetInfo& info = source->info();
  const data::hdf5::File file = data::hdf5::File::open(wanted.path);
  const data::hdf5::DataSet set = images_of(file, info);
  const std::optional<data::hdf5::ChunkMap> map = data::hdf5::chunk_map(file, set);
  const std::vector<std::uint64_t> offsets = plain_offsets(set, map ? &*map : nullptr, info);
  std::unique_ptr<PlainLoop> plain;
  std::unique_ptr<InflateLoop> inflate;
  if (!offsets.empty()) plain = std::make_unique<PlainLoop>(wanted, info, offsets);
  if (map && deflated(*map)) inflate = std::make_unique<InflateLoop>(wanted, *map);
  const Measured measured(wanted, *source);
  LoaderRates rates;
  rates.how = info.description;
  rates.image_bytes = static_cast<std::int64_t>(info.item_bytes());
  rates.lanes = measured.lanes();
  for (int round = 0; round < wanted.rounds; ++round) {
    if (wanted.cold) drop_from_cache(wanted.path);
    rates.loader.push_back(measured.rate());
    if (wanted.cold) drop_from_cache(wanted.path);
    if (plain) rates.bound.push_back(rate_of(wanted, [&](int t) { return (*plain)(t); }));
    if (inflate) rates.bound.push_back(rate_of(wanted, [&](int t) { return (*inflate)(t); }));
    rates.library.push_back(library_rate(wanted, set, info));
  }
  return rates;
}

}  // namespace pathline::apps
