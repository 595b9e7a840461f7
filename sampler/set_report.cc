// SPDX-License-Identifier: Apache-2.0
#include "sampler/set_report.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "core/crc32c.h"
#include "core/file_system.h"
#include "sampler/sink.h"

namespace pathline::sampler {
namespace {

using nlohmann::ordered_json;

constexpr const char* kFormat = "pathline-set";
constexpr int kVersion = 1;

/// Of a set's bytes; of a folder's description, which says all that a job of pictures chooses.
std::uint32_t checksum(core::FileSystem& files, const std::string& output) {
  const std::string path = files.is_directory(output) ? core::join_path(output, kFolderDescription) : output;
  std::vector<std::byte> buffer(std::size_t{1} << 20);
  std::uint32_t crc = 0;
  const std::uint64_t size = files.exists(path) ? files.size(path) : 0;
  for (std::uint64_t at = 0; at < size;) {
    const std::span<std::byte> piece(buffer.data(), std::min<std::uint64_t>(buffer.size(), size - at));
    files.read(path, at, piece);
    crc = core::crc32c(piece, crc);
    at += piece.size();
  }
  return crc;
}

/// The report and the checksum of its set.
std::optional<std::pair<SetReport, std::uint32_t>> parsed(const std::string& text) try {
  const auto json = ordered_json::parse(text);
  if (json.at("format") != kFormat || json.at("version") != kVersion) return std::nullopt;
  SetReport report;
  for (const auto& [name, value] : json.at("job").items()) report.job.add(name, value.get<std::string>());
  json.at("count").get_to(report.count);
  json.at("failed").get_to(report.failed);
  json.at("nfe").get_to(report.nfe);
  json.at("max_nfe").get_to(report.max_nfe);
  json.at("rejected_steps").get_to(report.rejected_steps);
  return std::pair(report, json.at("crc32c").get<std::uint32_t>());
} catch (const ordered_json::exception&) {
  return std::nullopt;  // another program's file
}

}  // namespace

std::string report_path(const std::string& output) { return core::without_slash(output) + ".job.json"; }

void save_report(core::FileSystem& files, const std::string& output, const SetReport& report) {
  ordered_json job = ordered_json::object();
  for (const auto& [name, value] : report.job.fields()) job[name] = value;
  const ordered_json json = {{"format", kFormat},
                             {"version", kVersion},
                             {"crc32c", checksum(files, core::without_slash(output))},
                             {"count", report.count},
                             {"failed", report.failed},
                             {"nfe", report.nfe},
                             {"max_nfe", report.max_nfe},
                             {"rejected_steps", report.rejected_steps},
                             {"job", job}};
  const std::string path = report_path(output);
  core::replace_file(files, path, json.dump(1, ' ', false, ordered_json::error_handler_t::replace) + "\n");
}

std::optional<SetReport> read_report(core::FileSystem& files, const std::string& output) {
  const std::string path = report_path(output), set = core::without_slash(output);
  if (!files.exists(set) || !files.exists(path) || files.is_directory(path)) return std::nullopt;
  const auto read = parsed(core::read_text(files, path));
  const bool ours = read && read->second == checksum(files, set);
  return ours ? std::optional(read->first) : std::nullopt;
}

}  // namespace pathline::sampler
