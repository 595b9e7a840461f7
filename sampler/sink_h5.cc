// SPDX-License-Identifier: Apache-2.0
// Image stores (docs/formats/image-store.md) with a column each for id, seed, evaluations and status: a generated set
// is a training set.
#include <functional>
#include <span>

#include "data/image_store_writer.h"
#include "sampler/ordered_sink.h"

namespace pathline::sampler {
namespace {

data::SetInfo set_info(const SinkOptions& options) {
  const std::vector<std::int64_t>& shape = options.sample_shape;
  data::SetInfo info;
  info.kind = shape.size() == 1 ? data::ItemKind::kPoint : data::ItemKind::kImage;
  if (!options.latents.scale.empty()) info.kind = data::ItemKind::kLatent;
  info.latents = options.latents;
  info.count = options.count;
  info.channels = shape[0];
  if (shape.size() == 3) {
    info.height = shape[1];
    info.width = shape[2];
  }
  if (options.labelled) {
    info.classes = options.classes;
    info.class_names = options.class_names;
  }
  return info;
}

std::vector<std::int64_t> channels_last(const std::vector<std::int64_t>& shape) {
  return shape.size() == 1 ? shape : std::vector<std::int64_t>{shape[1], shape[2], shape[0]};
}

class H5Sink final : public OrderedSink {
 public:
  explicit H5Sink(const SinkOptions& options)
      : OrderedSink(options),
        item_bytes_(set_info(options).item_bytes()),
        writer_(options.path, set_info(options), "pathline sample") {
    if (options.encoded) write_states_ = writer_.open_floats("x0", channels_last(options.sample_shape));
    if (options.trajectory_times.empty()) return;
    std::vector<std::int64_t> shape = channels_last(options.trajectory_shape);
    shape.insert(shape.begin(), static_cast<std::int64_t>(options.trajectory_times.size()));
    write_states_ = writer_.open_floats("trajectory", shape);
    writer_.add_array("trajectory_times", options.trajectory_times);
  }

 private:
  void append(const Record& record) override {
    const std::span<const std::byte> item(record.item);
    writer_.append(item.first(item_bytes_), record.label);
    const auto states = item.subspan(item_bytes_);
    if (write_states_ && !states.empty()) write_states_(record.id - options().first, states);
    ids_.push_back(record.id);
    nfe_.push_back(static_cast<std::int32_t>(record.nfe));
    status_.push_back(static_cast<std::uint8_t>(record.status));
  }

  void commit() override {
    writer_.add_column("ids", std::span<const std::int64_t>(ids_));
    const std::vector<std::uint64_t> seeds(ids_.size(), options().seed);
    writer_.add_column("seeds", std::span<const std::uint64_t>(seeds));
    writer_.add_column("nfe", std::span<const std::int32_t>(nfe_));
    writer_.add_column("status", std::span<const std::uint8_t>(status_));
    if (options().start_of) add_starts();
    if (options().mask_of) add_masks();
    writer_.add_attribute("generated_by", options().description);
    writer_.finish();
  }

  void add_starts() {
    writer_.add_floats("x0", channels_last(options().sample_shape),
                       [&](std::int64_t index) { return options().start_of(options().first + index); });
  }

  void add_masks() {
    std::vector<std::int64_t> shape = options().sample_shape;
    if (shape.size() == 3) shape.erase(shape.begin());
    writer_.add_bytes("masks", shape, [&](std::int64_t index) { return options().mask_of(options().first + index); });
  }

  const std::size_t item_bytes_;
  data::ImageStoreWriter writer_;
  std::function<void(std::int64_t index, std::span<const std::byte> states)>
      write_states_;  // of the trajectory, or the encoded noise; those of failed samples stay zero
  std::vector<std::int64_t> ids_;
  std::vector<std::int32_t> nfe_;
  std::vector<std::uint8_t> status_;
};

}  // namespace

std::unique_ptr<Sink> make_h5_sink(const SinkOptions& options) { return std::make_unique<H5Sink>(options); }

}  // namespace pathline::sampler
