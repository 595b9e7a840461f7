// SPDX-License-Identifier: Apache-2.0
#include "apps/encode/encoded_text.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "core/error.h"
#include "core/file_system.h"
#include "core/progress.h"
#include "data/file_descriptor.h"
#include "data/hdf5.h"
#include "data/image_store_writer.h"
#include "data/item_reader.h"
#include "data/shard_source.h"
#include "data/temporary_name.h"

namespace pathline::apps {
namespace {

using core::ExitCode;
namespace hdf5 = data::hdf5;

/// One prompt, or several: tokens (N, T, W) and the whole (N, P), fp32.
struct Embeddings {
  at::Tensor text, pooled;
};

std::span<const float> numbers(const at::Tensor& values) {
  return {values.const_data_ptr<float>(), static_cast<std::size_t>(values.numel())};
}

/// /tokens of the input, encoded a few at a time.
class Prompts {
 public:
  Prompts(const sampler::TorchScript& encoder, const TextEncoding& encoding, const hdf5::File& file)
      : encoder_(encoder),
        batch_(encoding.batch),
        tokens_(integers_in(file, "/tokens", 2)),
        null_(integers_in(file, "/null_tokens", 1)) {
    PL_CHECK(null_.shape()[0] == length(), ExitCode::kInput, file.path(), " has ", tokens_.describe(), " and ",
             null_.describe(), " (the empty prompt is as long as the others). Tokenize it in the same way.");
    empty_ = encoded(null_, 0, length());
  }

  std::int64_t count() const { return tokens_.shape()[0]; }
  const Embeddings& empty() const { return empty_; }

  /// take(first, embeddings) for all prompts in turn.
  void each(const std::function<void(std::int64_t, const Embeddings&)>& take) const {
    core::Progress progress("encode", count(), "prompts");
    for (std::int64_t first = 0; first < count(); first += batch_) {
      const std::int64_t rows = std::min(batch_, count() - first);
      take(first, encoded(tokens_, first, rows));
      progress.update(first + rows);
    }
    progress.finish();
  }

 private:
  static hdf5::DataSet integers_in(const hdf5::File& file, const std::string& name, std::size_t dimensions) {
    PL_CHECK(file.has(name), ExitCode::kInput, file.path(), " holds no ", name,
             " (token ids of the prompts, and of the empty one, are encoded). Put /tokens (count, length) and "
             "/null_tokens (length) there, int32.");
    hdf5::DataSet set = file.data_set(name);
    PL_CHECK(set.is_integer() && set.shape().size() == dimensions && set.elements() > 0, ExitCode::kInput, file.path(),
             " has ", set.describe(), " where token ids belong: whole numbers, ",
             dimensions == 2 ? "(count, length)." : "(length).");
    data::check_inside(file, set);
    return set;
  }

  std::int64_t length() const { return tokens_.shape()[1]; }

  /// Rows [first, first + rows) of `set`; of the one-dimensional one its numbers are one prompt.
  Embeddings encoded(const hdf5::DataSet& set, std::int64_t first, std::int64_t rows) const {
    const std::int64_t prompts = set.shape().size() == 1 ? 1 : rows;
    const at::Tensor ids = at::empty({prompts, length()}, at::kLong);
    set.read(first, rows, hdf5::Element::kInt64,
             {static_cast<std::byte*>(ids.mutable_data_ptr()), static_cast<std::size_t>(ids.nbytes())});
    const auto [text, pooled] = encoder_.forward_pair(ids);
    const bool fits = text.dim() == 3 && pooled.dim() == 2 && text.size(0) == prompts && pooled.size(0) == prompts &&
                      text.numel() > 0 && pooled.numel() > 0;
    PL_CHECK(fits, ExitCode::kInput, "the encoder makes tensors of shapes ", text.sizes(), " and ", pooled.sizes(),
             " of token ids ", ids.sizes(), " (it must give (N, T, W), a row for every token, and (N, P), the whole).");
    return {text.to(at::kFloat).contiguous(), pooled.to(at::kFloat).contiguous()};
  }

