// SPDX-License-Identifier: Apache-2.0
// `pathline pool serve`: the dispatcher.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <memory>

#include "apps/pool/commands.h"
#include "checkpoint/run_lock.h"
#include "core/file_system.h"
#include "core/log.h"
#include "core/machine.h"
#include "launch/signals.h"
#include "sampler/pool/access.h"
#include "sampler/pool/api.h"
#include "sampler/pool/dispatcher.h"
#include "sampler/pool/http_server.h"

namespace pathline::apps {
namespace {

struct ServeOptions {
  std::string pool, token_file;
  std::string listen = "127.0.0.1:0";
  double lease_seconds = 30;
  std::int64_t most_queued = 1000;
};

/// What others call this machine.
std::string public_address(const pool::HttpServer& server, const std::string& listen) {
  const std::string host = pool::parse_address(listen).host;
  const bool all = host == "0.0.0.0" || host == "::";
  return core::concat("http://", all ? core::host_name() : host, ":", server.port());
}

/// Between requests: signals at once, the pool's upkeep about once a second. Returns whether to end.
class Upkeep {
 public:
  Upkeep(pool::Dispatcher& dispatcher, const checkpoint::RunLock& lock) : dispatcher_(dispatcher), lock_(lock) {}

  bool tick() {
    if (launch::take_signal_requests().stop) return true;
    const double now = core::monotonic_seconds();
    if (now - last_ < std::min(1.0, dispatcher_.lease_seconds() / 8)) return false;
    last_ = now;
    try {
      PL_CHECK(lock_.still_ours(), core::ExitCode::kRankLost,
               "another dispatcher has taken the pool over, so this one ends.");
      dispatcher_.tick();
    } catch (const core::Error& error) {
      if (error.code() != core::ExitCode::kEnvironment) throw;
      core::log_warning(error.what());  // a full disk passes
    }
    return false;
  }

 private:
  pool::Dispatcher& dispatcher_;
  const checkpoint::RunLock& lock_;
  double last_ = 0;
};

int serve(const ServeOptions& options) {
  launch::install_job_signal_handlers();
  core::configure_log({.rank = 0, .ranks = 1, .file = "", .level = core::LogLevel::kInfo});
  PL_CHECK(!options.pool.empty(), core::ExitCode::kUsage, "--pool DIR is missing: the directory of the pool.");
  PL_CHECK(options.lease_seconds >= 1, core::ExitCode::kUsage, "--lease is ", options.lease_seconds,
           " s; it must be at least 1.");
  core::PosixFileSystem files;
  core::make_durable_directory(files, options.pool);
  const checkpoint::RunLock lock(files, options.pool);
  const std::string token_file =
      options.token_file.empty() ? core::join_path(options.pool, "token") : options.token_file;
  const std::string token = pool::read_or_make_token(token_file);

  pool::DispatcherOptions dispatching;
  dispatching.pool = std::filesystem::absolute(options.pool).lexically_normal().string();
  dispatching.lease_seconds = options.lease_seconds;
  dispatching.most_queued = options.most_queued;
  dispatching.still_owner = [&] { return lock.still_ours(); };
  pool::Dispatcher dispatcher(files, dispatching);
  pool::Api api(dispatcher, token);
  pool::HttpServer server(pool::parse_address(options.listen),
                          [&](const pool::Request& request) { return api.handle(request); });
  const std::string address = public_address(server, options.listen);
  core::replace_file(files, core::join_path(options.pool, "address"), address + "\n");
  core::log_info("the pool ", dispatching.pool, " is at ", address, "/ (its token: ", token_file, ")");
  if (!server.loopback())
    core::log_warning("other machines reach it over plain HTTP: whoever sees the traffic sees the token");

  Upkeep upkeep(dispatcher, lock);
  server.run(
      [&] {
        if (upkeep.tick()) server.stop();
      },
      0.2);
  core::log_info("the dispatcher ends; workers go on with what they have and wait for the next one");
  return 0;
}

}  // namespace

void add_serve_command(CLI::App& app, std::function<int()>& run) {
  CLI::App* sub = app.add_subcommand("serve", "the dispatcher: keeps jobs, gives leases, shows a page");
  const auto options = std::make_shared<ServeOptions>();
  sub->add_option("--pool", options->pool, "directory of the pool, on storage that all workers share")
      ->envname("PATHLINE_POOL");
  sub->add_option("--listen", options->listen, "HOST:PORT; port 0: any free one; 0.0.0.0: for other machines, too")
      ->capture_default_str();
  sub->add_option("--token-file", options->token_file, "in place of POOL/token; made where it does not exist");
  sub->add_option("--lease", options->lease_seconds, "seconds after which the work of a silent worker goes to another")
      ->capture_default_str();
  sub->add_option("--max-queued", options->most_queued, "jobs that wait for their first worker; more are refused (429)")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  sub->callback([&run, options] { run = [options] { return serve(*options); }; });
}

}  // namespace pathline::apps
