// SPDX-License-Identifier: Apache-2.0
#include "launch/doctor/line.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "core/error.h"

namespace pathline::doctor {

Line good(std::string name, std::string found) {
  return {std::move(name), Verdict::kGood, std::move(found), "", "", 0};
}

Line slow(std::string name, std::string found, std::string advice) {
  return {std::move(name), Verdict::kSlow, std::move(found), std::move(advice), "", 0};
}

Line broken(std::string name, std::string found, std::string advice) {
  return {std::move(name), Verdict::kBroken, std::move(found), std::move(advice), "", 0};
}

const char* word(Verdict verdict) {
  switch (verdict) {
    case Verdict::kGood:
      return "good";
    case Verdict::kSlow:
      return "slow";
    case Verdict::kBroken:
      return "broken";
  }
  return "";
}

std::string json_of(const Line& line) {
  const nlohmann::json json = {{"name", line.name},   {"verdict", static_cast<int>(line.verdict)},
                               {"found", line.found}, {"advice", line.advice},
                               {"host", line.host},   {"rank", line.rank}};
  // What was found may hold bytes of other programs' messages.
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Line line_of(const std::string& text) {
  try {
    const auto json = nlohmann::json::parse(text);
    return {json.at("name"),  static_cast<Verdict>(json.at("verdict").get<int>()),
            json.at("found"), json.at("advice"),
            json.at("host"),  json.at("rank")};
  } catch (const nlohmann::json::exception& error) {
    throw core::Error(core::ExitCode::kInternal, core::concat("no line of the doctor's: ", error.what()));
  }
}

}  // namespace pathline::doctor
