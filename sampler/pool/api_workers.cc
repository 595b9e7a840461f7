// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "sampler/pool/api_routes.h"

namespace pathline::pool::routes {

namespace {

std::string worker_in(const Json& body) { return text_in(body, "worker", 32); }

}  // namespace

Response join(const Call& call) {
  const WorkerInfo worker = worker_info_of(call.request.body);
  PL_CHECK(worker.threads > 0, core::ExitCode::kUsage, "\"threads\" must be at least 1.");
  return json({{"worker", call.pool.join(worker)}, {"lease_seconds", call.pool.lease_seconds()}}, 201);
}

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
  PL_CHECK(leases != body.end() && leases->is_array() && leases->size() <= 64, core::ExitCode::kUsage,
           "\"leases\" must be a list of at most 64.");
  for (const Json& one : *leases) {
    PL_CHECK(one.is_object(), core::ExitCode::kUsage, "\"leases\" must hold objects.");
    done[integer_in(one, "token")] = integer_in(one, "done");
  }
  return json({{"lost", call.pool.heartbeat(worker_in(body), done)}});
}

Response commit(const Call& call) {
  call.pool.commit(worker_in(parse_object(call.request.body)), call.id, commit_report_of(call.request.body));
  return nothing();
}

Response set_slots(const Call& call) {
  const Json body = parse_object(call.request.body);
  call.pool.set_slots(worker_in(body), call.id, integer_in(body, "slots"));
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

}  // namespace pathline::pool::routes
