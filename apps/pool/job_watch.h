// SPDX-License-Identifier: Apache-2.0
// Looking at jobs from a client.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sampler/pool/connection.h"

namespace pathline::apps {

std::int64_t job_id_in(const std::string& json);

/// Until all are over, with progress. 0 if all completed without a failed sample; 66 if a job failed or some of its
/// samples did; 64 if one was cancelled. Prints the jobs at the end, as text or JSON.
int wait_for_jobs(pool::Connection& connection, const std::vector<std::int64_t>& ids, bool json);

/// A line for people about a job (its JSON).
std::string job_line(const std::string& json);

}  // namespace pathline::apps
