// SPDX-License-Identifier: Apache-2.0
// `pathline doctor`: starts the probing process, listens to it, prints the report. Needs no library but the C++ one, so
// that it can say which one is missing (Note [Two processes] in launch/doctor/examination.h).
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "apps/cli.h"
#include "apps/doctor/options.h"
#include "core/error.h"
#include "core/file_system.h"
#include "core/machine.h"
#include "launch/doctor/judge_ranks.h"
#include "launch/doctor/report.h"
#include "launch/doctor/supervisor.h"

namespace {

using namespace pathline;

std::string probing_program() {
  char path[PATH_MAX];
  const ssize_t length = ::readlink("/proc/self/exe", path, sizeof path);
  PL_CHECK(length > 0, core::ExitCode::kEnvironment, "cannot read /proc/self/exe: ", core::errno_text(),
           ". Mount /proc.");
  return core::join_path(core::parent_of(std::string(path, static_cast<std::size_t>(length))), "pathline-doctor-probe");
}

/// Rank 0 waits for nobody here; a rank whose lines did not get to it shows them itself.
void show(const apps::DoctorOptions& options, const doctor::Told& told, const doctor::Launch& launch) {
  auto findings = doctor::merged(told.lines);
  if (launch.rank > 0)
    std::erase_if(findings, [](const auto& finding) { return finding.line.verdict == doctor::Verdict::kGood; });
  if (launch.rank == 0 && options.json == "-") {
    std::fputs(doctor::json_of(findings, launch.tasks).c_str(), stdout);
  } else {
    const std::string header =
        launch.rank == 0 ? "" : core::concat("rank ", launch.rank, " on ", core::host_name(), ":\n");
    std::fputs((header + doctor::text_of(findings, launch.tasks)).c_str(), options.json == "-" ? stderr : stdout);
  }
  std::fflush(stdout);
  if (launch.rank > 0 || options.json.empty() || options.json == "-") return;
  std::ofstream file(options.json);
  file << doctor::json_of(findings, launch.tasks);
  file.close();
  PL_CHECK(!file.fail(), core::ExitCode::kEnvironment, "cannot write ", options.json,
           " (the report as JSON). Choose another file.");
}

int run(const apps::DoctorOptions& options, int argc, char** argv) {
  const double begin = core::monotonic_seconds();
  const doctor::Launch launch = doctor::launch_of([](const std::string& name) { return std::getenv(name.c_str()); });
  std::vector<std::string> arguments{probing_program()};
  arguments.insert(arguments.end(), argv + 1, argv + argc);
  const doctor::Told told = doctor::supervise(arguments, options.seconds() + 5, launch.rank);
  if (told.delivered && told.in_order) return 0;  // rank 0 shows the lines and ends the job with its code
  const int code = told.delivered ? static_cast<int>(core::ExitCode::kEnvironment) : doctor::exit_code_of(told.lines);
  if (!told.delivered) show(options, told, launch);
  if (launch.rank > 0 && launch.joined && code != 0) {
    // The first process that ends otherwise than in order ends the others under mpirun: rank 0 is to speak before.
    const double left = options.seconds() + 7 - (core::monotonic_seconds() - begin);
    std::this_thread::sleep_for(std::chrono::duration<double>(left));
  }
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{apps::kDoctorHelp};
  apps::DoctorOptions options;
  apps::add_options(app, options);
  return apps::run_cli(app, argc, argv, [&] { return run(options, argc, argv); });
}
