// SPDX-License-Identifier: Apache-2.0
// The API's routes, by whom they serve. Inside this folder only.
#pragma once

#include <cstdint>

#include "sampler/pool/dispatcher.h"
#include "sampler/pool/http_server.h"
#include "sampler/pool/wire.h"

namespace pathline::pool::routes {

/// What a route is given. It throws Refused or core::Error for what cannot be answered.
struct Call {
  Dispatcher& pool;
  const Request& request;
  std::int64_t id;  // the number in the path, where its pattern has a "#"
};

Response json(const Json& value, int status = 200);
Response nothing();

// For clients: api_clients.cc.
Response submit(const Call& call);
Response list_jobs(const Call& call);
Response show_job(const Call& call);
Response manifest(const Call& call);
Response cancel(const Call& call);
Response pause(const Call& call);
Response resume(const Call& call);
Response drain(const Call& call);
Response list_workers(const Call& call);
Response list_previews(const Call& call);
Response show_preview(const Call& call);

// For workers: api_workers.cc.
Response join(const Call& call);
Response leave(const Call& call);
Response lease(const Call& call);
Response heartbeat(const Call& call);
Response commit(const Call& call);
Response set_slots(const Call& call);
Response give_back(const Call& call);
Response report_error(const Call& call);

}  // namespace pathline::pool::routes
