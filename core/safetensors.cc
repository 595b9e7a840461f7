// SPDX-License-Identifier: Apache-2.0
// Foreign bytes: every number is checked before it is used, and what is not understood is refused.
#include "core/safetensors.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>
#include <utility>

#include "core/error.h"

namespace pathline::core {
namespace {

using Json = nlohmann::json;

constexpr std::uint64_t kLengthField = 8;
constexpr std::uint64_t kLargestHeader = 100'000'000;  // as the format's reference implementation
constexpr std::uint64_t kAlignment = 64;
constexpr int kDeepest = 4;  // root, tensor, shape or data_offsets, their numbers

[[noreturn]] void refuse(const std::string& path, const std::string& reason) {
  throw Error(ExitCode::kInput, concat(path, " is not a sound safetensors file: ", reason,
                                       " (its tensors cannot be trusted). Copy or export the file again."));
}

/// Parses strictly: no duplicate names, no deep nesting, no bytes after the object.
Json parse_strictly(std::string_view text, const std::string& path) {
  if (text.empty() || text.front() != '{') refuse(path, "its header does not begin with '{'");
  if (text.find('\0') != std::string_view::npos) refuse(path, "its header contains a zero byte");
  std::vector<std::set<std::string>> names;
  const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (depth > kDeepest) refuse(path, "its header is nested too deeply");
    if (event == Json::parse_event_t::object_start) names.emplace_back();
    if (event == Json::parse_event_t::object_end) names.pop_back();
    if (event == Json::parse_event_t::key && !names.back().insert(parsed.get<std::string>()).second) {
      refuse(path, concat("the name \"", parsed.get<std::string>(), "\" appears twice"));
    }
    return true;
  };
  try {
    return Json::parse(text, watch);
  } catch (const Json::exception& error) {
    refuse(path, concat("its header is not JSON: ", error.what()));
  }
}

std::uint64_t unsigned_number(const Json& value, const std::string& path, const std::string& what) {
  if (!value.is_number_unsigned()) refuse(path, what + " is not a whole number of at least 0");
  return value.get<std::uint64_t>();
}

/// Bytes of a tensor, or a refusal when the product does not fit.
std::uint64_t length_of(const TensorEntry& entry, const std::string& path) {
  std::uint64_t length = dtype_size(entry.dtype);
  for (const std::int64_t extent : entry.shape) {
    if (__builtin_mul_overflow(length, static_cast<std::uint64_t>(extent), &length)) {
      refuse(path, concat("the shape of tensor \"", entry.name, "\" is too large"));
    }
  }
  return length;
}

const Json& member(const Json& object, const char* name, const std::string& path, const std::string& tensor) {
  const auto found = object.find(name);
  if (found == object.end()) refuse(path, concat("tensor \"", tensor, "\" has no ", name));
  return *found;
}

TensorEntry parse_entry(const std::string& name, const Json& object, std::uint64_t data, const std::string& path) {
  const std::string of = concat(" of tensor \"", name, "\"");
  if (!object.is_object()) refuse(path, concat("the entry", of, " is not an object"));
  if (object.size() > 3) refuse(path, concat("the entry", of, " has unknown members"));
  TensorEntry entry;
  entry.name = name;
  const Json& dtype = member(object, "dtype", path, name);
  if (!dtype.is_string()) refuse(path, concat("the dtype", of, " is not a string"));
  entry.dtype = dtype.get<std::string>();
  const Json& shape = member(object, "shape", path, name);
  if (!shape.is_array()) refuse(path, concat("the shape", of, " is not a list"));
  for (const Json& extent : shape) {
    const std::uint64_t value = unsigned_number(extent, path, concat("an extent", of));
    if (value > static_cast<std::uint64_t>(INT64_MAX)) refuse(path, concat("an extent", of, " is too large"));
    entry.shape.push_back(static_cast<std::int64_t>(value));
  }
  const Json& offsets = member(object, "data_offsets", path, name);
  if (!offsets.is_array() || offsets.size() != 2) refuse(path, concat("data_offsets", of, " are not two numbers"));
  const std::uint64_t begin = unsigned_number(offsets[0], path, concat("an offset", of));
  const std::uint64_t end = unsigned_number(offsets[1], path, concat("an offset", of));
  std::uint64_t length = 0;
  try {
    length = length_of(entry, path);
  } catch (const Error& error) {
    refuse(path, concat("tensor \"", name, "\": ", error.what()));
  }
  if (begin > end || end - begin != length) {
    refuse(path,
           concat("tensor \"", name, "\" lies at ", begin, " to ", end, " but its shape needs ", length, " bytes"));
  }
  if (__builtin_add_overflow(begin, data, &entry.begin) || __builtin_add_overflow(end, data, &entry.end)) {
    refuse(path, concat("an offset", of, " is too large"));
  }
  return entry;
}

std::map<std::string, std::string> parse_metadata(const Json& object, const std::string& path) {
  if (!object.is_object()) refuse(path, "__metadata__ is not an object");
  std::map<std::string, std::string> metadata;
  for (const auto& [key, value] : object.items()) {
    if (!value.is_string()) refuse(path, concat("__metadata__ \"", key, "\" is not a string"));
    metadata[key] = value.get<std::string>();
  }
  return metadata;
}

void check_tiling(const SafetensorsHeader& header, std::uint64_t data, const std::string& path) {
  std::uint64_t expected = data;
  for (const TensorEntry& entry : header.tensors) {
    if (entry.begin != expected) {
      refuse(path, concat("tensor \"", entry.name, "\" begins at byte ", entry.begin, " where ", expected,
                          " was expected: tensors overlap or leave holes"));
    }
    expected = entry.end;
  }
  if (expected != header.file_size) {
    refuse(path, concat("its tensors end at byte ", expected, " but the file has ", header.file_size, " bytes"));
  }
}

std::uint64_t header_length(std::span<const std::byte> start, std::uint64_t file_size, const std::string& path) {
  if (start.size() < kLengthField || file_size < kLengthField) refuse(path, "it is shorter than 8 bytes");
  std::uint64_t length = 0;
  for (int i = 7; i >= 0; --i) length = length << 8 | std::to_integer<std::uint64_t>(start[i]);
  if (length > kLargestHeader) refuse(path, concat("its header would have ", length, " bytes, more than 100 MB"));
  if (length > file_size - kLengthField) refuse(path, concat("its header of ", length, " bytes is cut short"));
  return length;
}

}  // namespace

