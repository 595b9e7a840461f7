// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "sampler/pool/api_routes.h"

namespace pathline::pool::routes {

Response json(const Json& value, int status) { return {status, "application/json", dumped(value) + "\n", {}}; }
Response nothing() { return {204, "application/json", "", {}}; }

Response submit(const Call& call) {
  const std::int64_t id = call.pool.submit(parse_job_spec(call.request.body));
  Response made = json(json_of(call.pool.job(id)), 201);
  made.headers.emplace_back("Location", core::concat("/v1/jobs/", id));
  return made;
}

Response list_jobs(const Call& call) {
  Json jobs = Json::array();
  for (const JobView& job : call.pool.jobs()) jobs.push_back(json_of(job));
  return json({{"jobs", jobs}, {"draining", call.pool.draining()}});
}

Response show_job(const Call& call) { return json(json_of(call.pool.job(call.id))); }

Response manifest(const Call& call) {
  Json manifest = json_of(call.pool.job(call.id));
  manifest["format"] = "pathline-pool-job";
  manifest["version"] = 1;
  Json ranges = Json::array();
  for (const RangeView& range : call.pool.ranges(call.id)) {
    ranges.push_back({{"first", range.first},
                      {"last", range.last},
                      {"state", range.state},
                      {"worker", range.worker},
                      {"error", range.error}});
  }
  manifest["ranges"] = ranges;
  return json(manifest);
}

Response cancel(const Call& call) {
  call.pool.cancel(call.id);
  return show_job(call);
}
Response pause(const Call& call) {
  call.pool.pause(call.id, true);
  return show_job(call);
}
Response resume(const Call& call) {
  call.pool.pause(call.id, false);
  return show_job(call);
}

Response drain(const Call& call) {
  call.pool.drain(flag_in(parse_object(call.request.body), "draining"));
  return json({{"draining", call.pool.draining()}});
}

Response list_workers(const Call& call) {
  Json workers = Json::array();
  for (const WorkerView& worker : call.pool.workers()) workers.push_back(json_of(worker));
  return json({{"workers", workers}});
}

Response list_previews(const Call& call) {
  Json previews = Json::array();
  for (const Preview& one : call.pool.previews()) {
    previews.push_back({{"id", one.id}, {"job", one.job}, {"first", one.first}, {"last", one.last}});
  }
  return json({{"previews", previews}});
}

Response show_preview(const Call& call) {
  for (const Preview& one : call.pool.previews()) {
    if (one.id == call.id)
      return {200, "image/png", {reinterpret_cast<const char*>(one.png.data()), one.png.size()}, {}};
  }
  throw Refused(404, "this preview is gone.");
}

}  // namespace pathline::pool::routes
