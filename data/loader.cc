// SPDX-License-Identifier: Apache-2.0
#include "data/loader.h"

#include <atomic>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>

#include "core/error.h"
#include "core/progress.h"
#include "core/random.h"

namespace pathline::data {

namespace {

void check(const ShardSource& source, const LoaderOptions& options) {
  using core::ExitCode;
  const SetInfo& info = source.info();
  PL_CHECK(info.count > 0, ExitCode::kInput, "the data set is empty (", info.description, "). Give one with samples.");
  PL_CHECK(options.batch > 0, ExitCode::kUsage, "batch = ", options.batch, " must be at least 1.");
  PL_CHECK(options.threads > 0 && options.depth > 0, ExitCode::kUsage, "the loader needs at least one thread and one ",
           "batch ahead, not ", options.threads, " and ", options.depth, ".");
  PL_CHECK(!options.flip || info.kind == ItemKind::kImage, ExitCode::kUsage,
           "data.flip is on, but the data set holds points (they have no left and right). Set data.flip = false.");
  PL_ASSERT(!options.starts || source.has_starts());
  PL_ASSERT(!options.texts || info.null_text != nullptr);
  PL_ASSERT(options.first >= 0 && options.first <= options.last && options.last <= options.batch);
}

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

  void run();
  Batch prepare(std::uint64_t number) const;
  Slot& slot(std::uint64_t number) { return slots[number % slots.size()]; }

  const ShardSource& source;
  const Order order;
  const LoaderOptions options;

  std::mutex mutex;
  std::condition_variable changed;
  std::atomic<bool> stopping = false;  // set under the mutex, looked at without it between items
  std::uint64_t started = 0;           // batches that a thread has taken on
  std::uint64_t delivered = 0;         // batches that next() has returned
  std::vector<Slot> slots;             // batch k lies in slot k mod depth
  std::vector<std::thread> threads;
};

// Each thread prepares whole parts; a part may be started while fewer than `depth` lie between it and the reader.
void Loader::Impl::run() {
  std::unique_lock lock(mutex);
  while (true) {
    changed.wait(lock, [&] { return stopping || started < delivered + slots.size(); });
    if (stopping) return;
    const std::uint64_t number = started++;
    lock.unlock();
    Slot done;
    try {
      done.batch = prepare(number);
    } catch (...) {
      done.failure = std::current_exception();
    }
    lock.lock();
    slot(number) = std::move(done);
    changed.notify_all();
  }
}

Batch Loader::Impl::prepare(std::uint64_t number) const {
  const SetInfo& info = source.info();
  Batch batch;
  batch.position = options.start + number * static_cast<std::uint64_t>(options.batch);
  batch.first = batch.position + static_cast<std::uint64_t>(options.first);
  const std::size_t count = static_cast<std::size_t>(options.last - options.first);
  batch.values.resize(count * info.item_values());  // (n, channels, height, width)
  std::vector<std::byte> item(info.item_bytes());
  std::vector<float> start(options.starts ? info.item_values() : 0);
  batch.starts.resize(count * start.size());
  const std::size_t text = options.texts ? info.text.values() : 0;
  batch.texts.resize(count * text);
  for (std::size_t i = 0; i < count && !stopping; ++i) {
    const std::uint64_t position = batch.first + i;
    const std::int64_t sample = order(position);
    source.read(sample, item);
    batch.samples.push_back(sample);
    batch.labels.push_back(source.label(sample));
    const bool mirrored = options.flip && (core::Draws(options.seed, position, core::Purpose::kFlip).bits(0) & 1) != 0;
    to_values(info, item, mirrored, std::span(batch.values).subspan(i * info.item_values(), info.item_values()));
    if (options.texts) source.read_text(sample, std::span(batch.texts).subspan(i * text, text));
    if (!options.starts) continue;
    source.read_start(sample, start);
    start_to_values(info, start, mirrored, std::span(batch.starts).subspan(i * start.size(), start.size()));
  }
  return batch;
}

Loader::Loader(const ShardSource& source, Order order, LoaderOptions options) {
  check(source, options);
  impl_ = std::make_unique<Impl>(source, std::move(order), options);
  for (int i = 0; i < options.threads; ++i) impl_->threads.emplace_back([impl = impl_.get()] { impl->run(); });
}

Loader::~Loader() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->changed.notify_all();
  for (std::thread& thread : impl_->threads) thread.join();
}

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

void to_values(const SetInfo& info, std::span<const std::byte> item, bool mirrored, std::span<float> out) {
  PL_ASSERT(item.size() == info.item_bytes() && out.size() == info.item_values());
  if (info.kind == ItemKind::kPoint) {
    std::memcpy(out.data(), item.data(), item.size());
    return;
  }
  constexpr float kScale = 1 / 127.5f;
  const std::size_t height = static_cast<std::size_t>(info.height), width = static_cast<std::size_t>(info.width);
  const std::size_t channels = static_cast<std::size_t>(info.channels);
  for (std::size_t c = 0; c < channels; ++c) {
    for (std::size_t y = 0; y < height; ++y) {
      const std::byte* row = item.data() + y * width * channels + c;  // item is (height, width, channels)
      float* to = out.data() + (c * height + y) * width;              // out is (channels, height, width)
      for (std::size_t x = 0; x < width; ++x) {
        const std::size_t from = mirrored ? width - 1 - x : x;
        to[x] = static_cast<float>(row[from * channels]) * kScale - 1;
      }
    }
  }
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
