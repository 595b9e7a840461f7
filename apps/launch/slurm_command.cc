// SPDX-License-Identifier: Apache-2.0
// `pathline launch slurm RECIPE`: writes a batch script, prints it or submits it.
#include <sys/wait.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>

#include "apps/launch/commands.h"
#include "apps/launch/recipe_facts.h"
#include "checkpoint/checkpoint.h"
#include "core/error.h"
#include "core/file_system.h"
#include "core/log.h"
#include "core/text.h"
#include "core/toml_text.h"
#include "launch/back_ends.h"
#include "launch/shell.h"
#include "launch/signals.h"
#include "launch/slurm_script.h"

namespace pathline::apps {
namespace {

using core::ExitCode;
namespace fs = std::filesystem;

struct SlurmCommand {
  std::string recipe, name, after, script, samples;
  std::vector<std::string> sets, sampling;
  std::vector<std::string> site_sets;  // "slurm.nodes=4", from the options that were given
  std::int64_t array = 0, count = 0;
  bool submit = false, dry_run = false;
};

/// An option that stands for a key of the site's file.
void add_site_option(CLI::App& app, SlurmCommand& command, const std::string& option, const std::string& key, bool text,
                     const std::string& help) {
  app.add_option_function<std::string>(
      option,
      [&command, key, text](const std::string& value) {
        command.site_sets.push_back(key + "=" + (text ? core::toml_text(value) : value));
      },
      help);
}

void add_site_options(CLI::App& app, SlurmCommand& command) {
  const auto text = [&](const char* option, const char* key, const char* help) {
    add_site_option(app, command, option, key, true, help);
  };
  const auto number = [&](const char* option, const char* key, const char* help) {
    add_site_option(app, command, option, key, false, help);
  };
  text("--nodes", "slurm.nodes", "4, or 2-4 for what there is (default 1)");
  number("--gpus-per-node", "slurm.gpus_per_node", "as many ranks a node");
  number("--ranks-per-node", "slurm.ranks_per_node", "on nodes without GPUs");
  number("--cpus-per-task", "slurm.cpus_per_task", "cores of a rank");
  text("--mem", "slurm.mem", "of a node, as for sbatch (default 0: all)");
  text("--time", "slurm.time", "limit, as for sbatch: 24:00:00");
  text("--partition", "slurm.partition", "as for sbatch");
  text("--account", "slurm.account", "as for sbatch");
  text("--qos", "slurm.qos", "as for sbatch");
  text("--constraint", "slurm.constraint", "as for sbatch");
  text("--output", "slurm.output", "the job's output file (default %x_%j.out)");
  number("--signal-lead", "slurm.signal_lead",
         "seconds before the limit at which the run is asked to stop (default 120)");
  text("--launcher", "slurm.launcher", "mpirun | srun (default mpirun)");
  text("--container", "container.image", "Apptainer image that the programs run in (scripts/pathline.def)");
  app.add_flag_callback(
      "--no-preflight", [&command] { command.site_sets.push_back("slurm.preflight=false"); },
      "start without `pathline doctor` on every node");
}

/// What the command line says replaces what the site says of the other kind of ranks.
std::vector<std::string> with_one_kind_of_ranks(std::vector<std::string> sets) {
  const auto given = [&](const std::string& key) {
    return std::ranges::any_of(sets, [&](const std::string& set) { return set.starts_with(key + "="); });
  };
  const bool gpus = given("slurm.gpus_per_node"), ranks = given("slurm.ranks_per_node");
  if (gpus && !ranks) sets.push_back("slurm.ranks_per_node=0");
  if (ranks && !gpus) sets.push_back("slurm.gpus_per_node=0");
  return sets;
}

/// All tasks of an array sample from one step, whenever their turn comes and however often it is submitted again. After
/// another job there will be a newer one, which is meant.
std::string pinned(const std::string& run_directory, const std::string& after) {
  core::PosixFileSystem files;
  if (!after.empty()) return run_directory;
  try {
    return checkpoint::resolve(files, run_directory);
  } catch (const core::Error& error) {
    if (error.code() == ExitCode::kEnvironment) throw;
    core::log_warning(run_directory, " holds no checkpoint yet: each task will take the newest when it starts, and ",
                      "tasks may take different ones. Write the script again once there is one, or name it after --: ",
                      "--checkpoint ", core::join_path(run_directory, "checkpoints/step-N"));
    return run_directory;
  }
}

launch::Generation generation_of(const SlurmCommand& command, const std::string& run_directory) {
  PL_CHECK(command.count > 0 && !command.samples.empty(), ExitCode::kUsage, "--array ", command.array,
           " makes samples, so it needs --count (how many, over all tasks) and --samples FILE "
           "(each task's file is named after it). Give both.");
  launch::Generation generation{command.array, command.count, command.samples, command.sampling};
  const bool elsewhere = std::ranges::any_of(command.sampling, [](const std::string& word) {
    return word == "--checkpoint" || word.starts_with("--checkpoint=");
  });
  if (elsewhere) return generation;
  generation.arguments.insert(generation.arguments.begin(), {"--checkpoint", pinned(run_directory, command.after)});
  return generation;
}

launch::SlurmJob job_of(const SlurmCommand& command, const launch::Site& site) {
  launch::SlurmJob job;
  job.recipe = fs::absolute(command.recipe).lexically_normal().string();
  job.name = command.name.empty() ? fs::path(command.recipe).stem().string() : command.name;
  job.directory = fs::current_path().string();
  job.pathline = site.surroundings.image.empty() ? core::join_path(launch::own_directory(), "pathline") : "pathline";
  job.run_directory = recipe_facts(command.recipe, command.sets).run_directory;
  job.sets = command.sets;
  job.after = command.after;
  PL_CHECK(
      command.array > 0 || (command.count == 0 && command.samples.empty() && command.sampling.empty()),
      ExitCode::kUsage,
      "options for generation were given without --array (a run is trained then). Add --array N, or leave them out.");
  if (command.array > 0) job.generation = generation_of(command, job.run_directory);
  return job;
}

/// A mistake in the recipe, or more ranks than it has slices, is found now, not when the job's turn has come; its
/// program says which. Inside an image it is found by the preflight.
bool recipe_is_wrong(const SlurmCommand& command, const launch::Site& site) {
  if (!site.surroundings.image.empty()) return false;
  std::vector<std::string> words = {core::join_path(launch::own_directory(), "pathline-train"), command.recipe,
                                    "--dump"};
  if (command.array == 0) words.insert(words.end(), {"--ranks", std::to_string(site.slurm.most_ranks())});
  for (const auto& set : command.sets) words.insert(words.end(), {"--set", set});
  const int status = std::system((launch::shell_words(words) + " >/dev/null").c_str());
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  if (code != 0 && code != static_cast<int>(ExitCode::kUsage)) {
    core::log_warning("the recipe could not be checked here: pathline-train does not run on this machine");
  }
  return code == static_cast<int>(ExitCode::kUsage);
}

/// A script that stands there may have been changed by hand: it is kept.
void write_script(const std::string& path, const std::string& text) {
  core::PosixFileSystem files;
  if (files.exists(path) && core::read_text(files, path) != text) {
    files.rename(path, path + ".old");
    std::fprintf(stderr, "the former %s is kept as %s.old\n", path.c_str(), path.c_str());
  }
  core::replace_file(files, path, text);
}

/// The job's id.
std::string submitted(const std::string& script) {
  const std::string command = "sbatch --parsable " + launch::shell_word(script);
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), [](FILE*) { return 0; });
  PL_CHECK(pipe != nullptr, ExitCode::kEnvironment, "cannot start a shell for ", command, ": ", core::errno_text(),
           ".");
  std::string id;
  for (int c; (c = std::fgetc(pipe.get())) != EOF;) {
    if (c != '\n') id += static_cast<char>(c);
  }
  const int status = ::pclose(pipe.get());
  PL_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, ExitCode::kEnvironment, command, " failed with ",
           WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
           " (nothing was submitted; its own words are above). ",
           "The script is there: correct it, or the options, and submit again.");
  return id;
}

