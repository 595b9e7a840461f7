// SPDX-License-Identifier: Apache-2.0
// Jobs whose samples belong to the rows of a set: --encode (data to noise), --start (noise that is there already) and
// --mask (data of which a part is known).
#pragma once

#include "apps/sample/options.h"
#include "apps/sample/plan.h"
#include "cluster/communicator.h"
#include "sampler/checkpointed_model.h"

namespace pathline::apps {

/// `options` with the count of the set's rows from options.first on, where none was given. Collective.
SampleOptions with_row_count(const SampleOptions& options, cluster::Communicator& world);

/// The same for --mask: samples fill in its rows. Throws ExitCode::kUsage for a model that was not trained for it, for
/// one that was where there is no set, and for options that do not go together.
void fill_in_rows(Plan& plan, const SampleOptions& options, const sampler::CheckpointedModel& loaded);

/// Opens the set that options name, if any, and makes its rows the samples' starts. plan.job.solver goes from noise to
/// data yet. Throws ExitCode::kUsage for options that do not go together and for rows that are not there, kInput for
/// what is no such set.
void start_from_rows(Plan& plan, const SampleOptions& options, const sampler::CheckpointedModel& loaded);

}  // namespace pathline::apps
