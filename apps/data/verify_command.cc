// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "apps/data/commands.h"
#include "core/error.h"
#include "core/progress.h"
#include "core/text.h"
#include "data/verify.h"

namespace pathline::apps {
namespace {

std::string some_of(const std::vector<std::int64_t>& items) {
  std::vector<std::string> shown;
  for (std::size_t i = 0; i < items.size() && i < 20; ++i) shown.push_back(std::to_string(items[i]));
  if (items.size() > shown.size()) shown.push_back(std::to_string(items.size() - shown.size()) + " more");
  return core::listed(shown);
}

int verify(const std::vector<std::string>& paths) {
  const auto source = data::open_source(paths);
  const auto& info = source->info();
  core::Progress progress("verify", info.count, "items");
  const auto found = data::verify(*source, all_threads(), [&](std::int64_t done) { progress.update(done); });
  progress.finish();
  PL_CHECK(found.damaged.empty(), core::ExitCode::kInput, found.damaged.size(), " of ", info.count, " items of ",
           core::listed(paths), " are damaged (their bytes differ from the stored checksums): ", some_of(found.damaged),
           ". Copy the file again, or import it again from its source.");
  std::cout << "recognised  " << info.description << "\n"
            << info.count << " items read, "
            << (found.checked == info.count ? "all agree with their checksums" : "no checksums are stored")
            << "\ndigest " << found.digest << "\nin any order " << found.unordered << "\n";
  return 0;
}

}  // namespace

void add_verify(CLI::App& app, Run& run) {
  auto* command = app.add_subcommand("verify", "Read everything, check checksums, print the content digest.");
  auto files = std::make_shared<std::vector<std::string>>();
  command->add_option("files", *files, "An image store or another HDF5 file; its parts; or a pattern")->required();
  command->footer("Example:\n  pathline data verify shapes.h5\nExit code 3 if anything is damaged.");
  command->callback([&run, files] { run = [files] { return verify(*files); }; });
}

}  // namespace pathline::apps
