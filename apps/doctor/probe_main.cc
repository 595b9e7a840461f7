// SPDX-License-Identifier: Apache-2.0
// The probing process of `pathline doctor`: looks at one thing after the other and tells its supervisor (Note [Two
// processes] in launch/doctor/examination.h). Not for people.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <memory>

#include "apps/cli.h"
#include "apps/doctor/options.h"
#include "apps/doctor/probes.h"
#include "cluster/mpi_communicator.h"
#include "cluster/self_communicator.h"
#include "cluster/session.h"
#include "cluster/topology.h"
#include "core/error.h"
#include "launch/doctor/examination.h"
#include "launch/doctor/host_probe.h"
#include "launch/doctor/network_probe.h"
#include "launch/doctor/reach.h"
#include "launch/doctor/storage_probe.h"
#include "sampler/compute_device.h"

namespace {

using namespace pathline;
using doctor::Line;

constexpr const char* kStorageHangs =
    "the storage or its server hangs: look whether `ls` and `df` answer there, and at the kernel's log";
constexpr const char* kDriverHangs = "the driver hangs: look at nvidia-smi and the kernel's log";
constexpr const char* kRanksHang = "look at the rank that is behind and at the network between the hosts";

/// All that the probes refer to. Never destroyed: a probe that hangs may still use it.
struct Patient {
  explicit Patient(const apps::DoctorOptions& asked)
      : options(asked),
        launch(doctor::launch_of(cluster::process_environment())),
        exam(launch.rank, asked.seconds()),
        run_ranks(std::max(launch.tasks, launch.slurm_tasks)) {}

  apps::DoctorOptions options;
  doctor::Launch launch;
  doctor::Examination exam;
  int run_ranks;  // of the run to come, which may have more than this look before it
  apps::Needs needs;

  std::unique_ptr<doctor::Presence> presence;
  std::unique_ptr<cluster::MpiSession> mpi;
  std::unique_ptr<doctor::Mail> mail;
  std::unique_ptr<cluster::Communicator> ranks;  // for collective calls; empty where not all ranks reach each other
  cluster::Topology topology;
  std::vector<std::string> gpus;              // that this rank may use
  std::vector<sampler::RankDevices> devices;  // of all ranks; empty where not all reach each other

