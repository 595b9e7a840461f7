// SPDX-License-Identifier: Apache-2.0
#include "sampler/pool/api.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "core/log.h"
#include "core/text.h"
#include "sampler/pool/wire.h"

namespace pathline::pool {
namespace {

using core::ExitCode;

/// What a route is given.
struct Call {
  Dispatcher& pool;
  const Request& request;
  std::int64_t id;  // the number in the path, where its pattern has a "#"
};

Response json(const Json& value, int status = 200) { return {status, "application/json", dumped(value) + "\n", {}}; }
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
    ranges.push_back({{"first", range.first}, {"last", range.last}, {"state", range.state}, {"worker", range.worker}, {"error", range.error}});
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
    if (one.id == call.id) return {200, "image/png", {reinterpret_cast<const char*>(one.png.data()), one.png.size()}, {}};
  }
  throw Refused(404, "this preview is gone.");
}

Response join(const Call& call) {
  const WorkerInfo worker = worker_info_of(call.request.body);
  PL_CHECK(worker.threads > 0, ExitCode::kUsage, "\"threads\" must be at least 1.");
  return json({{"worker", call.pool.join(worker)}, {"lease_seconds", call.pool.lease_seconds()}}, 201);
}

std::string worker_in(const Json& body) { return text_in(body, "worker", 32); }

Response leave(const Call& call) {
  call.pool.leave(worker_in(parse_object(call.request.body)));
  return nothing();
}

Response lease(const Call& call) {
  const auto lease = call.pool.lease(worker_in(parse_object(call.request.body)));
  return lease ? Response{200, "application/json", to_json(*lease) + "\n", {}} : nothing();
}

Response heartbeat(const Call& call) {
  const Json body = parse_object(call.request.body);
  std::map<std::int64_t, std::int64_t> done;
  const auto leases = body.find("leases");
  PL_CHECK(leases != body.end() && leases->is_array() && leases->size() <= 64, ExitCode::kUsage,
           "\"leases\" must be a list of at most 64.");
  for (const Json& one : *leases) {
    PL_CHECK(one.is_object(), ExitCode::kUsage, "\"leases\" must hold objects.");
    done[integer_in(one, "token")] = integer_in(one, "done");
  }
  return json({{"lost", call.pool.heartbeat(worker_in(body), done)}});
}

Response commit(const Call& call) {
  call.pool.commit(worker_in(parse_object(call.request.body)), call.id, commit_report_of(call.request.body));
  return nothing();
}

Response give_back(const Call& call) {
  const Json body = parse_object(call.request.body);
  call.pool.give_back(worker_in(body), call.id, text_in(body, "reason", 1000));
  return nothing();
}

Response report_error(const Call& call) {
  call.pool.report_error(worker_in(parse_object(call.request.body)), call.id, error_report_of(call.request.body));
  return nothing();
}

Response ready(const Call& call) {
  const auto workers = call.pool.workers();
  const bool any = std::ranges::any_of(workers, [](const WorkerView& worker) { return worker.state == "alive"; });
  if (!any) return problem(503, "No worker is there.");
  return {200, "text/plain; charset=utf-8", "ready\n", {}};
}

Response metrics(const Call& call) { return {200, "text/plain; version=0.0.4; charset=utf-8", metrics_text(call.pool), {}}; }

struct Route {
  std::string_view method, path;  // "#" stands for a number
  Response (*answer)(const Call&);
};