  const sampler::TorchScript& encoder_;
  const std::int64_t batch_;
  hdf5::DataSet tokens_, null_;
  Embeddings empty_;
};

using WriteBlock = std::function<void(const std::string& name, std::vector<std::int64_t> shape, const at::Tensor&)>;

/// /null_text and /null_pooled.
void write_empty(const Embeddings& empty, const WriteBlock& write) {
  write("null_text", {empty.text.size(1), empty.text.size(2)}, empty.text);
  write("null_pooled", {empty.pooled.size(1)}, empty.pooled);
}

/// Items and labels as they are, and what describes them.
void write_described(const Prompts& prompts, const TextEncoding& encoding) {
  const auto source = data::open_source({encoding.input});
  const data::SetInfo& info = source->info();
  PL_CHECK(info.count == prompts.count(), ExitCode::kInput, encoding.input, " has ", prompts.count(), " /tokens for ",
           info.count, " items (each is described by its own). Tokenize them again.");
  data::ImageStoreWriter writer(encoding.output, info, "pathline data encode");
  std::vector<std::byte> item(info.item_bytes());
  for (std::int64_t i = 0; i < info.count; ++i) {
    source->read(i, item);
    writer.append(item, source->label(i));
  }
  const Embeddings& empty = prompts.empty();
  const auto text = writer.open_floats("text_embeddings", {empty.text.size(1), empty.text.size(2)});
  const auto pooled = writer.open_floats("text_pooled", {empty.pooled.size(1)});
  prompts.each([&](std::int64_t first, const Embeddings& some) {
    for (std::int64_t i = 0; i < some.text.size(0); ++i) {
      text(first + i, std::as_bytes(numbers(some.text[i])));
      pooled(first + i, std::as_bytes(numbers(some.pooled[i])));
    }
  });
  write_empty(empty, [&](const std::string& name, const std::vector<std::int64_t>& shape, const at::Tensor& values) {
    writer.add_block(name, shape, numbers(values));
  });
  writer.finish();
}

/// What `pathline sample --text` takes.
void write_prompts(const Prompts& prompts, const std::string& path) {
  const Embeddings& empty = prompts.empty();
  const std::int64_t count = prompts.count();
  const at::Tensor text = at::empty({count, empty.text.size(1), empty.text.size(2)}, at::kFloat);
  const at::Tensor pooled = at::empty({count, empty.pooled.size(1)}, at::kFloat);
  prompts.each([&](std::int64_t first, const Embeddings& some) {
    text.narrow(0, first, some.text.size(0)).copy_(some.text);
    pooled.narrow(0, first, some.text.size(0)).copy_(some.pooled);
  });
  data::remove_abandoned(path);
  const std::string temporary = data::temporary_name(path);
  hdf5::File file = hdf5::File::create(temporary);
  const WriteBlock write = [&](const std::string& name, const std::vector<std::int64_t>& shape,
                               const at::Tensor& values) {
    file.create_data_set("/" + name, hdf5::Element::kFloat32, shape).write(std::as_bytes(numbers(values)));
  };
  write("text_embeddings", text.sizes().vec(), text);
  write("text_pooled", pooled.sizes().vec(), pooled);
  write_empty(empty, write);
  file.set_text("/", "format", "pathline-prompts");
  file.set_integer("/", "version", 1);
  file.close();
  data::FileDescriptor(temporary, data::FileDescriptor::Access::kWrite).sync();
  core::PosixFileSystem files;
  files.rename(temporary, path);
  files.sync_directory(core::parent_of(path));
}

}  // namespace

std::int64_t encode_text(const sampler::TorchScript& encoder, const TextEncoding& encoding) {
  PL_CHECK(encoding.batch > 0, ExitCode::kUsage, "--batch is ", encoding.batch, "; it must be at least 1.");
  PL_CHECK(encoding.input != encoding.output, ExitCode::kUsage, "--output ", encoding.output,
           " is the set that is read. Give another name.");
  const hdf5::File file = hdf5::File::open(encoding.input);
  const Prompts prompts(encoder, encoding, file);
  if (file.data_sets().size() > 2) {
    write_described(prompts, encoding);
  } else {
    write_prompts(prompts, encoding.output);
  }
  return prompts.count();
}

}  // namespace pathline::apps
