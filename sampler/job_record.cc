// SPDX-License-Identifier: Apache-2.0
#include "sampler/job_record.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/random.h"

namespace pathline::sampler {
namespace {

constexpr const char* kFormat = "pathline-job";
constexpr const char* kVersion = "1";

}  // namespace

void JobRecord::add(const std::string& name, const std::string& value) { fields_.emplace_back(name, value); }

JobRecord JobRecord::without(const std::string& name) const {
  JobRecord other = *this;
  std::erase_if(other.fields_, [&](const auto& field) { return field.first == name; });
  return other;
}

std::string JobRecord::value(const std::string& name) const {
  for (const auto& [field, value] : fields_) {
    if (field == name) return value;
  }
  return "";
}

std::string JobRecord::text() const {
  nlohmann::ordered_json json = {{"format", kFormat}, {"version", kVersion}};
  for (const auto& [name, value] : fields_) json[name] = value;
  return json.dump(1) + "\n";
}

JobRecord JobRecord::parse(const std::string& text, const std::string& path) {
  const auto json = nlohmann::ordered_json::parse(text, nullptr, false);
  const auto says = [&](const char* name, const char* value) {
    return json.is_object() && json.contains(name) && json[name] == value;
  };
  PL_CHECK(says("format", kFormat), core::ExitCode::kInput, path,
           " is no job record (it tells which samples the parts beside it belong to). Remove that directory to start "
           "anew.");
  PL_CHECK(says("version", kVersion), core::ExitCode::kInput, path, " is a job record of another version than ",
           kVersion, ". Finish the job with the program that began it, or remove that directory to start anew.");
  JobRecord record;
  for (const auto& [name, value] : json.items()) {
    if (name == "format" || name == "version") continue;
    PL_CHECK(value.is_string(), core::ExitCode::kInput, path, " is damaged: ", name,
             " is no text. Remove that directory to start anew.");
    record.add(name, value.get<std::string>());
  }
  return record;
}

std::uint64_t JobRecord::identity() const { return core::hash_name(text()); }

std::vector<std::string> JobRecord::differences(const JobRecord& asked) const {
  std::vector<std::string> found;
  const auto note = [&](const std::string& name) {
    const auto shown = [&](const std::string& value) { return value.empty() ? std::string("nothing") : value; };
    found.push_back(core::concat(name, " (", shown(value(name)), " there, ", shown(asked.value(name)), " asked for)"));
  };
  for (const auto& [name, value] : asked.fields_) {
    if (this->value(name) != value) note(name);
  }
  for (const auto& [name, value] : fields_) {
    if (asked.value(name).empty() && !value.empty()) note(name);
  }
  return found;
}

}  // namespace pathline::sampler
