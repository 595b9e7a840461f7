// SPDX-License-Identifier: Apache-2.0
// People read and change these scripts, so the text below is written out; only values are filled in.
#include "launch/slurm_script.h"

#include <algorithm>
#include <filesystem>

#include "core/error.h"
#include "launch/shell.h"

namespace pathline::launch {
namespace {

std::string directive(const std::string& option, const std::string& value) {
  if (value.empty()) return "";
  return "#SBATCH --" + option + "=" + sbatch_value(value, "--" + option) + "\n";
}

std::string number(std::int64_t value) { return value > 0 ? std::to_string(value) : ""; }

std::string dependency(const std::string& after) {
  return after.empty() || after.find(':') != std::string::npos ? after : "afterany:" + after;
}

/// Note [A range of nodes]: given --ntasks-per-node, Slurm (22.05) holds a requeued job to the number of tasks of its
/// first start, so that after the loss of a node it waits for that node although fewer would do. With --mincpus the
/// number stays open; the launcher then says how many ranks a node gets.
bool is_range(const SlurmOptions& slurm) { return slurm.nodes.find('-') != std::string::npos; }

std::string ranks_of_a_node(const SlurmOptions& slurm) {
  const std::int64_t ranks = slurm.tasks_per_node();
  if (!is_range(slurm)) return directive("ntasks-per-node", std::to_string(ranks));
  return directive("mincpus", std::to_string(ranks * std::max<std::int64_t>(1, slurm.cpus_per_task)));
}

std::string directives(const SlurmJob& job, const SlurmOptions& slurm) {
  const bool array = job.generation.has_value();
  std::string text =
      "#!/bin/bash\n"
      "# Written by `pathline launch slurm` (docs/clusters.md). Change what you like; submit with sbatch.\n";
  text += directive("job-name", job.name);
  text += directive("nodes", slurm.nodes);
  text += ranks_of_a_node(slurm);
  text += directive("gpus-per-node", number(slurm.gpus_per_node));
  text += directive("cpus-per-task", number(slurm.cpus_per_task));
  text += directive("mem", slurm.mem) + directive("time", slurm.time) + directive("partition", slurm.partition);
  text += directive("account", slurm.account) + directive("qos", slurm.qos) + directive("constraint", slurm.constraint);
  text += directive("output", !slurm.output.empty() ? slurm.output : array ? "%x_%A_%a.out" : "%x_%j.out");
  text += "#SBATCH --open-mode=append\n#SBATCH --requeue\n";
  if (array)
    text += directive("array", "0-" + std::to_string(job.generation->tasks - 1));
  else
    text += directive("signal", "B:USR2@" + std::to_string(slurm.signal_lead));
  text += directive("dependency", dependency(job.after));
  for (const auto& option : slurm.options) text += "#SBATCH " + sbatch_value(option, "slurm.options") + "\n";
  return text;
}

std::string environment(const SlurmJob& job, const Site& site) {
  std::string text = "\ncd " + shell_word(job.directory) + " || exit 4\n";
  for (const auto& line : site.surroundings.setup) text += line + "\n";
  text +=
      "set -uo pipefail\n"
      "export OMP_NUM_THREADS=\"${SLURM_CPUS_PER_TASK:-1}\"\n"
      "export HDF5_USE_FILE_LOCKING=FALSE # shared storage: many readers, no writer\n";
  if (!site.network.nccl_interface.empty()) {
    text += "export NCCL_SOCKET_IFNAME=" + shell_word(site.network.nccl_interface) + "\n";
  }
  if (!site.network.mpi_interface.empty()) {
    const std::string interface = shell_word(site.network.mpi_interface);
    text += "export OMPI_MCA_btl_tcp_if_include=" + interface + " OMPI_MCA_oob_tcp_if_include=" + interface + "\n";
  }
  return text;
}

/// The words before the sub-command: the front end, in its container if there is one.
std::vector<std::string> program(const SlurmJob& job, const SurroundingOptions& surroundings) {
  std::vector<std::string> words;
  if (!surroundings.image.empty()) {
    words = surroundings.container_command;
    words.push_back(surroundings.image);
  }
  words.push_back(job.pathline);
  return words;
}

std::string launcher(const Site& site) {
  const SlurmOptions& slurm = site.slurm;
  const std::string ranks = std::to_string(slurm.tasks_per_node());
  std::vector<std::string> words;
  if (slurm.launcher == "srun") {
    words = {"srun", "--kill-on-bad-exit=1", "--mpi=pmix"};
    if (slurm.cpus_per_task > 0) words.push_back("--cpus-per-task=" + std::to_string(slurm.cpus_per_task));
    if (is_range(slurm)) words.push_back("--ntasks-per-node=" + ranks);
  } else {
    words = {"mpirun", "--bind-to", "none", "-x", "OMP_NUM_THREADS", "-x", "HDF5_USE_FILE_LOCKING"};
    if (!site.network.nccl_interface.empty()) words.insert(words.end(), {"-x", "NCCL_SOCKET_IFNAME"});
    if (is_range(slurm)) words.insert(words.end(), {"--map-by", "ppr:" + ranks + ":node"});
  }
  words.insert(words.end(), slurm.launcher_options.begin(), slurm.launcher_options.end());
  return "launcher=(" + shell_words(words) + ")\n";
}

std::string preflight_words(const SlurmOptions& slurm) {
  return std::string("each_node=(--ntasks=\"$SLURM_JOB_NUM_NODES\" --ntasks-per-node=1") +
         (slurm.launcher == "srun" ? " --mpi=pmix" : "") + ")\n";
}

std::vector<std::string> recipe_arguments(const SlurmJob& job) {
  std::vector<std::string> words = {job.recipe};
  for (const auto& set : job.sets) words.insert(words.end(), {"--set", set});
  return words;
}

constexpr char kRunning[] = R"sh(
# run COMMAND...: its exit code. A signal for this script goes on to the command and ends the wait early, then it waits again.
run() {
  local code
  "$@" &
  job=$!
  [ "$warned" = no ] || kill -s USR2 "$job" # it came before there was a job
  while :; do
    signalled=no
    wait "$job"
    code=$?
    [ "$signalled" = yes ] || break
  done
  job=''
  return "$code"
}
job='' signalled=no warned=no
pass_on() {
  signalled=yes
  [ -z "$job" ] || kill -s "$1" "$job"
}
trap 'warned=yes; pass_on USR2' USR2 # the time is nearly over, or the job is preempted: checkpoint and stop with 64
trap 'pass_on USR1' USR1 # checkpoint and go on
trap 'pass_on USR2' TERM # Slurm ends the job: save what can be saved

say() { echo "$(date '+%F %T') job $SLURM_JOB_ID, restart ${SLURM_RESTART_COUNT:-0}: $*"; }

# give_up_after RESTARTS CODE WHERE: ends the job for good once Slurm has restarted it so often
give_up_after() {
  [ "${SLURM_RESTART_COUNT:-0}" -ge "$1" ] || return 0
  say "ended with $2 $3 after $SLURM_RESTART_COUNT restarts: given up with 65"
  exit 65
}

# again CODE: runs this job again after an end that is not final, unless it was cancelled
again() {
  local state
  state=$(squeue --noheader --jobs "$SLURM_JOB_ID" --format %T 2>/dev/null)
  if [ "$warned" = no ] && [ -n "$state" ] && [ "$state" != RUNNING ]; then
    say "ended with $1 while Slurm calls the job $state: not run again by this script"
    exit "$1"
  fi
  if ! command -v scontrol >/dev/null; then
    say "ended with $1 and should run again, but there is no scontrol here (inside a container?): submit this script again"
    exit "$1"
  fi
  say "ended with $1: run again"
  # Slurm ends this script with TERM before scontrol has its answer
  (trap '' TERM; exec scontrol requeue "$SLURM_JOB_ID") || say "scontrol could not requeue: submit this script again"
  exit "$1"
}
)sh";

constexpr char kPreflight[] = R"sh(
# Every node looks at itself first; 4: something is broken, and the lines above say what and what to do.
say "preflight on $SLURM_JOB_NODELIST"
run srun "${each_node[@]}" "${pathline[@]}" doctor --preflight "${recipe[@]}"
code=$?
case $code in
  2 | 4 | 126 | 127) say "preflight ended with $code: not started, not run again"; exit 4 ;;
