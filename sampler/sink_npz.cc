// SPDX-License-Identifier: Apache-2.0
// NumPy archives as evaluation scripts read them: arr_0 uint8 (N, H, W, C) or float32 (N, D), arr_1 int64 (N) labels.
#include <span>

#include "data/npz.h"
#include "sampler/ordered_sink.h"

namespace pathline::sampler {
namespace {

class NpzSink final : public OrderedSink {
 public:
  explicit NpzSink(const SinkOptions& options) : OrderedSink(options), writer_(files_, options.path) {
    std::vector<std::int64_t> shape = options.sample_shape;
    if (!points()) shape = {shape[1], shape[2], shape[0]};
    shape.insert(shape.begin(), options.count);
    writer_.begin("arr_0", points() ? "f4" : "u1", shape);
  }

 private:
  void append(const Record& record) override {
    writer_.append(record.item);
    labels_.push_back(record.label);
  }

  void commit() override {
    if (options().labelled) {
      writer_.begin("arr_1", "i8", {options().count});
      writer_.append(std::as_bytes(std::span(labels_)));
    }
    writer_.finish();
  }

  core::PosixFileSystem files_;
  data::NpzWriter writer_;
  std::vector<std::int64_t> labels_;
};

}  // namespace

std::unique_ptr<Sink> make_npz_sink(const SinkOptions& options) { return std::make_unique<NpzSink>(options); }

}  // namespace pathline::sampler
