// SPDX-License-Identifier: Apache-2.0
// The manifest as text and back. What is read is foreign: every number is checked before it is used.
#include "checkpoint/manifest.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <span>
#include <stdexcept>

#include "core/crc32c.h"
#include "core/error.h"

namespace pathline::checkpoint {
namespace {

using core::ExitCode;
using nlohmann::json;

constexpr std::string_view kTailStart = "\"crc32c\": \"";
constexpr std::string_view kTailEnd = "\"}\n";
constexpr std::size_t kTailBytes = kTailStart.size() + 8 + kTailEnd.size();

std::string tail_of(std::string_view body) {
  return core::concat(kTailStart, core::crc32c_digits(std::as_bytes(std::span(body))), kTailEnd);
}

// Writing.

json metric(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  return value;
}

/// Names of classes come from elsewhere: one that is no UTF-8 must not cost a checkpoint.
void member(std::string& text, const std::string& key, const json& value) {
  text += json(key).dump() + ": " + value.dump(-1, ' ', false, json::error_handler_t::replace) + ",\n";
}

/// An array with one row a line, for people with a pager.
void rows(std::string& text, const std::string& key, const std::vector<json>& values) {
  text += json(key).dump() + ": [";
  for (std::size_t i = 0; i < values.size(); ++i) text += (i ? ",\n " : "\n ") + values[i].dump();
  text += "],\n";
}

void write_state(std::string& text, const State& state) {
  member(text, "step", state.step);
  member(text, "position", state.position);
  member(text, "optimizer_step", state.optimizer_step);
  member(text, "seed", state.seed);
  member(text, "skips_in_a_row", state.skips_in_a_row);
  member(text, "rollbacks_in_a_row", state.rollbacks_in_a_row);
  member(text, "saved_at", state.saved_at);
  member(text, "skipped_windows", state.skipped_windows);
  member(text, "recipe", state.recipe);
  member(text, "kernel_fingerprint", state.kernel_fingerprint);
  member(text, "data_fingerprint", state.data_fingerprint);
  json metrics = json::object();
  for (const auto& [name, value] : state.metrics) metrics[name] = metric(value);
  member(text, "metrics", metrics);
  member(text, "versions", json(state.versions));
  member(text, "extra", json(state.extra));
}

void write_tables(std::string& text, const Manifest& manifest) {
  std::vector<json> tensors, segments, files;
  for (const auto& t : manifest.tensors) tensors.push_back({t.kind, t.name, t.dtype, t.shape});
  for (const auto& s : manifest.segments) {
    segments.push_back({s.tensor, s.offset, s.count, s.file, s.begin, s.end});
  }
  for (const auto& f : manifest.files) {
    files.push_back({{"name", f.name}, {"length", f.length}, {"crc32c", f.pieces}});
  }
  member(text, "piece_bytes", kPieceBytes);
  rows(text, "tensors", tensors);
  rows(text, "segments", segments);
  rows(text, "files", files);
}

// Reading. Each of these throws json::exception or std::out_of_range, which parse_manifest() explains.

/// nlohmann's get<>() would turn -1 and 0.5 into whole numbers without a word.
std::uint64_t whole(const json& value) {
  if (!value.is_number_unsigned()) throw std::out_of_range(value.dump().substr(0, 40) + " is not a whole number");
  return value.get<std::uint64_t>();
}

std::vector<std::uint64_t> wholes(const json& value, std::size_t count) {
  if (!value.is_array() || value.size() != count) {
    throw std::out_of_range(core::concat("a row has not ", count, " numbers"));
  }
  std::vector<std::uint64_t> numbers;
  for (const auto& item : value) numbers.push_back(whole(item));
  return numbers;
}

double metric_of(const json& value) {
  if (value.is_number()) return value.get<double>();
  const auto& text = value.get_ref<const std::string&>();
  if (text == "nan") return std::numeric_limits<double>::quiet_NaN();
  if (text == "inf") return std::numeric_limits<double>::infinity();
  if (text == "-inf") return -std::numeric_limits<double>::infinity();
  throw std::out_of_range("metric " + text + " is not a number");
}

State read_state(const json& root) {
  State state;
  state.step = whole(root.at("step"));
  state.position = whole(root.at("position"));
  state.optimizer_step = whole(root.at("optimizer_step"));
  state.seed = whole(root.at("seed"));
  state.skips_in_a_row = whole(root.at("skips_in_a_row"));
  if (root.contains("rollbacks_in_a_row")) state.rollbacks_in_a_row = whole(root.at("rollbacks_in_a_row"));
  if (root.contains("saved_at")) state.saved_at = root.at("saved_at").get<std::int64_t>();
  state.skipped_windows = wholes(root.at("skipped_windows"), root.at("skipped_windows").size());
  state.recipe = root.at("recipe").get<std::string>();
  state.kernel_fingerprint = root.at("kernel_fingerprint").get<std::string>();
  state.data_fingerprint = root.at("data_fingerprint").get<std::string>();
  for (const auto& [name, value] : root.at("metrics").items()) state.metrics[name] = metric_of(value);
  state.versions = root.at("versions").get<std::map<std::string, std::string>>();
  state.extra = root.at("extra").get<std::map<std::string, std::string>>();
  return state;
}

TensorRecord read_tensor(const json& row) {
  TensorRecord tensor;
  tensor.kind = row.at(0).get<std::string>();
  tensor.name = row.at(1).get<std::string>();
  tensor.dtype = row.at(2).get<std::string>();
  for (const auto& dimension : row.at(3)) {
    const std::uint64_t size = whole(dimension);
    if (size > std::numeric_limits<std::int64_t>::max()) throw std::out_of_range("dimension too large");
    tensor.shape.push_back(static_cast<std::int64_t>(size));
  }
  return tensor;
}

FileRecord read_file_record(const json& item) {
  FileRecord file{item.at("name").get<std::string>(), whole(item.at("length")), {}};
  for (const auto& piece : item.at("crc32c")) {
    const std::uint64_t crc = whole(piece);
    if (crc > std::numeric_limits<std::uint32_t>::max()) throw std::out_of_range("a CRC32C has more than 32 bits");
    file.pieces.push_back(static_cast<std::uint32_t>(crc));
  }
  return file;
}

Manifest read_members(const json& root, const std::string& where) {
  PL_CHECK(root.is_object() && root.value("format", "") == kFormat, ExitCode::kInput, where,
           " is not the manifest of a checkpoint. Give a run directory, its checkpoints/ or one step-N.");
  const std::uint64_t version = whole(root.at("version"));
  PL_CHECK(version <= kVersion, ExitCode::kInput, where, " has format version ", version, ", newer than ", kVersion,
           ", which this program knows. Read it with the version of Pathline that wrote it, or a later one.");
  Manifest manifest;
  manifest.attempt = whole(root.at("attempt"));
  manifest.world_size = whole(root.at("world_size"));
  if (whole(root.at("piece_bytes")) != kPieceBytes) throw std::out_of_range("piece_bytes is not 1048576");
  manifest.state = read_state(root);
  for (const auto& row : root.at("tensors")) manifest.tensors.push_back(read_tensor(row));
  for (const auto& row : root.at("segments")) {
    const auto n = wholes(row, 6);
    manifest.segments.push_back({n[0], n[1], n[2], n[3], n[4], n[5]});
  }
  for (const auto& item : root.at("files")) manifest.files.push_back(read_file_record(item));
  return manifest;
}

[[noreturn]] void refuse(const std::string& where, const std::string& reason) {
  throw core::Error(ExitCode::kInput,
                    core::concat(where, " is not a manifest of version 1: ", reason, ". Use an earlier checkpoint."));
}

}  // namespace

std::uint64_t Manifest::data_bytes() const {
  std::uint64_t sum = 0;
  for (const auto& file : files) sum += file.length;
  return sum;
}

std::string manifest_text(const Manifest& manifest) {
  std::string text = "{\n";
  member(text, "format", kFormat);
  member(text, "version", kVersion);
  member(text, "attempt", manifest.attempt);
  member(text, "world_size", manifest.world_size);
  write_state(text, manifest.state);
  write_tables(text, manifest);
  return text + tail_of(text);
}

Manifest parse_manifest(std::string_view text, const std::string& where) {
  const std::size_t body = text.size() - std::min(text.size(), kTailBytes);
  PL_CHECK(text.substr(body) == tail_of(text.substr(0, body)), ExitCode::kInput, where,
           " is damaged: its CRC32C does not match its content. Use an earlier checkpoint.");
  try {
    Manifest manifest = read_members(json::parse(text), where);
    check_tables(manifest, where);
    return manifest;
  } catch (const json::exception& error) {
    refuse(where, error.what());
  } catch (const std::out_of_range& error) {
    refuse(where, error.what());
  }
}

Manifest read_manifest(core::FileSystem& files, const std::string& directory) {
  const std::string path = core::join_path(directory, kManifestName);
  PL_CHECK(files.exists(path), ExitCode::kInput, directory, " holds no ", kManifestName,
           ", so it is not a committed checkpoint. Give a run directory, its checkpoints/ or one step-N.");
  return parse_manifest(core::read_text(files, path), path);
}

}  // namespace pathline::checkpoint
