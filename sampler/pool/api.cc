// SPDX-License-Identifier: Apache-2.0
#include "sampler/pool/api.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "core/log.h"
#include "core/text.h"
#include "sampler/pool/api_routes.h"

namespace pathline::pool {
namespace {

using core::ExitCode;
using routes::Call;

Response ready(const Call& call) {
  const auto workers = call.pool.workers();
  const bool any = std::ranges::any_of(workers, [](const WorkerView& worker) { return worker.state == "alive"; });
  if (!any) return problem(503, "No worker is there.");
  return {200, "text/plain; charset=utf-8", "ready\n", {}};
}

Response metrics(const Call& call) {
  return {200, "text/plain; version=0.0.4; charset=utf-8", metrics_text(call.pool), {}};
}

struct Route {
  std::string_view method, path;  // "#" stands for a number
  Response (*answer)(const Call&);
};

constexpr std::array<Route, 21> kRoutes = {{
    {"POST", "/v1/jobs", routes::submit},
    {"GET", "/v1/jobs", routes::list_jobs},
    {"GET", "/v1/jobs/#", routes::show_job},
    {"DELETE", "/v1/jobs/#", routes::cancel},
    {"GET", "/v1/jobs/#/manifest", routes::manifest},
    {"POST", "/v1/jobs/#/pause", routes::pause},
    {"POST", "/v1/jobs/#/resume", routes::resume},
    {"POST", "/v1/drain", routes::drain},
    {"GET", "/v1/workers", routes::list_workers},
    {"GET", "/v1/previews", routes::list_previews},
    {"GET", "/v1/previews/#", routes::show_preview},
    {"POST", "/v1/workers", routes::join},
    {"DELETE", "/v1/workers", routes::leave},
    {"POST", "/v1/leases", routes::lease},
    {"POST", "/v1/heartbeat", routes::heartbeat},
    {"POST", "/v1/leases/#/commit", routes::commit},
    {"POST", "/v1/leases/#/slots", routes::set_slots},
    {"POST", "/v1/leases/#/return", routes::give_back},
    {"POST", "/v1/leases/#/error", routes::report_error},
    {"GET", "/readyz", ready},
    {"GET", "/metrics", metrics},
}};

/// The number in the place of "#", 0 if there is none; nothing if the path is not of this pattern.
std::optional<std::int64_t> match(std::string_view pattern, std::string_view path) {
  const std::size_t place = pattern.find('#');
  if (place == std::string_view::npos) return pattern == path ? std::optional<std::int64_t>(0) : std::nullopt;
  const std::string_view after = pattern.substr(place + 1);
  if (path.size() <= place + after.size() || path.substr(0, place) != pattern.substr(0, place) ||
      !path.ends_with(after))
    return std::nullopt;
  const std::string_view number = path.substr(place, path.size() - place - after.size());
  const bool plain = number.size() <= 18 && number.find_first_not_of("0123456789") == std::string_view::npos;
  return plain ? std::optional(core::parse_integer(number, "id")) : std::nullopt;
}

int status_of(ExitCode code) {
  switch (code) {
    case ExitCode::kUsage:
      return 400;
    case ExitCode::kInput:
      return 422;
    case ExitCode::kEnvironment:
      return 503;
    default:
      return 500;
  }
}

Response page(bool allowed) {
  constexpr char kPolicy[] =
      "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src blob:; connect-src 'self'; "
      "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
  return {allowed ? 200 : 401,
          "text/html; charset=utf-8",
          kPage,
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