constexpr std::array<Route, 20> kRoutes = {{
    {"POST", "/v1/jobs", submit},
    {"GET", "/v1/jobs", list_jobs},
    {"GET", "/v1/jobs/#", show_job},
    {"DELETE", "/v1/jobs/#", cancel},
    {"GET", "/v1/jobs/#/manifest", manifest},
    {"POST", "/v1/jobs/#/pause", pause},
    {"POST", "/v1/jobs/#/resume", resume},
    {"POST", "/v1/drain", drain},
    {"GET", "/v1/workers", list_workers},
    {"GET", "/v1/previews", list_previews},
    {"GET", "/v1/previews/#", show_preview},
    {"POST", "/v1/workers", join},
    {"DELETE", "/v1/workers", leave},
    {"POST", "/v1/leases", lease},
    {"POST", "/v1/heartbeat", heartbeat},
    {"POST", "/v1/leases/#/commit", commit},
    {"POST", "/v1/leases/#/return", give_back},
    {"POST", "/v1/leases/#/error", report_error},
    {"GET", "/readyz", ready},
    {"GET", "/metrics", metrics},
}};

/// The number in the place of "#", 0 if there is none; nothing if the path is not of this pattern.
std::optional<std::int64_t> match(std::string_view pattern, std::string_view path) {
  const std::size_t place = pattern.find('#');
  if (place == std::string_view::npos) return pattern == path ? std::optional<std::int64_t>(0) : std::nullopt;
  const std::string_view after = pattern.substr(place + 1);
  if (path.size() <= place + after.size() || path.substr(0, place) != pattern.substr(0, place) || !path.ends_with(after)) return std::nullopt;
  const std::string_view number = path.substr(place, path.size() - place - after.size());
  const bool plain = number.size() <= 18 && number.find_first_not_of("0123456789") == std::string_view::npos;
  return plain ? std::optional(core::parse_integer(number, "id")) : std::nullopt;
}

int status_of(ExitCode code) {
  switch (code) {
    case ExitCode::kUsage: return 400;
    case ExitCode::kInput: return 422;
    case ExitCode::kEnvironment: return 503;
    default: return 500;
  }
}

Response page(bool allowed) {
  constexpr char kPolicy[] =
      "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src blob:; connect-src 'self'; "
      "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
  return {allowed ? 200 : 401, "text/html; charset=utf-8", kPage,
          {{"Content-Security-Policy", kPolicy}, {"Referrer-Policy", "no-referrer"}}};
}

}  // namespace

bool Api::allowed(const Request& request, const std::string& path, const std::string& query) const {
  constexpr std::string_view kBearer = "Bearer ", kToken = "token=";
  if (request.authorization.starts_with(kBearer)) {
    return same_secret(std::string_view(request.authorization).substr(kBearer.size()), token_);
  }
  return path == "/" && query.starts_with(kToken) && same_secret(std::string_view(query).substr(kToken.size()), token_);
}

Response Api::answer(const Request& request) {
  const std::size_t mark = std::min(request.target.find('?'), request.target.size());
  const std::string path = request.target.substr(0, mark);
  const std::string query = request.target.substr(std::min(mark + 1, request.target.size()));
  if (request.method == "GET" && path == "/healthz") return {200, "text/plain; charset=utf-8", "ok\n", {}};
  const bool may = allowed(request, path, query);
  if (request.method == "GET" && path == "/") return page(may);
  if (!may) {
    Response refused = problem(401, "Send the pool's token: Authorization: Bearer TOKEN.");
    refused.headers.emplace_back("WWW-Authenticate", "Bearer");
    return refused;
  }
  bool known = false;
  for (const Route& route : kRoutes) {
    const auto id = match(route.path, path);
    known |= id.has_value();
    if (id && route.method == request.method) return route.answer({dispatcher_, request, *id});
  }
  return known ? problem(405, "This path knows other methods.") : problem(404, "There is nothing here.");
}

Response Api::handle(const Request& request) {
  try {
    return answer(request);
  } catch (const Refused& refused) {
    return problem(refused.status(), refused.what());
  } catch (const core::Error& error) {
    if (error.code() == ExitCode::kEnvironment) core::log_warning(error.what());
    return problem(status_of(error.code()), error.what());
  } catch (const std::exception& error) {
    core::log_error("a request failed: ", error.what());
    return problem(500, "This request failed; the dispatcher's log says why.");
  }
}

}  // namespace pathline::pool
