// SPDX-License-Identifier: Apache-2.0
#include "data/loader.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "core/error.h"
#include "core/progress.h"
#include "core/random.h"
#include "data/latents.h"
#include "data/pixels.h"

namespace pathline::data {

namespace {

void check(const ShardSource& source, const LoaderOptions& options) {
  using core::ExitCode;
  const SetInfo& info = source.info();
  PL_CHECK(info.count > 0, ExitCode::kInput, "the data set is empty (", info.description, "). Give one with samples.");
  PL_CHECK(options.batch > 0, ExitCode::kUsage, "batch = ", options.batch, " must be at least 1.");
  PL_CHECK(options.threads > 0 && options.depth > 0, ExitCode::kUsage, "the loader needs at least one thread and one ",
           "batch ahead, not ", options.threads, " and ", options.depth, ".");
  PL_CHECK(!options.flip || info.kind != ItemKind::kPoint, ExitCode::kUsage,
           "data.flip is on, but the data set holds points (they have no left and right). Set data.flip = false.");
  PL_ASSERT(!options.pixels || (info.kind == ItemKind::kImage && !options.dequantize));
  PL_CHECK(!options.flip || info.kind != ItemKind::kLatent || info.latents.flips == 2, ExitCode::kUsage,
           "data.flip is on, but the data set holds no latents of the mirror images (", info.description,
           "; a mirrored latent is not the latent of the mirrored picture). Encode them with `pathline data encode "
           "--flips`, or set data.flip = false.");
  PL_CHECK(!options.flip || info.kind != ItemKind::kLatent || !options.starts, ExitCode::kUsage,
           "data.flip is on, but latents' starts belong to one of the two flips. Set data.flip = false.");
  PL_CHECK(!options.dequantize || info.kind == ItemKind::kImage, ExitCode::kUsage,
           "data.dequantize is on, but the data set holds no images (only they are levels of 8 bits). Leave it out.");
  PL_ASSERT(!options.starts || source.has_starts());
  PL_ASSERT(!options.texts || info.null_text != nullptr);
  PL_ASSERT(options.first >= 0 && options.first <= options.last && options.last <= options.batch);
}

// A read that takes longer than this waits for storage: calls, and bytes a second, of a page cache that is in no hurry.
constexpr double kUsualSeconds = 20e-6, kUsualRate = 5e8;

// Of a batch: with the others that are ahead, more is out of the caches before it is used.
constexpr std::size_t kCachedBytes = std::size_t{8} << 20;

/// One prepared batch, or why there is none.
struct Slot {
  std::optional<Batch> batch;
  std::exception_ptr failure;
  bool ready() const { return batch.has_value() || failure; }
};

}  // namespace

struct Loader::Impl {
  Impl(const ShardSource& source, Order order, LoaderOptions options)
      : source(source), order(std::move(order)), options(options), slots(static_cast<std::size_t>(options.depth)) {}

  ~Impl() {
    {
      const std::lock_guard lock(mutex);
      stopping = true;
    }
    changed.notify_all();
    for (std::thread& thread : threads) thread.join();
  }

  void run();
  void prepare(std::uint64_t number, Batch& batch);
  void decode_ahead(std::uint64_t number) const;
  void clear(Batch& batch, std::size_t count) const;
  void read_sample(Batch& batch, std::int64_t sample, std::size_t i) const;
  Slot& slot(std::uint64_t number) { return slots[number % slots.size()]; }

  const ShardSource& source;
  const Order order;
  const LoaderOptions options;