esac
if [ "$code" -ne 0 ]; then
  [ "$warned" = yes ] || give_up_after 3 "$code" "in the preflight"
  again "$code"
fi
)sh";

constexpr char kTraining[] = R"sh(
# The run counts its restarts in this file; a start that does not get so far is counted by Slurm alone.
counted=$(cat "$run_directory/restarts.json" 2>/dev/null)
say "starts on $SLURM_JOB_NODELIST"
run "${launcher[@]}" "${pathline[@]}" train "${recipe[@]}"
code=$?
case $code in
  0 | 2 | 3 | 4 | 65 | 66) say "ended with $code, which is final"; exit "$code" ;; # docs/architecture.md, "Exit codes"
esac
[ "$(cat "$run_directory/restarts.json" 2>/dev/null)" != "$counted" ] || give_up_after 3 "$code" "before the run began"
again "$code"
)sh";

constexpr char kGeneration[] = R"sh(
first=$((count * SLURM_ARRAY_TASK_ID / tasks))
last=$((count * (SLURM_ARRAY_TASK_ID + 1) / tasks - 1))
part="$output_stem.ids-$first-$last$output_ending"
if [ -e "$part" ]; then # a file gets its name when it is complete
  say "$part is there already"
  exit 0
fi
[ "$last" -ge "$first" ] || exit 0
mkdir -p "$(dirname "$part")"
say "makes samples $first to $last on $SLURM_JOB_NODELIST"
run "${launcher[@]}" "${pathline[@]}" sample "${sampling[@]}" --first "$first" --count $((last - first + 1)) -o "$part"
code=$?
case $code in
  0 | 2 | 3 | 4 | 65 | 66) say "ended with $code, which is final"; exit "$code" ;; # docs/architecture.md, "Exit codes"