std::uint64_t dtype_size(const std::string& dtype) {
  static constexpr std::array<std::pair<std::string_view, std::uint64_t>, 16> kSizes{{{"BOOL", 1},
                                                                                      {"U8", 1},
                                                                                      {"I8", 1},
                                                                                      {"F8_E5M2", 1},
                                                                                      {"F8_E4M3", 1},
                                                                                      {"F8_E8M0", 1},
                                                                                      {"I16", 2},
                                                                                      {"U16", 2},
                                                                                      {"F16", 2},
                                                                                      {"BF16", 2},
                                                                                      {"I32", 4},
                                                                                      {"U32", 4},
                                                                                      {"F32", 4},
                                                                                      {"F64", 8},
                                                                                      {"I64", 8},
                                                                                      {"U64", 8}}};
  const auto found =
      std::find_if(kSizes.begin(), kSizes.end(), [&](const auto& known) { return known.first == dtype; });
  PL_CHECK(found != kSizes.end(), ExitCode::kInput, "the dtype \"", dtype,
           "\" is unknown (its bytes cannot be interpreted). Convert the tensor to F32, F16 or BF16.");
  return found->second;
}

SafetensorsHeader parse_safetensors_header(std::span<const std::byte> start_of_file, std::uint64_t file_size,
                                           const std::string& path) {
  const std::uint64_t length = header_length(start_of_file, file_size, path);
  if (start_of_file.size() < kLengthField + length) refuse(path, "its header is cut short");
  const std::string_view text(reinterpret_cast<const char*>(start_of_file.data()) + kLengthField, length);
  const std::uint64_t data = kLengthField + length;
  SafetensorsHeader header;
  header.file_size = file_size;
  const Json root = parse_strictly(text, path);
  for (const auto& [name, value] : root.items()) {
    if (name == "__metadata__") {
      header.metadata = parse_metadata(value, path);
    } else {
      header.tensors.push_back(parse_entry(name, value, data, path));
    }
  }
  std::sort(header.tensors.begin(), header.tensors.end(), [](const TensorEntry& a, const TensorEntry& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  check_tiling(header, data, path);
  return header;
}

SafetensorsHeader read_safetensors_header(FileSystem& files, const std::string& path) {
  const std::uint64_t file_size = files.size(path);
  std::vector<std::byte> start(std::min(file_size, kLengthField));
  files.read(path, 0, start);
  start.resize(kLengthField + header_length(start, file_size, path));
  files.read(path, 0, start);
  return parse_safetensors_header(start, file_size, path);
}

std::string safetensors_header(std::span<const TensorBytes> tensors,
                               const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json root = nlohmann::ordered_json::object();
  if (!metadata.empty()) root["__metadata__"] = metadata;
  std::uint64_t offset = 0;
  for (const TensorBytes& tensor : tensors) {
    PL_ASSERT(!root.contains(tensor.name) && tensor.name != "__metadata__");
    std::uint64_t length = dtype_size(tensor.dtype);
    for (const std::int64_t extent : tensor.shape) length *= static_cast<std::uint64_t>(extent);
    PL_ASSERT(length == tensor.bytes.size());
    root[tensor.name] = {{"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {offset, offset + length}}};
    offset += length;
  }
  std::string text = root.dump();
  text.append((kAlignment - (kLengthField + text.size()) % kAlignment) % kAlignment, ' ');
  std::string length_field;
  for (int i = 0; i < 8; ++i) length_field += static_cast<char>(text.size() >> (8 * i) & 0xff);
  return length_field + text;
}

void write_safetensors(WritableFile& file, std::span<const TensorBytes> tensors,
                       const std::map<std::string, std::string>& metadata) {
  const std::string header = safetensors_header(tensors, metadata);
  file.append(std::as_bytes(std::span(header)));
  for (const TensorBytes& tensor : tensors) file.append(tensor.bytes);
}

}  // namespace pathline::core