int write_or_submit(const SlurmCommand& command) {
  launch::unblock_job_signals();
  const launch::Site site = launch::read_site(launch::site_file(), with_one_kind_of_ranks(command.site_sets));
  if (recipe_is_wrong(command, site)) return static_cast<int>(ExitCode::kUsage);
  const std::string text = launch::batch_script(job_of(command, site), site);
  if (command.dry_run) {
    std::fputs(text.c_str(), stdout);
    return 0;
  }
  const std::string script =
      command.script.empty() ? fs::path(command.recipe).replace_extension(".sbatch").string() : command.script;
  write_script(script, text);
  if (command.submit) {
    const std::string id = submitted(script);
    std::fprintf(stderr, "submitted %s as job %s\n", script.c_str(), id.c_str());
    std::printf("%s\n", id.c_str());
  } else {
    std::fprintf(stderr, "wrote %s; submit it with\n", script.c_str());
    std::printf("sbatch %s\n", launch::shell_word(script).c_str());
  }
  return 0;
}

}  // namespace

void add_slurm_command(CLI::App& app, Run& run) {
  const auto command = std::make_shared<SlurmCommand>();
  CLI::App* sub = app.add_subcommand(
      "slurm",
      "Writes a batch script for a run, or with --array for samples of it; options not given come from\n" +
          launch::site_file() +
          " (docs/clusters.md).\n"
          "Example: pathline launch slurm recipe.toml --array 8 --count 50000 --samples fake.h5 -- --solver heun");
  sub->add_option("recipe", command->recipe, "TOML file (docs/recipes.md)")->required();
  sub->add_option("--set", command->sets, "changes a key of the recipe: section.key=value")->take_all()->expected(1);
  add_site_options(*sub, *command);
  sub->add_option("--job-name", command->name, "default: the recipe's name");
  sub->add_option("--after", command->after, "starts when this job has ended: its id, or for example afterok:123");
  sub->add_option("--array", command->array, "makes samples in as many tasks instead of training")
      ->check(CLI::PositiveNumber);
  sub->add_option("--count", command->count, "samples of all tasks together")->check(CLI::PositiveNumber);
  sub->add_option("--samples", command->samples, "OUT.h5, .npz or .png: a file for each task, its ids in the name");
  sub->add_option("sampling", command->sampling, "after --: further options of pathline sample");
  sub->add_option("-o,--script", command->script, "where the script goes (default: beside the recipe)");
  CLI::Option* submit = sub->add_flag("--submit", command->submit, "hand it to sbatch; prints the job's id");
  sub->add_flag("--dry-run", command->dry_run, "print the script and write nothing")->excludes(submit);
  sub->callback([&run, command] { run = [command] { return write_or_submit(*command); }; });
}

}  // namespace pathline::apps
