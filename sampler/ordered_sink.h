// SPDX-License-Identifier: Apache-2.0
// What all formats share: samples that come in any order are handed on in order of their ids, each once.
#pragma once

#include <map>
#include <memory>

#include "sampler/sink.h"

namespace pathline::sampler {

class OrderedSink : public Sink {
 public:
  explicit OrderedSink(const SinkOptions& options) : options_(options), next_(options.first) {}
  void put(Record&& record) final;
  void finish() final;

 protected:
  /// Samples of ids first, first + 1, ...
  virtual void append(const Record& record) = 0;
  /// All have been appended: the set gets its name.
  virtual void commit() = 0;

  const SinkOptions& options() const { return options_; }
  bool points() const { return options_.sample_shape.size() == 1; }
  /// "000123": as files and folders of the set are named. All names have the same length, so that sorting keeps the
  /// order.
  std::string id_text(std::int64_t id) const;

 private:
  const SinkOptions options_;
  std::int64_t next_;
  std::map<std::int64_t, Record> early_;  // samples whose turn has not come
};

std::unique_ptr<Sink> make_png_sink(const SinkOptions& options);
std::unique_ptr<Sink> make_npz_sink(const SinkOptions& options);
std::unique_ptr<Sink> make_h5_sink(const SinkOptions& options);
std::unique_ptr<Sink> make_tar_sink(const SinkOptions& options);
std::unique_ptr<Sink> make_folder_sink(const SinkOptions& options);

}  // namespace pathline::sampler
