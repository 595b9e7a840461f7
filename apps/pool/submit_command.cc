// SPDX-License-Identifier: Apache-2.0
// `pathline pool submit`: what `pathline sample` would do, as a job.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <system_error>

#include "apps/pool/commands.h"
#include "apps/pool/job_watch.h"
#include "core/text.h"
#include "sampler/pool/job_spec.h"

namespace pathline::apps {
namespace {

struct SubmitOptions {
  pool::ConnectOptions connect;
  pool::JobSpec spec;
  std::string slots;
  bool json = false, wait = false;
};

std::string absolute(const std::string& path) {
  return path.empty() ? path : std::filesystem::absolute(path).lexically_normal().string();
}

int submit(const SubmitOptions& options) {
  pool::Connection connection(options.connect);
  pool::JobSpec spec = options.spec;
  if (!options.slots.empty())
    spec.slots = options.slots == "auto" ? pool::kMeasuredSlots : core::parse_integer(options.slots, "--slots");
  spec.checkpoint = absolute(spec.checkpoint);
  spec.output = absolute(spec.output);
  for (const pool::OptionName& option : pool::option_names()) {
    const auto given = spec.options.find(std::string(option.name));
    if (given == spec.options.end()) continue;
    std::error_code none;  // "--labels all" is no path, and a long list of labels no name that may be asked for
    const bool file = option.kind == pool::OptionName::kPath && std::filesystem::exists(given->second, none);
    if (file || option.kind == pool::OptionName::kOutput) given->second = absolute(given->second);
  }
  const std::string answer = connection.ask("POST", "/v1/jobs", pool::to_json(pool::checked(spec)));
  const std::int64_t id = job_id_in(answer);
  if (options.wait) return wait_for_jobs(connection, {id}, options.json);
  std::fputs(options.json ? answer.c_str() : core::concat(id, "\n").c_str(), stdout);
  return 0;
}

}  // namespace

void add_submit_command(CLI::App& app, std::function<int()>& run) {
  CLI::App* sub = app.add_subcommand("submit", "a new job; prints its id");
  const auto options = std::make_shared<SubmitOptions>();
  pool::JobSpec& spec = options->spec;
  sub->add_option("--checkpoint", spec.checkpoint, "run directory, its checkpoints/ or one step-N/")->required();
  sub->add_option("--count", spec.count, "how many samples")->required();
  sub->add_option("-o,--output", spec.output, "as for `pathline sample`")->required();
  sub->add_option("--first", spec.first, "id of the first sample")->capture_default_str();
  sub->add_option("--seed", spec.seed, "of the noise")->capture_default_str();
  sub->add_option("--slots", options->slots,
                  "samples in the network at once, a multiple of 16; auto: as the job's first worker measures "
                  "(default: by count)");
  sub->add_option("--threads", spec.threads, "of each worker; part of the bits")->capture_default_str();
  sub->add_option("--priority", spec.priority, "higher goes first")->capture_default_str();
  for (const pool::OptionName& option : pool::option_names()) {
    const std::string name(option.name);
    const auto take = [options, name](const std::string& value) { options->spec.options[name] = value; };
    const std::string help = "as for `pathline sample`";
    if (option.kind == pool::OptionName::kFlag) {
      sub->add_flag_callback(
          "--" + name, [take] { take(""); }, help);
    } else {
      sub->add_option_function<std::string>("--" + name, take, help);
    }
  }
  sub->add_flag("--wait", options->wait, "and wait for its end, as `pathline pool wait` does");
  sub->add_flag("--json", options->json, "print the job as JSON");
  add_connect_options(*sub, options->connect);
  sub->callback([&run, options] { run = [options] { return submit(*options); }; });
}

}  // namespace pathline::apps
