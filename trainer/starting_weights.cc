// SPDX-License-Identifier: Apache-2.0
#include "trainer/starting_weights.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <span>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "core/error.h"
#include "model/weights.h"

namespace pathline::trainer {
namespace {

bool is_file(const std::string& init) { return init.ends_with(".safetensors"); }

void load_from_checkpoint(core::FileSystem& files, const std::string& path, const std::string& kind,
                          model::Module& model, model::MissingWeights missing) {
  const checkpoint::Reader reader(files, checkpoint::resolve(files, path));
  PL_CHECK(reader.has_kind(kind), core::ExitCode::kUsage, reader.directory(), " has no \"", kind,
           "\" (model.init asks for it). `pathline checkpoint show` lists what it has.");
  std::vector<model::StoredTensor> stored;
  for (const checkpoint::TensorRecord& record : reader.tensors()) {
    if (record.kind != kind) continue;
    stored.push_back({record.name, record.shape, [&reader, &record] {
                        PL_ASSERT(record.dtype == "F32");
                        at::Tensor tensor = at::empty(record.shape, at::kFloat);
                        const std::span values(tensor.mutable_data_ptr<float>(),
                                               static_cast<std::size_t>(tensor.numel()));
                        reader.read(record.kind, record.name, 0, values.size(), std::as_writable_bytes(values));
                        return tensor;
                      }});
  }
  model::load_tensors(stored, reader.directory() + " (" + kind + ")", model, missing);
}

}  // namespace

void load_starting_weights(core::FileSystem& files, const model::ModelOptions& options, model::Module& model) {
  const std::string& init = options.init;
  if (init.empty()) return;
  const auto missing = options.init_missing == "zero" ? model::MissingWeights::kZero : model::MissingWeights::kError;
  if (is_file(init)) {
    model::load_weights(files, init, model, missing);
    return;
  }
  const auto colon = init.rfind(':');
  const std::string kind = colon == std::string::npos ? "master" : init.substr(colon + 1);
  load_from_checkpoint(files, init.substr(0, colon), kind, model, missing);
}

std::string pinned_init(core::FileSystem& files, const std::string& init) {
  if (init.empty() || is_file(init)) return init;
  const auto end = std::min(init.rfind(':'), init.size());
  return checkpoint::resolve(files, init.substr(0, end)) + init.substr(end);
}

}  // namespace pathline::trainer
