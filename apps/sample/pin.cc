// SPDX-License-Identifier: Apache-2.0
#include "apps/sample/pin.h"

#include <array>
#include <utility>

#include "apps/sample/plan_record.h"
#include "checkpoint/checkpoint.h"
#include "cluster/agree.h"
#include "core/log.h"

namespace pathline::apps {
namespace {

struct Source {
  std::string SampleOptions::*option;
  const char* field;  // of the job's record
  bool may_be_file;
};

constexpr std::array<Source, 4> kSources = {{{&SampleOptions::checkpoint, "checkpoint", false},
                                             {&SampleOptions::guide_with, "guide-with", false},
                                             {&SampleOptions::classifier, "classifier", true},
                                             {&SampleOptions::features, "features", true}}};

}  // namespace

std::string pinned_step(core::FileSystem& files, const std::string& path, const std::string& recorded) {
  const std::string newest = checkpoint::resolve(files, path);
  if (recorded.empty() || newest == path) return newest;
  for (const checkpoint::Listed& one : checkpoint::list(files, core::parent_of(newest))) {
    if (!one.problem.empty() || recorded.find(manifest_text(one.directory)) == std::string::npos) continue;
    if (one.directory != newest) {
      core::log_info("going on with ", one.directory, ", which the job began with (the newest is ", newest,
                     " now; for that one choose another output)");
    }
    return one.directory;
  }
  return newest;
}

SampleOptions with_pinned_steps(core::FileSystem& files, const SampleOptions& options,
                                const std::optional<sampler::JobRecord>& begun, cluster::Communicator& ranks) {
  SampleOptions pinned = options;
  cluster::together(ranks, [&] {
    if (ranks.rank() != 0) return;
    for (const Source& source : kSources) {
      std::string& path = pinned.*source.option;
      if (path.empty() || (source.may_be_file && !files.is_directory(path))) continue;
      path = pinned_step(files, path, begun ? begun->value(source.field) : "");
    }
  });
  for (const Source& source : kSources) pinned.*source.option = cluster::word_of_root(ranks, pinned.*source.option);
  return pinned;
}

}  // namespace pathline::apps
