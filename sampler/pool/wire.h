// SPDX-License-Identifier: Apache-2.0
// JSON forms of what crosses the wire between dispatcher, workers and clients. Every reader takes any bytes and throws
// ExitCode::kUsage for what it does not understand.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "sampler/pool/messages.h"

namespace pathline::pool {

using Json = nlohmann::ordered_json;

/// One JSON object of at most 16 levels.
Json parse_object(const std::string& text);
/// One line; bytes that are no UTF-8 are replaced.
std::string dumped(const Json& value);

std::string text_in(const Json& object, const char* name, std::size_t most = 4096);
std::int64_t integer_in(const Json& object, const char* name);
double number_in(const Json& object, const char* name);
bool flag_in(const Json& object, const char* name);

std::string to_json(const WorkerInfo& worker);
WorkerInfo worker_info_of(const std::string& json);
std::string to_json(const Lease& lease);
Lease lease_of(const std::string& json);
std::string to_json(const CommitReport& report);
CommitReport commit_report_of(const std::string& json);
std::string to_json(const ErrorReport& report);
ErrorReport error_report_of(const std::string& json);

Json json_of(const JobView& job);
Json json_of(const WorkerView& worker);

}  // namespace pathline::pool
