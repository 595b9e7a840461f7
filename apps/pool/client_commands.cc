// SPDX-License-Identifier: Apache-2.0
// `pathline pool status|wait|cancel|pause|resume|drain`.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "apps/pool/commands.h"
#include "apps/pool/job_watch.h"
#include "sampler/pool/wire.h"

namespace pathline::apps {
namespace {

using pool::Json;

struct ClientOptions {
  pool::ConnectOptions connect;
  std::vector<std::int64_t> ids;
  bool json = false, off = false;
};

std::string doing_text(const Json& work) {
  if (work.is_null()) return "";
  const std::string job = core::concat(", job ", pool::integer_in(work, "job"), ": ");
  const std::string kind = pool::text_in(work, "kind");
  if (kind == "slots") return job + "measures slots";
  if (kind == "assembly") return job + "puts the output together";
  return core::concat(job, "samples ", pool::integer_in(work, "first"), " to ", pool::integer_in(work, "last") - 1);
}

void print_worker(const Json& worker) {
  const Json& age = worker.at("heartbeat_age_seconds");
  std::printf("worker %s on %s  %s, heard %s ago%s\n", pool::text_in(worker, "name").c_str(),
              pool::text_in(worker, "host").c_str(), pool::text_in(worker, "state").c_str(),
              age.is_null() ? "long" : core::concat(static_cast<int>(age.get<double>()), " s").c_str(),
              doing_text(worker.at("work")).c_str());
}

int status(const ClientOptions& options) {
  pool::Connection connection(options.connect);
  if (!options.ids.empty()) {
    for (const std::int64_t id : options.ids) {
      const std::string job = connection.ask("GET", core::concat("/v1/jobs/", id));
      std::fputs(options.json ? job.c_str() : (job_line(job) + "\n").c_str(), stdout);
    }
    return 0;
  }
  Json all = pool::parse_object(connection.ask("GET", "/v1/jobs"));
  all["workers"] = pool::parse_object(connection.ask("GET", "/v1/workers")).at("workers");
  if (options.json) {
    std::printf("%s\n", pool::dumped(all).c_str());
    return 0;
  }
  for (const Json& job : all.at("jobs")) std::printf("%s\n", job_line(pool::dumped(job)).c_str());
  for (const Json& worker : all.at("workers")) {
    if (pool::text_in(worker, "state") != "left") print_worker(worker);
  }
  if (pool::flag_in(all, "draining")) std::puts("the pool is draining: no new leases are given");
  return 0;
}

/// One request for every job.
int control(const ClientOptions& options, const std::string& method, const std::string& suffix) {
  pool::Connection connection(options.connect);
  for (const std::int64_t id : options.ids) {
    const std::string job = connection.ask(method, core::concat("/v1/jobs/", id, suffix));
    std::fputs(options.json ? job.c_str() : (job_line(job) + "\n").c_str(), stdout);
  }
  return 0;
}

int drain(const ClientOptions& options) {
  pool::Connection connection(options.connect);
  connection.ask("POST", "/v1/drain", pool::dumped({{"draining", !options.off}}));
  std::puts(options.off ? "the pool gives leases again"
                        : "the pool gives no new leases; workers finish what they hold");
  return 0;
}

CLI::App* add_command(CLI::App& app, std::function<int()>& run, const std::string& name, const std::string& help,
                      const std::shared_ptr<ClientOptions>& options,
                      const std::function<int(const ClientOptions&)>& body) {
  CLI::App* sub = app.add_subcommand(name, help);
  add_connect_options(*sub, options->connect);
  sub->callback([&run, options, body] { run = [options, body] { return body(*options); }; });
  return sub;
}

}  // namespace

void add_status_command(CLI::App& app, std::function<int()>& run) {
  const auto options = std::make_shared<ClientOptions>();
  CLI::App* sub = add_command(app, run, "status", "jobs and workers", options, status);
  sub->add_option("job", options->ids, "these jobs alone");
  sub->add_flag("--json", options->json, "as JSON");
}

void add_wait_command(CLI::App& app, std::function<int()>& run) {
  const auto options = std::make_shared<ClientOptions>();
  CLI::App* sub =
      add_command(app, run, "wait", "until jobs are over, with progress", options, [](const ClientOptions& given) {
        pool::Connection connection(given.connect);
        return wait_for_jobs(connection, given.ids, given.json);
      });
  sub->add_option("job", options->ids, "ids")->required();
  sub->add_flag("--json", options->json, "as JSON");
}

void add_control_commands(CLI::App& app, std::function<int()>& run) {
  struct Control {
    const char *name, *help, *method, *suffix;
  };
  for (const Control& one : {Control{"cancel", "end jobs; what is committed stays", "DELETE", ""},
                             Control{"pause", "give no new leases for jobs", "POST", "/pause"},
                             Control{"resume", "go on with paused jobs", "POST", "/resume"}}) {
    const auto options = std::make_shared<ClientOptions>();
    CLI::App* sub = add_command(app, run, one.name, one.help, options,
                                [one](const ClientOptions& given) { return control(given, one.method, one.suffix); });
    sub->add_option("job", options->ids, "ids")->required();
    sub->add_flag("--json", options->json, "as JSON");
  }
  const auto options = std::make_shared<ClientOptions>();
  CLI::App* sub = add_command(app, run, "drain", "give no new leases at all: before maintenance", options, drain);
  sub->add_flag("--off", options->off, "give leases again");
}

}  // namespace pathline::apps
