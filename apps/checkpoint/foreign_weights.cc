// SPDX-License-Identifier: Apache-2.0
#include "apps/checkpoint/foreign_weights.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <span>
#include <vector>

#include "core/error.h"
#include "core/safetensors.h"
#include "core/text.h"

namespace pathline::apps {
namespace {

using core::ExitCode;

/// REPA and SD3 count time from the data and predict noise - data, the velocity along it.
const std::map<std::string, Convention> kConventions = {{"sit", {"flow", "", false}},
                                                        {"torchcfm", {"flow", "", false}},
                                                        {"lightningdit", {"flow", "", false}},
                                                        {"repa", {"flow-reversed", "", true}},
                                                        {"sd3", {"x1000", "model.diffusion_model.", true}},
                                                        {"dit", {"ddpm999", "", false}},
                                                        {"adm", {"ddpm999", "", false}}};

struct Taken {
  core::TensorEntry entry;
  std::string name;
};

std::vector<Taken> taken_from(const core::SafetensorsHeader& header, const std::string& prefix) {
  const bool prefixed = !prefix.empty() && std::ranges::any_of(header.tensors, [&](const auto& entry) {
    return entry.name.starts_with(prefix);
  });
  std::vector<Taken> tensors;
  for (const core::TensorEntry& entry : header.tensors) {
    if (prefixed && !entry.name.starts_with(prefix)) continue;  // an autoencoder, text encoders
    tensors.push_back({entry, prefixed ? entry.name.substr(prefix.size()) : entry.name});
  }
  return tensors;
}

/// The sign is the highest bit of little-endian numbers.
void negate(const std::string& dtype, std::span<std::byte> bytes) {
  const std::uint64_t size = core::dtype_size(dtype);
  for (std::size_t i = size - 1; i < bytes.size(); i += size) bytes[i] ^= std::byte{0x80};
}

void check_float(const std::string& path, const Taken& tensor) {
  const std::string& dtype = tensor.entry.dtype;
  PL_CHECK(dtype == "F32" || dtype == "F16" || dtype == "BF16" || dtype == "F64", ExitCode::kInput, path, ": ",
           tensor.name, " has type ", dtype,
           " (its sign is to change). Convert the file with scripts/convert_weights.py.");
}

}  // namespace

Convention convention_of(const std::string& from) {
  std::vector<std::string> known;
  for (const auto& [name, convention] : kConventions) known.push_back(name);
  const auto found = kConventions.find(from);
  PL_CHECK(found != kConventions.end(), ExitCode::kUsage, "--from ", from, " is unknown; known are ",
           core::listed(known), ". Did you mean ", core::nearest_name(from, known),
           "? Leave it out for weights that Pathline exported.");
  return found->second;
}

void copy_weights(core::FileSystem& files, const std::string& from, const std::string& to,
                  const Convention& convention) {
  const core::SafetensorsHeader header = core::read_safetensors_header(files, from);
  const std::vector<Taken> tensors = taken_from(header, convention.prefix);
  std::uint64_t largest = 0;
  for (const Taken& tensor : tensors) largest = std::max(largest, tensor.entry.end - tensor.entry.begin);
  std::vector<std::byte> buffer(largest);
  const auto bytes_of = [&](const Taken& tensor) {
    return std::span(buffer).first(tensor.entry.end - tensor.entry.begin);
  };
  std::vector<core::TensorBytes> entries;  // for the header, which looks at lengths only
  for (const Taken& t : tensors) entries.push_back({t.name, t.entry.dtype, t.entry.shape, bytes_of(t)});
  const std::string start = core::safetensors_header(entries, header.metadata);
  core::replace_file(files, to, [&](core::WritableFile& file) {
    file.append(std::as_bytes(std::span(start)));
    for (const Taken& tensor : tensors) {
      const std::span<std::byte> bytes = bytes_of(tensor);
      files.read(from, tensor.entry.begin, bytes);
      if (convention.from_data && tensor.name.starts_with("final_layer.linear.")) {
        check_float(from, tensor);
        negate(tensor.entry.dtype, bytes);
      }
      file.append(bytes);
    }
  });
}

}  // namespace pathline::apps