  std::mutex mutex;
  std::condition_variable changed;
  std::atomic<bool> stopping = false;    // set under the mutex, looked at without it between items
  std::uint64_t started = 0;             // batches that a thread has taken on
  std::uint64_t delivered = 0;           // batches that next() has returned
  std::vector<Slot> slots;               // batch k lies in slot k mod depth
  std::vector<Batch> spare;              // memory of batches that are done with
  std::atomic<bool> reads_wait = false;  // the storage is slow: it is told ahead what will be read
  std::vector<std::thread> threads;
};

// Each thread prepares whole parts; a part may be started while fewer than `depth` lie between it and the reader.
void Loader::Impl::run() {
  std::unique_lock lock(mutex);
  while (true) {
    changed.wait(lock, [&] { return stopping || started < delivered + slots.size(); });
    if (stopping) return;
    const std::uint64_t number = started++;
    Slot done;
    done.batch.emplace();
    if (!spare.empty()) {
      done.batch = std::move(spare.back());
      spare.pop_back();
    }
    lock.unlock();
    try {
      prepare(number, *done.batch);
    } catch (...) {
      done.failure = std::current_exception();
    }
    lock.lock();
    slot(number) = std::move(done);
    changed.notify_all();
    if (!options.ahead) continue;
    lock.unlock();
    decode_ahead(number);
    lock.lock();
  }
}

/// `batch` with room for `count` samples and nothing else; its memory stays.
void Loader::Impl::clear(Batch& batch, std::size_t count) const {
  const SetInfo& info = source.info();
  batch.samples.resize(count);
  batch.labels.resize(count);
  batch.values.resize(options.pixels ? 0 : count * info.item_values());
  batch.pixels.resize(options.pixels ? count * info.item_bytes() : 0);
  batch.mirrored.resize(options.pixels ? count : 0);
  batch.starts.resize(options.starts ? count * info.item_values() : 0);
  batch.texts.resize(options.texts ? count * info.text.values() : 0);
  batch.noise.clear();
}

// In the order of the file, which is what storage that is slow to seek, and chunks that are shared, want.
void Loader::Impl::prepare(std::uint64_t number, Batch& batch) {
  const auto count = static_cast<std::size_t>(options.last - options.first);
  batch.position = options.start + number * static_cast<std::uint64_t>(options.batch);
  batch.first = batch.position + static_cast<std::uint64_t>(options.first);
  clear(batch, count);
  std::vector<std::pair<std::int64_t, std::size_t>> reads(count);  // (sample, place in the batch)
  order(batch.first, batch.samples);
  for (std::size_t i = 0; i < count; ++i) reads[i] = {batch.samples[i], i};
  std::ranges::sort(reads);
  for (const auto& [sample, i] : reads) batch.labels[i] = source.label(sample);  // far apart: fetched together
  if (reads_wait) {
    for (const auto& read : reads) source.will_read(read.first);
  }
  const double start = core::monotonic_seconds();
  for (const auto& [sample, i] : reads) {
    if (stopping) return;
    read_sample(batch, sample, i);
  }
  const double usual =
      static_cast<double>(count) * (kUsualSeconds + static_cast<double>(source.info().item_bytes()) / kUsualRate);
  reads_wait = core::monotonic_seconds() - start > usual;
}

/// Decodes what later batches need. Failures are those of whoever reads it.
void Loader::Impl::decode_ahead(std::uint64_t number) const try {
  const std::uint64_t position = options.start + number * static_cast<std::uint64_t>(options.batch);
  std::vector<std::int64_t> soon(static_cast<std::size_t>(options.last - options.first));
  options.ahead(position + static_cast<std::uint64_t>(options.first), soon);
  for (const std::int64_t sample : soon) {
    if (sample >= 0 && !stopping) source.decode_now(sample);
  }
} catch (const std::exception&) {
}

void Loader::Impl::read_sample(Batch& batch, std::int64_t sample, std::size_t i) const {
  const SetInfo& info = source.info();
  const std::size_t values = info.item_values(), text = info.text.values();
  thread_local std::vector<std::byte> item;
  thread_local std::vector<float> start;
  const std::uint64_t position = batch.first + i;
  const bool mirrored = options.flip && (core::Draws(options.seed, position, core::Purpose::kFlip).bits(0) & 1) != 0;
  if (options.pixels) {
    source.read(sample, std::span(batch.pixels).subspan(i * info.item_bytes(), info.item_bytes()));
    batch.mirrored[i] = mirrored;
  } else {
    item.resize(info.item_bytes());
    source.read(sample, item);
    const core::Draws draw(options.seed, position, core::Purpose::kLatent);
    const std::span out = std::span(batch.values).subspan(i * values, values);
    to_values(info, item, mirrored, out, &draw, batch.values.size() * sizeof(float) > kCachedBytes);
    if (options.dequantize) dequantize({options.seed, position, core::Purpose::kDequantize}, out);
  }
  if (options.texts) source.read_text(sample, std::span(batch.texts).subspan(i * text, text));
  if (!options.starts) return;
  start.resize(values);
  source.read_start(sample, start);
  start_to_values(info, start, mirrored, std::span(batch.starts).subspan(i * values, values));
}

Order one_by_one(std::function<std::int64_t(std::uint64_t position)> sample) {
  return [sample = std::move(sample)](std::uint64_t first, std::span<std::int64_t> samples) {
    for (std::size_t i = 0; i < samples.size(); ++i) samples[i] = sample(first + i);
  };
}

Loader::Loader(const ShardSource& source, Order order, LoaderOptions options) {
  check(source, options);
  impl_ = std::make_unique<Impl>(source, std::move(order), options);
  for (int i = 0; i < options.threads; ++i) impl_->threads.emplace_back([impl = impl_.get()] { impl->run(); });
}

Loader::~Loader() = default;

Batch Loader::next() {
  const double start = core::monotonic_seconds();
  std::unique_lock lock(impl_->mutex);
  Slot& slot = impl_->slot(impl_->delivered);
  impl_->changed.wait(lock, [&] { return slot.ready(); });
  if (slot.failure) std::rethrow_exception(slot.failure);  // and again next time: there is no batch to go on with
  Batch batch = std::move(*slot.batch);
  slot.batch.reset();
  ++impl_->delivered;
  lock.unlock();
  impl_->changed.notify_all();
  batch.waited_seconds = core::monotonic_seconds() - start;
  return batch;
}

void Loader::give_back(Batch batch) {
  const std::lock_guard lock(impl_->mutex);
  if (impl_->spare.size() < impl_->slots.size()) impl_->spare.push_back(std::move(batch));
}

void to_values(const SetInfo& info, std::span<const std::byte> item, bool mirrored, std::span<float> out,
               const core::Draws* draw, bool past_caches) {
  PL_ASSERT(item.size() == info.item_bytes() && out.size() == info.item_values());
  if (info.kind == ItemKind::kLatent) return latent_to_values(info, item, mirrored, draw, out);
  if (info.kind == ItemKind::kPoint) {
    std::memcpy(out.data(), item.data(), item.size());
    return;
  }
  pixels_to_values(item, info.height, info.width, info.channels, mirrored, out, past_caches);
}

void start_to_values(const SetInfo& info, std::span<const float> start, bool mirrored, std::span<float> out) {
  PL_ASSERT(start.size() == info.item_values() && out.size() == info.item_values());
  const std::size_t width = static_cast<std::size_t>(info.width), channels = static_cast<std::size_t>(info.channels);
  const std::size_t places = start.size() / channels;  // (height, width, channels) -> (channels, height, width)
  for (std::size_t place = 0; place < places; ++place) {
    const std::size_t x = place % width, from = mirrored ? place - x + width - 1 - x : place;
    for (std::size_t c = 0; c < channels; ++c) out[c * places + place] = start[from * channels + c];
  }
}

}  // namespace pathline::data
