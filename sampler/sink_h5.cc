// SPDX-License-Identifier: Apache-2.0
// Image stores (docs/formats/image-store.md) with a column each for id, seed, evaluations and status: a generated set
// is a training set.
#include <span>

#include "data/image_store_writer.h"
#include "sampler/ordered_sink.h"

namespace pathline::sampler {
namespace {

data::SetInfo set_info(const SinkOptions& options) {
  const std::vector<std::int64_t>& shape = options.sample_shape;
  data::SetInfo info;
  info.kind = shape.size() == 1 ? data::ItemKind::kPoint : data::ItemKind::kImage;
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

class H5Sink final : public OrderedSink {
 public:
  explicit H5Sink(const SinkOptions& options)
      : OrderedSink(options), writer_(options.path, set_info(options), "pathline sample") {}

 private:
  void append(const Record& record) override {
    writer_.append(record.item, record.label);
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
    writer_.add_attribute("generated_by", options().description);
    writer_.finish();
  }

  void add_starts() {
    const std::vector<std::int64_t>& shape = options().sample_shape;
    writer_.add_floats("x0", points() ? shape : std::vector<std::int64_t>{shape[1], shape[2], shape[0]},
                       [&](std::int64_t index) { return options().start_of(options().first + index); });
  }

  data::ImageStoreWriter writer_;
  std::vector<std::int64_t> ids_;
  std::vector<std::int32_t> nfe_;
  std::vector<std::uint8_t> status_;
};

}  // namespace

std::unique_ptr<Sink> make_h5_sink(const SinkOptions& options) { return std::make_unique<H5Sink>(options); }

}  // namespace pathline::sampler
