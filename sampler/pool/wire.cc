// SPDX-License-Identifier: Apache-2.0
#include "sampler/pool/wire.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"

namespace pathline::pool {
namespace {

using core::ExitCode;

const Json& member(const Json& object, const char* name) {
  const auto found = object.find(name);
  PL_CHECK(found != object.end(), ExitCode::kUsage, "\"", name, "\" is missing.");
  return *found;
}

Json spans(const std::vector<IdSpan>& ids) {
  Json list = Json::array();
  for (const IdSpan& span : ids) list.push_back({span.first, span.last});
  return list;
}

std::vector<IdSpan> spans_in(const Json& object, const char* name) {
  std::vector<IdSpan> ids;
  for (const Json& pair : member(object, name)) {
    PL_CHECK(pair.is_array() && pair.size() == 2 && pair[0].is_number_integer() && pair[1].is_number_integer(),
             ExitCode::kUsage, "\"", name, "\" must hold pairs of ids.");
    ids.push_back({pair[0].get<std::int64_t>(), pair[1].get<std::int64_t>()});
  }
  return ids;
}

std::int64_t count_in(const Json& object, const char* name) {
  const std::int64_t value = integer_in(object, name);
  PL_CHECK(value >= 0 && value <= (std::int64_t{1} << 60), ExitCode::kUsage, "\"", name, "\" must not be negative.");
  return value;
}

}  // namespace

Json parse_object(const std::string& text) {
  bool deep = false;
  const auto shallow = [&](int depth, Json::parse_event_t, Json&) {
    deep |= depth > 16;
    return true;
  };
  Json value = Json::parse(text, shallow, /*allow_exceptions=*/false);
  PL_CHECK(value.is_object() && !deep, ExitCode::kUsage, "the body must be one JSON object.");
  return value;
}

std::string dumped(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

std::string text_in(const Json& object, const char* name, std::size_t most) {
  const Json& value = member(object, name);
  PL_CHECK(value.is_string(), ExitCode::kUsage, "\"", name, "\" must be a text.");
  return value.get<std::string>().substr(0, most);
}

std::int64_t integer_in(const Json& object, const char* name) {
  const Json& value = member(object, name);
  const bool fits = value.is_number_integer() && (!value.is_number_unsigned() ||
                                                  value.get<std::uint64_t>() <= static_cast<std::uint64_t>(INT64_MAX));
  PL_CHECK(fits, ExitCode::kUsage, "\"", name, "\" must be a whole number.");
  return value.get<std::int64_t>();
}

double number_in(const Json& object, const char* name) {
  const Json& value = member(object, name);
  PL_CHECK(value.is_number() && std::isfinite(value.get<double>()), ExitCode::kUsage, "\"", name,
           "\" must be a number.");
  return value.get<double>();
}

bool flag_in(const Json& object, const char* name) {
  const Json& value = member(object, name);
  PL_CHECK(value.is_boolean(), ExitCode::kUsage, "\"", name, "\" must be true or false.");
  return value.get<bool>();
}

std::string to_json(const WorkerInfo& worker) {
  return dumped({{"name", worker.name},
                 {"host", worker.host},
                 {"pid", worker.pid},
                 {"fingerprint", worker.fingerprint},
                 {"threads", worker.threads}});
}

WorkerInfo worker_info_of(const std::string& json) {
  const Json object = parse_object(json);
  return {text_in(object, "name", 200), text_in(object, "host", 200), count_in(object, "pid"),
          text_in(object, "fingerprint"), count_in(object, "threads")};
}

std::string to_json(const Lease& lease) {
  return dumped({{"token", lease.token},
                 {"job", lease.job},
                 {"assembly", lease.assembly},
                 {"measure", lease.measure},
                 {"first", lease.first},
                 {"last", lease.last},
                 {"path", lease.path},
                 {"preview", lease.preview},
                 {"spec", Json::parse(to_json(lease.spec))},
                 {"parts", spans(lease.parts)},
                 {"part_paths", lease.part_paths},
                 {"parked", spans(lease.parked)}});
}

Lease lease_of(const std::string& json) {
  const Json object = parse_object(json);
  Lease lease;
  lease.token = integer_in(object, "token");
  lease.job = integer_in(object, "job");
  lease.assembly = flag_in(object, "assembly");
  lease.measure = flag_in(object, "measure");
  lease.first = integer_in(object, "first");
  lease.last = integer_in(object, "last");
  lease.path = text_in(object, "path");
  lease.preview = text_in(object, "preview");
  lease.spec = parse_job_spec(dumped(member(object, "spec")));
  lease.parts = spans_in(object, "parts");
  for (const Json& path : member(object, "part_paths")) lease.part_paths.push_back(path.get<std::string>());
  lease.parked = spans_in(object, "parked");
  return lease;
}

std::string to_json(const CommitReport& report) {
  return dumped({{"bytes", report.bytes},
                 {"seconds", report.seconds},
                 {"failed", report.failed},
                 {"nfe", report.nfe},
                 {"max_nfe", report.max_nfe},
                 {"rejected", report.rejected},
                 {"useful_rows", report.useful_rows},
                 {"evaluated_rows", report.evaluated_rows}});
}

CommitReport commit_report_of(const std::string& json) {
  const Json object = parse_object(json);
  CommitReport report;
  report.bytes = static_cast<std::uint64_t>(count_in(object, "bytes"));
  report.seconds = std::max(0.0, number_in(object, "seconds"));
  report.failed = count_in(object, "failed");
  report.nfe = count_in(object, "nfe");
  report.max_nfe = count_in(object, "max_nfe");
  report.rejected = count_in(object, "rejected");
  report.useful_rows = count_in(object, "useful_rows");
  report.evaluated_rows = count_in(object, "evaluated_rows");
  return report;
}

std::string to_json(const ErrorReport& report) {
  return dumped({{"error", report.text}, {"whole_job", report.whole_job}, {"sample", report.sample}});
}

ErrorReport error_report_of(const std::string& json) {
  const Json object = parse_object(json);
  return {text_in(object, "error", 2000), flag_in(object, "whole_job"), integer_in(object, "sample")};
}

Json json_of(const JobView& job) {
  Json counts = {{"total", job.spec.count}, {"done", job.done}, {"failed", job.failed}, {"parked", job.parked}};
  Json value = {{"id", job.id},
                {"state", job.state},
                {"paused", job.paused},
                {"counts", counts},
                {"images_per_second", job.images_per_second},
                {"eta_seconds", nullptr},
                {"mean_nfe", job.mean_nfe},
                {"max_nfe", job.max_nfe},
                {"rejected_steps", job.rejected_steps},
                {"occupancy", job.occupancy},
                {"seconds", job.seconds},
                {"leases", job.leases},
                {"created_at", job.created_at},
                {"finished_at", job.finished_at},
                {"fingerprint", job.fingerprint},
                {"error", job.error},
                {"spec", Json::parse(to_json(job.spec))}};
  if (job.eta_seconds >= 0) value["eta_seconds"] = job.eta_seconds;
  return value;
}

Json json_of(const WorkerView& worker) {
  Json value = {{"id", worker.id},        {"name", worker.info.name},         {"host", worker.info.host},
                {"pid", worker.info.pid}, {"threads", worker.info.threads},   {"fingerprint", worker.info.fingerprint},
                {"state", worker.state},  {"heartbeat_age_seconds", nullptr}, {"samples", worker.samples},
                {"work", nullptr}};
  if (worker.heartbeat_age >= 0) value["heartbeat_age_seconds"] = worker.heartbeat_age;
  if (worker.job > 0) {
    value["work"] = {{"job", worker.job},
                     {"kind", worker.kind},
                     {"first", worker.first},
                     {"last", worker.last},
                     {"done", worker.done}};
  }
  return value;
}

}  // namespace pathline::pool
