// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <map>
#include <set>
#include <span>
#include <vector>

#include "apps/checkpoint/weights_file.h"
#include "core/error.h"
#include "core/safetensors.h"
#include "core/text.h"

namespace pathline::apps {
namespace {

using checkpoint::TensorRecord;
using core::ExitCode;

std::uint64_t elements_of(const TensorRecord& tensor) {
  std::uint64_t count = 1;
  for (const std::int64_t extent : tensor.shape) count *= static_cast<std::uint64_t>(extent);
  return count;
}

std::uint64_t bytes_of(const TensorRecord& tensor) { return elements_of(tensor) * core::dtype_size(tensor.dtype); }

/// The lines of [model], its title left out, in the recipe that a checkpoint carries.
std::string model_section(const std::string& recipe) {
  std::string section;
  bool inside = false;
  for (const auto& line : core::split(recipe, '\n')) {
    if (line.starts_with("[")) {
      inside = line.starts_with("[model]");
    } else if (inside && !line.empty()) {
      section += line + "\n";
    }
  }
  return section;
}

std::vector<TensorRecord> chosen(const checkpoint::Reader& reader, const std::string& kind) {
  std::vector<TensorRecord> tensors;
  std::set<std::string> names;
  for (const auto& tensor : reader.tensors()) {
    if (tensor.kind != kind && tensor.kind != "buffer") continue;
    PL_CHECK(names.insert(tensor.name).second, ExitCode::kInput, reader.directory(), " has ", tensor.name,
             " as a parameter and as a buffer; one file cannot hold both.");
    tensors.push_back(tensor);
  }
  return tensors;
}

}  // namespace

std::string kind_of_ema(const checkpoint::Reader& reader, const std::string& ema) {
  if (ema == "none") return "master";
  if (ema.empty()) {
    const auto& tensors = reader.tensors();
    const auto first =
        std::find_if(tensors.begin(), tensors.end(), [](const auto& t) { return t.kind.starts_with("ema-"); });
    return first == tensors.end() ? "master" : first->kind;
  }
  const std::string kind = "ema-" + ema;
  PL_CHECK(reader.has_kind(kind), ExitCode::kUsage, reader.directory(), " has no EMA with decay ", ema, "; it has ",
           core::listed(reader.kinds()), ". Give one of these decays, or --ema none for the weights themselves.");
  return kind;
}

void export_weights(core::FileSystem& files, const checkpoint::Reader& reader, const std::string& kind,
                    const std::string& path) {
  const auto tensors = chosen(reader, kind);
  std::uint64_t largest = 0;
  for (const auto& tensor : tensors) largest = std::max(largest, bytes_of(tensor));
  std::vector<std::byte> buffer(largest);
  std::vector<core::TensorBytes> entries;  // for the header, which looks at lengths only
  for (const auto& t : tensors) entries.push_back({t.name, t.dtype, t.shape, std::span(buffer).first(bytes_of(t))});
  const std::map<std::string, std::string> metadata = {{"format", "pt"},
                                                       {"pathline_model", model_section(reader.state().recipe)}};
  const std::string header = core::safetensors_header(entries, metadata);

  core::replace_file(files, path, [&](core::WritableFile& file) {
    file.append(std::as_bytes(std::span(header)));
    for (const auto& tensor : tensors) {
      const auto bytes = std::span(buffer).first(bytes_of(tensor));
      reader.read(tensor.kind, tensor.name, 0, elements_of(tensor), bytes);
      file.append(bytes);
    }
  });
}

}  // namespace pathline::apps