  int rank() const { return launch.rank; }
  int size() const { return mpi ? mpi->world().size() : 1; }
  double brief(double seconds) const { return options.quick() ? seconds / 4 : seconds; }
};

/// Ranks of the run on this host.
int local_ranks(const Patient& patient) {
  const int hosts = std::max(1, patient.topology.host_count);
  return std::max(patient.topology.local_size, (patient.run_ranks + hosts - 1) / hosts);
}

/// False if MPI does not start; what is known of that has been told.
bool start_mpi(Patient& patient) {
  doctor::Examination& exam = patient.exam;
  const char* job = std::getenv("PMIX_NAMESPACE");
  if (job) {
    exam.look("presence", 5, kStorageHangs, [&patient, job] {
      patient.presence = std::make_unique<doctor::Presence>(patient.needs.directory, job, patient.rank());
      return std::vector<Line>{};
    });
  }
  const auto hung = [&](double waited) {
    std::vector<int> arrived;
    if (patient.presence) {
      for (const auto& [rank, where] : patient.presence->arrived()) arrived.push_back(rank);
    }
    return doctor::judge_missing(patient.launch.tasks, arrived, waited, patient.needs.directory);
  };
  exam.look("MPI_Init", exam.seconds_left() * 0.4, hung, [&patient] {
    patient.mpi = std::make_unique<cluster::MpiSession>(cluster::FirstContact::kByMessages);
    return std::vector<Line>{};
  });
  return !exam.hung() && patient.mpi;
}

/// Which ranks reach each other; on success `ranks` and `topology` are there.
void meet_others(Patient& patient) {
  doctor::Examination& exam = patient.exam;
  cluster::Communicator& world = patient.mpi->world();
  patient.mail = std::make_unique<doctor::Mail>(world);
  doctor::say(doctor::kBegins, "ranks reach each other");
  const double seconds = std::min(10.0, exam.seconds_left() / 6);
  const auto reach = doctor::find_reach(*patient.mail, world.rank(), world.size(), seconds,
                                        patient.presence ? patient.presence->arrived() : std::map<int, std::string>{});
  if (reach.line) exam.tell(*reach.line);
  if (!reach.well) return;
  const bool came = exam.look("ranks", std::min(20.0, exam.seconds_left()), kRanksHang, [&patient] {
    auto ranks = cluster::make_mpi_communicator();
    patient.topology = cluster::find_topology(*ranks);
    patient.ranks = std::move(ranks);
    return std::vector<Line>{};
  });
  if (!came) patient.ranks = nullptr;
}

/// A probe that all ranks make together, or none does: after one that hangs, collective calls have no meaning any more.
void together(Patient& patient, const std::string& name, double seconds, const doctor::Examination::Probe& probe) {
  if (patient.ranks && !patient.exam.look(name, seconds, kRanksHang, probe)) static_cast<void>(patient.ranks.release());
}

/// What the ranks of this host see; of this one alone where ranks do not reach each other.
std::vector<sampler::RankDevices> devices_here(const Patient& patient) {
  std::vector<sampler::RankDevices> here;
  for (const sampler::RankDevices& one : patient.devices) {
    if (one.host == patient.topology.hosts[patient.rank()]) here.push_back(one);
  }
  if (here.empty()) here.push_back({"", patient.gpus});
  return here;
}

void look_at_host(Patient& patient, const std::vector<std::vector<int>>& cores) {
  const auto& needs = patient.needs;
  const int locals = local_ranks(patient);
  patient.exam.look("host", 20, kStorageHangs, [=] {
    const doctor::Memory memory = doctor::look_at_memory(locals, needs.rank_memory);
    return std::vector<Line>{doctor::judge_processors(doctor::look_at_processors(cores, needs.threads)),
                             doctor::judge_memory(memory), doctor::judge_shared_memory(memory),
                             doctor::judge_limits(doctor::look_at_limits(needs.checkpoint_of_rank))};
  });
  const int hosts = patient.topology.host_count;
  patient.exam.look("interfaces", 15, "the name service hangs: look at /etc/resolv.conf and its servers",
                    [hosts] { return std::vector<Line>{doctor::judge_interfaces(doctor::look_at_interfaces(hosts))}; });
  patient.exam.look("devices", 60, kDriverHangs,
                    [=, here = devices_here(patient)] { return apps::look_at_devices(needs.device, locals, here); });
}

void look_at_storage(Patient& patient) {
  const doctor::StorageQuestion question{
      .directory = patient.needs.directory,
      .checkpoint = patient.needs.checkpoint,
      .own_part = patient.needs.checkpoint_of_rank * static_cast<std::uint64_t>(local_ranks(patient)),
      .bytes = patient.options.quick() ? std::uint64_t{8} << 20 : std::uint64_t{64} << 20};
  patient.exam.look("storage", std::max(10.0, patient.exam.seconds_left() / 2), kStorageHangs, [question] {
    core::PosixFileSystem files;
    return doctor::look_at_storage(files, question);
  });
  if (patient.needs.data.empty()) return;
  const double seconds = patient.brief(1.0);
  patient.exam.look("data", std::max(10.0, patient.exam.seconds_left() / 2), kStorageHangs,
                    [needs = patient.needs, seconds] { return apps::look_at_data(needs, seconds); });
}

/// What all ranks do together, with results that rank 0 tells.
void look_together(Patient& patient, std::vector<std::vector<int>>& cores_here) {
  together(patient, "processors", 15, [&] {
    const auto cores = doctor::cores_of_all(*patient.ranks);
    for (int r = 0; r < patient.size(); ++r) {
      if (patient.topology.hosts[r] == patient.topology.hosts[patient.rank()]) cores_here.push_back(cores[r]);
    }
    return std::vector<Line>{};
  });
  together(patient, "GPUs of all ranks", 15, [&patient] {
    patient.devices = sampler::devices_of_all(*patient.ranks);
    return std::vector<Line>{};
  });
  const auto by_rank_0 = [&patient](const Line& line) {
    return patient.rank() == 0 ? std::vector<Line>{line} : std::vector<Line>{};
  };
  together(patient, "clocks", 15, [&patient, by_rank_0] {
    return by_rank_0(doctor::judge_clocks(doctor::clock_skew(*patient.ranks), patient.topology.hosts));
  });
  together(patient, "storage: shared", 25,
           [&patient, by_rank_0] { return by_rank_0(doctor::try_shared(*patient.ranks, patient.needs.directory)); });
  together(patient, "all-reduce", 30, [&patient, by_rank_0] {
    const std::size_t bytes = patient.options.quick() ? 4 << 20 : 32 << 20;
    return by_rank_0(doctor::judge_all_reduce(
        doctor::time_all_reduce(*patient.ranks, patient.topology.host_count, bytes, patient.brief(1.0))));
  });
  together(patient, "all-reduce of the GPUs", 120, [&patient, by_rank_0] {
    auto lines =
        apps::time_device_all_reduce(patient.needs.device, cluster::duplicate(*patient.ranks), patient.brief(1.0));
    return patient.rank() == 0 ? lines : std::vector<Line>{};
  });
}

/// Everything there is to look at, in the order of the report.
void examine(Patient& patient) {
  doctor::Examination& exam = patient.exam;
  exam.look("libraries", 20, kStorageHangs, [] { return apps::look_at_libraries(); });
  exam.look("recipe", 20, kStorageHangs,
            [&] { return apps::look_at_recipe(patient.options, patient.run_ranks, patient.needs); });
  const bool launched = patient.launch.joined;
  const bool started = launched && start_mpi(patient);
  if (started && patient.size() > 1) meet_others(patient);
  if (!launched || started) exam.tell(doctor::judge_ranks(patient.launch, patient.size(), patient.topology.hosts));

  exam.look("GPUs", 60, kDriverHangs, [&patient] {
    patient.gpus = sampler::visible_gpus();
    return std::vector<Line>{};
  });
  std::vector<std::vector<int>> cores;
  look_together(patient, cores);
  if (cores.empty()) cores.push_back(doctor::allowed_cores());
  if (patient.topology.local_rank == 0) {
    look_at_host(patient, cores);
    look_at_storage(patient);
  }
  if (patient.rank() > 0) return;
  exam.look("Slurm", 15, "ask the administrator why scontrol hangs", [] {
    const auto job = doctor::look_at_slurm();
    return job ? std::vector<Line>{doctor::judge_slurm(*job)} : std::vector<Line>{};
  });
}

/// Rank 0 passes on what the others tell; true if this rank's lines have got to where they are shown.
bool report(Patient& patient) {
  if (!patient.mail) return false;
  doctor::say(doctor::kBegins, "reports");
  const bool all_well = patient.ranks != nullptr;
  const double seconds = all_well ? patient.exam.seconds_left() : std::min(15.0, patient.exam.seconds_left());
  if (patient.rank() > 0) return doctor::deliver(*patient.mail, patient.exam.lines(), seconds);
  for (const Line& line : doctor::collect_lines(*patient.mail, patient.size(), seconds)) patient.exam.pass_on(line);
  return false;
}

[[noreturn]] void leave(Patient& patient, bool delivered) {
  patient.presence.reset();
  doctor::say(doctor::kEnded, delivered ? doctor::kDelivered : "");
  const bool in_order = patient.mpi && !patient.exam.hung() && (patient.ranks || patient.size() == 1);
  if (in_order) {
    patient.ranks.reset();
    patient.mail.reset();
    patient.mpi.reset();
  }
  ::_exit(in_order || !patient.mpi ? 0 : 1);  // at once: threads may hang, and MPI with them
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{apps::kDoctorHelp};
  apps::DoctorOptions options;
  apps::add_options(app, options);
  return apps::run_cli(app, argc, argv, [&]() -> int {
    static Patient* const patient = new Patient(options);
    examine(*patient);
    leave(*patient, report(*patient));
  });
}
