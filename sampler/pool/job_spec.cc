// SPDX-License-Identifier: Apache-2.0
#include "sampler/pool/job_spec.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file_system.h"
#include "core/text.h"
#include "sampler/slot_count.h"

namespace pathline::pool {
namespace {

using core::ExitCode;
using nlohmann::ordered_json;

using sampler::kSlotMultiple;

constexpr std::int64_t kMostSamples = std::int64_t{1} << 40;

/// A member of a job that the pool itself reads.
struct Field {
  const char* name;
  std::string JobSpec::*text = nullptr;
  std::int64_t JobSpec::*whole = nullptr;
};
constexpr std::array<Field, 7> kFields = {{{"checkpoint", &JobSpec::checkpoint, nullptr},
                                           {"output", &JobSpec::output, nullptr},
                                           {"count", nullptr, &JobSpec::count},
                                           {"first", nullptr, &JobSpec::first},
                                           {"slots", nullptr, &JobSpec::slots},
                                           {"threads", nullptr, &JobSpec::threads},
                                           {"priority", nullptr, &JobSpec::priority}}};

std::string refusal(const std::string& name, const char* what) {
  return core::concat("\"", name, "\" of a job must be ", what, ". Change it.");
}

std::int64_t whole_number(const std::string& name, const ordered_json& value) {
  const bool fits = value.is_number_integer() && (!value.is_number_unsigned() ||
                                                  value.get<std::uint64_t>() <= static_cast<std::uint64_t>(INT64_MAX));
  PL_CHECK(fits, ExitCode::kUsage, refusal(name, "a whole number"));
  return value.get<std::int64_t>();
}

/// As the command line would have it.
std::string option_text(const OptionName& option, const ordered_json& value) {
  const std::string name(option.name);
  if (option.kind == OptionName::kFlag) {
    PL_CHECK(value.is_boolean() && value.get<bool>(), ExitCode::kUsage, refusal(name, "true, or left out"));
    return "";
  }
  if (value.is_number()) {
    PL_CHECK(std::isfinite(value.get<double>()), ExitCode::kUsage, refusal(name, "a finite number"));
    return value.dump();
  }
  PL_CHECK(value.is_string() && !value.get<std::string>().empty(), ExitCode::kUsage,
           refusal(name, "a text or a number"));
  return value.get<std::string>();
}

[[noreturn]] void refuse_name(const std::string& name) {
  std::vector<std::string> known = {"seed"};
  for (const Field& field : kFields) known.emplace_back(field.name);
  for (const OptionName& option : option_names()) known.emplace_back(option.name);
  throw core::Error(ExitCode::kUsage,
                    core::concat("a job has no \"", name.substr(0, 40), "\". The nearest known name is \"",
                                 core::nearest_name(name.substr(0, 40), known), "\"."));
}

void set(JobSpec& spec, const std::string& name, const ordered_json& value) {
  if (name == "seed") {
    PL_CHECK(value.is_number_unsigned(), ExitCode::kUsage, refusal(name, "a whole number from 0"));
    spec.seed = value.get<std::uint64_t>();
    return;
  }
  for (const Field& field : kFields) {
    if (name != field.name) continue;
    if (name == "slots" && value == "auto") {
      spec.slots = kMeasuredSlots;
    } else if (field.whole) {
      spec.*field.whole = whole_number(name, value);
    } else {
      PL_CHECK(value.is_string(), ExitCode::kUsage, refusal(name, "a text"));
      spec.*field.text = value.get<std::string>();
    }
    return;
  }
  std::string dashed = name;
  std::ranges::replace(dashed, '_', '-');
  const auto option = std::ranges::find(option_names(), dashed, &OptionName::name);
  if (option == option_names().end()) refuse_name(name);
  spec.options[dashed] = option_text(*option, value);
}

void check_text(const std::string& name, const std::string& text) {
  PL_CHECK(text.size() <= 4096 && text.find('\0') == std::string::npos, ExitCode::kUsage, "\"", name,
           "\" of a job is longer than 4096 bytes or holds a zero byte. Shorten it.");
}

void check_range(const char* name, std::int64_t value, std::int64_t least, std::int64_t most) {
  PL_CHECK(value >= least && value <= most, ExitCode::kUsage, "\"", name, "\" of a job is ", value,
           "; it must lie between ", least, " and ", most, ".");
}

std::string slots_text(std::int64_t slots) { return slots == kMeasuredSlots ? "auto" : std::to_string(slots); }

/// One path, one text: no "//", no slash at the end.
std::string normal(const std::string& path) {
  return core::without_slash(std::filesystem::path(path).lexically_normal().string());
}

}  // namespace

const std::vector<OptionName>& option_names() {
  using enum OptionName::Kind;
  static const std::vector<OptionName> kNames = {{"solver", kValue},
                                                 {"steps", kValue},
                                                 {"grid", kValue},
                                                 {"rtol", kValue},
                                                 {"atol", kValue},
                                                 {"controller", kValue},
                                                 {"path", kValue, true},
                                                 {"t0", kValue},
                                                 {"t1", kValue},
                                                 {"guidance", kValue},
                                                 {"guidance-interval", kValue},
                                                 {"guidance-channels", kValue, true},
                                                 {"guide-with", kPath, true},
                                                 {"classifier", kPath, true},
                                                 {"classifier-scale", kValue, true},
                                                 {"labels", kPath},
                                                 {"text", kPath, true},
                                                 {"ema", kValue, true},
                                                 {"precision", kValue, true},
                                                 {"device", kValue, true},
                                                 {"diffusion", kValue},
                                                 {"last-step", kValue},
                                                 {"last-step-size", kValue},
                                                 {"snr", kValue},
                                                 {"noise-schedule", kValue, true},
                                                 {"respacing", kValue},
                                                 {"variance", kValue},
                                                 {"eta", kValue},
                                                 {"no-clip-denoised", kFlag},
                                                 {"decoder", kPath},
                                                 {"moments", kOutput},
                                                 {"features", kPath},
                                                 {"pairs", kFlag},
                                                 {"mask", kPath, true},
                                                 {"encode", kPath},
                                                 {"start", kPath},
                                                 {"trajectories", kValue}};
  return kNames;
}

void check_slots(std::int64_t slots) {
  check_range("slots", slots, kSlotMultiple, 65536);
  PL_CHECK(slots % kSlotMultiple == 0, ExitCode::kUsage, "\"slots\" of a job is ", slots,
           "; it must be auto or a multiple of ", kSlotMultiple, " (kernels treat other batches unevenly).");
}

JobSpec checked(JobSpec spec) {
  check_text("checkpoint", spec.checkpoint);
  check_text("output", spec.output);
  for (const auto& [name, value] : spec.options) check_text(name, value);
  PL_CHECK(!spec.checkpoint.empty(), ExitCode::kUsage, "a job needs \"checkpoint\", the model to sample from.");
  const bool folder = spec.output.ends_with('/');
  spec.output = normal(spec.output);
  PL_CHECK(!folder || std::filesystem::path(spec.output).extension().empty(), ExitCode::kUsage,
           "\"output\" of a job is \"", spec.output,
           "/\", a folder whose name has an ending (of a job the ending says the format). Leave it away.");
  PL_CHECK(spec.output.starts_with('/') && spec.output.size() > 1, ExitCode::kUsage, "\"output\" of a job is \"",
           spec.output, "\"; it must be an absolute path that all workers can write.");
  for (const OptionName& option : option_names()) {
    const auto given = spec.options.find(std::string(option.name));
    if (option.kind != OptionName::kOutput || given == spec.options.end()) continue;
    given->second = normal(given->second);
    PL_CHECK(given->second.starts_with('/'), ExitCode::kUsage, "\"", option.name, "\" of a job is \"", given->second,
             "\"; it must be an absolute path that all workers can write.");
  }
  if (const auto device = spec.options.find("device"); device != spec.options.end()) {
    const bool known = device->second == "auto" || device->second == "cpu" || device->second == "cuda";
    PL_CHECK(known, ExitCode::kUsage, refusal("device", "auto, cpu or cuda"));
  }
  check_range("count", spec.count, 1, kMostSamples);
  check_range("first", spec.first, 0, kMostSamples);
  check_range("threads", spec.threads, 1, 1024);
  check_range("priority", spec.priority, -1000, 1000);
  if (spec.slots == 0) spec.slots = sampler::usual_slots(spec.count);
  if (spec.slots != kMeasuredSlots) check_slots(spec.slots);
  return spec;
}

JobSpec parse_job_spec(const std::string& json) {
  const auto object = ordered_json::parse(json, nullptr, /*allow_exceptions=*/false);
  PL_CHECK(object.is_object(), ExitCode::kUsage, "a job must be one JSON object.");
  JobSpec spec;
  for (const auto& [name, value] : object.items()) set(spec, name, value);
  return checked(spec);
}

std::string to_json(const JobSpec& spec) {
  ordered_json object;
  for (const Field& field : kFields) {
    if (field.whole) {
      object[field.name] = spec.*field.whole;
    } else {
      object[field.name] = spec.*field.text;
    }
  }
  if (spec.slots == kMeasuredSlots) object["slots"] = "auto";
  object["seed"] = spec.seed;
  for (const auto& [name, value] : spec.options) {
    const auto option = std::ranges::find(option_names(), name, &OptionName::name);
    PL_ASSERT(option != option_names().end());
    if (option->kind == OptionName::kFlag) {
      object[name] = true;
    } else {
      object[name] = value;
    }
  }
  return object.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

bool same_networks(const JobSpec& a, const JobSpec& b) {
  const auto text = [](const JobSpec& spec, std::string_view name) {
    const auto found = spec.options.find(std::string(name));
    return found == spec.options.end() ? "" : found->second;
  };
  return a.checkpoint == b.checkpoint && a.slots == b.slots && a.threads == b.threads &&
         std::ranges::all_of(option_names(), [&](const OptionName& option) {
           return !option.of_networks || text(a, option.name) == text(b, option.name);
         });
}

std::vector<std::string> sample_arguments(const JobSpec& spec) {
  std::vector<std::string> arguments = {"--checkpoint=" + spec.checkpoint,       "--output=" + spec.output,
                                        core::concat("--count=", spec.count),    core::concat("--first=", spec.first),
                                        core::concat("--seed=", spec.seed),      "--slots=" + slots_text(spec.slots),
                                        core::concat("--threads=", spec.threads)};
  for (const auto& [name, value] : spec.options) arguments.push_back("--" + name + (value.empty() ? "" : "=" + value));
  return arguments;
}

}  // namespace pathline::pool
