// SPDX-License-Identifier: Apache-2.0
// Small runs on points for tests of whole runs.
#pragma once

#include <functional>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "cluster/agree.h"
#include "core/file_system.h"
#include "core/random.h"
#include "data/image_store_writer.h"
#include "tests/support/ranks.h"
#include "trainer/training_run.h"

namespace pathline::trainer {

/// `count` normal points of three classes; those of `bad` hold a NaN.
inline void write_points(const std::string& path, std::int64_t count, const std::set<std::int64_t>& bad) {
  data::SetInfo info;
  info.kind = data::ItemKind::kPoint;
  info.count = count;
  info.channels = 2;
  info.classes = 3;
  data::ImageStoreWriter writer(path, info);
  for (std::int64_t i = 0; i < count; ++i) {
    std::vector<float> point(2);
    core::Draws(1, static_cast<std::uint64_t>(i), core::Purpose::kMadeData).fill_normal(point);
    if (bad.contains(i)) point[1] = std::numeric_limits<float>::quiet_NaN();
    writer.append(std::as_bytes(std::span(point)), i % 3);
  }
  writer.finish();
}

/// A run's files below a directory that all ranks share. 9 steps on windows of 28 samples.
class Runs {
 public:
  Runs(cluster::Communicator& ranks, std::int64_t count, const std::set<std::int64_t>& bad = {})
      : root_(tests::shared_temporary_directory(ranks, "runs")) {
    cluster::together(ranks, [&] {
      if (ranks.rank() != 0) return;
      write_points(data(), count, bad);
      core::replace_file(files_, root_ + "/recipe.toml",
                         "[data]\nvalidation = 0.1\n[model]\nname = \"MLP\"\nhidden = 32\n"
                         "[train]\nsteps = 9\nbatch = 28\nslices = 7\n[optimizer]\nlr = 0.01\n[ema]\ndecays = [0.9]\n"
                         "[checkpoint]\nkeep_last = 20\n");
    });
  }

  std::string data() const { return root_ + "/points.h5"; }
  std::string directory(const std::string& name) const { return root_ + "/" + name; }

  core::ExitCode train(
      const std::string& name, const std::vector<std::string>& sets, cluster::Communicator& ranks,
      std::function<Requests()> requests = [] { return Requests{}; }) const {
    RunRequest request;
    request.recipe = root_ + "/recipe.toml";
    request.sets = sets;
    request.sets.push_back("data.path=[\"" + data() + "\"]");
    request.sets.push_back("run.directory=\"" + directory(name) + "\"");
    request.requests = std::move(requests);
    return run_training(request, ranks);
  }

  /// Bytes of every tensor of the newest checkpoint, by "kind/name".
  std::map<std::string, std::vector<std::byte>> newest(const std::string& name) {
    const checkpoint::Reader reader(files_, checkpoint::resolve(files_, directory(name)));
    std::map<std::string, std::vector<std::byte>> tensors;
    for (const auto& record : reader.tensors()) {
      std::uint64_t elements = 1;
      for (const auto size : record.shape) elements *= static_cast<std::uint64_t>(size);
      auto& bytes = tensors[record.kind + "/" + record.name];
      bytes.resize(elements * sizeof(float));
      reader.read(record.kind, record.name, 0, elements, bytes);
    }
    return tensors;
  }

  checkpoint::State newest_state(const std::string& name) {
    return checkpoint::Reader(files_, checkpoint::resolve(files_, directory(name))).state();
  }

  std::string log(const std::string& name) { return core::read_text(files_, directory(name) + "/log.txt"); }
  std::string metrics(const std::string& name) { return core::read_text(files_, directory(name) + "/metrics.jsonl"); }

 private:
  std::string root_;
  core::PosixFileSystem files_;
};

}  // namespace pathline::trainer
