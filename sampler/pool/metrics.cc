// SPDX-License-Identifier: Apache-2.0
#include <sstream>

#include "sampler/pool/api.h"

namespace pathline::pool {
namespace {

/// One metric family: HELP, TYPE, then its lines.
class Family {
 public:
  Family(std::ostringstream& out, const char* name, const char* type, const char* help) : out_(out), name_(name) {
    out_ << "# HELP pathline_pool_" << name << ' ' << help << "\n# TYPE pathline_pool_" << name << ' ' << type << '\n';
  }
  void line(double value, const std::string& labels = "") {
    out_ << "pathline_pool_" << name_ << labels << ' ' << value << '\n';
  }

 private:
  std::ostringstream& out_;
  const char* name_;
};

void count_lines(std::ostringstream& out, const Counters& counters) {
  const auto counter = [&](const char* name, const char* help, std::int64_t value) {
    Family(out, name, "counter", help).line(static_cast<double>(value));
  };
  counter("leases_total", "Leases given.", counters.leases);
  counter("leases_lost_total", "Leases that ran out.", counters.lost);
  counter("leases_returned_total", "Leases that workers gave back.", counters.returned);
  counter("errors_total", "Errors that workers reported.", counters.errors);
  counter("commits_total", "Files committed.", counters.commits);
  counter("duplicate_commits_total", "Commits that were asked for again.", counters.duplicates);
  counter("parked_samples_total", "Samples that are not tried again.", counters.parked);
  counter("samples_total", "Samples committed.", counters.samples);
  counter("network_evaluations_total", "Forward passes of committed samples.", counters.nfe);
  counter("rejected_steps_total", "Steps of committed samples that their error made smaller.", counters.rejected);
  counter("useful_rows_total", "Rows of evaluated batches that samples had asked for.", counters.useful_rows);
  counter("evaluated_rows_total", "Rows of evaluated batches.", counters.evaluated_rows);
  const double evaluated = static_cast<double>(counters.evaluated_rows);
  Family(out, "occupancy_ratio", "gauge", "Useful rows over evaluated rows, since the dispatcher started.")
      .line(evaluated > 0 ? static_cast<double>(counters.useful_rows) / evaluated : 0);
}

}  // namespace

std::string metrics_text(Dispatcher& dispatcher) {
  std::ostringstream out;
  out.precision(15);
  count_lines(out, dispatcher.counters());
  std::map<std::string, std::int64_t> workers = {{"alive", 0}, {"lost", 0}};
  for (const WorkerView& worker : dispatcher.workers()) {
    if (worker.state != "left") ++workers[worker.state];
  }
  Family alive(out, "workers", "gauge", "Workers by state.");
  for (const auto& [state, count] : workers) alive.line(static_cast<double>(count), "{state=\"" + state + "\"}");

  std::map<std::string, std::int64_t> states = {{"queued", 0},    {"running", 0}, {"finalizing", 0},
                                                {"completed", 0}, {"failed", 0},  {"cancelled", 0}};
  double rate = 0, waiting = 0, leases = 0;
  for (const JobView& job : dispatcher.jobs()) {
    ++states[job.state];
    leases += static_cast<double>(job.leases);
    if (job.state != "queued" && job.state != "running") continue;
    rate += job.images_per_second;
    waiting += static_cast<double>(job.spec.count - job.done - job.failed);
  }
  Family jobs(out, "jobs", "gauge", "Jobs by state.");
  for (const auto& [state, count] : states) jobs.line(static_cast<double>(count), "{state=\"" + state + "\"}");
  Family(out, "images_per_second", "gauge", "Samples committed a second, over the last two minutes.").line(rate);
  Family(out, "queued_samples", "gauge", "Samples of all jobs that are not done.").line(waiting);
  Family(out, "leases_held", "gauge", "Leases that workers hold.").line(leases);
  Family(out, "draining", "gauge", "1 while no leases are given.").line(dispatcher.draining() ? 1 : 0);
  return out.str();
}

}  // namespace pathline::pool