esac
give_up_after 10 "$code" "while making samples"
again "$code"
)sh";

std::string generation_values(const Generation& generation) {
  PL_CHECK(generation.tasks >= 1 && generation.count >= 1, core::ExitCode::kUsage, "--array ", generation.tasks,
           " and --count ", generation.count, " leave nothing to do. Give numbers of at least 1.");
  const std::filesystem::path output(generation.output);
  return "sampling=(" + shell_words(generation.arguments) + ")\ntasks=" + std::to_string(generation.tasks) +
         "\ncount=" + std::to_string(generation.count) +
         "\noutput_stem=" + shell_word((output.parent_path() / output.stem()).string()) +
         "\noutput_ending=" + shell_word(output.extension().string()) + "\n";
}

}  // namespace

std::string batch_script(const SlurmJob& job, const Site& site) {
  std::string text = directives(job, site.slurm) + environment(job, site);
  text += "\npathline=(" + shell_words(program(job, site.surroundings)) + ")\n" + launcher(site);
  if (site.slurm.preflight) text += preflight_words(site.slurm);
  text += "recipe=(" + shell_words(recipe_arguments(job)) + ")\n";
  if (job.generation)
    text += generation_values(*job.generation);
  else
    text += "run_directory=" + shell_word(job.run_directory) + "\n";
  text += kRunning;
  if (site.slurm.preflight) text += kPreflight;
  return text + (job.generation ? kGeneration : kTraining);
}

}  // namespace pathline::launch
