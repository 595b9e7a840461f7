// SPDX-License-Identifier: Apache-2.0
// The labels that sample ids cycle through, from the text of --labels.
#include <cctype>
#include <filesystem>
#include <string_view>

#include "core/error.h"
#include "core/file_system.h"
#include "core/text.h"
#include "sampler/generate.h"

namespace pathline::sampler {
namespace {

void append_checked(std::int64_t label, std::int64_t classes, const std::string& text,
                    std::vector<std::int64_t>& labels) {
  PL_CHECK(label >= 0 && label < classes, core::ExitCode::kUsage, "label ", label, " of --labels ", text,
           " does not exist (the model knows 0 to ", classes - 1, "). Choose among those, or \"all\".");
  labels.push_back(label);
}

bool is_list(std::string_view text) { return text.find_first_not_of("0123456789,- ") == std::string_view::npos; }

std::vector<std::int64_t> from_list(const std::string& text, std::int64_t classes) {
  std::vector<std::int64_t> labels;
  for (const std::string& part : core::split(text, ',')) {
    const std::size_t dash = part.find('-', 1);
    const std::int64_t from = core::parse_integer(part.substr(0, dash), "--labels");
    const std::int64_t to = dash == std::string::npos ? from : core::parse_integer(part.substr(dash + 1), "--labels");
    PL_CHECK(from <= to, core::ExitCode::kUsage, "the range ", part,
             " of --labels is empty. Write the smaller label first.");
    append_checked(from, classes, text, labels);
    append_checked(to, classes, text, labels);
    labels.resize(labels.size() - 2);
    for (std::int64_t label = from; label <= to; ++label) labels.push_back(label);
  }
  return labels;
}

std::vector<std::int64_t> from_file(const std::string& path, std::int64_t classes) {
  core::PosixFileSystem files;
  std::vector<std::int64_t> labels;
  for (std::string line : core::split(core::read_text(files, path), '\n')) {
    while (!line.empty() && std::isspace(static_cast<unsigned char>(line.back()))) line.pop_back();
    if (!line.empty()) append_checked(core::parse_integer(line, path), classes, path, labels);
  }
  return labels;
}

}  // namespace

std::vector<std::int64_t> parse_labels(const std::string& text, std::int64_t classes) {
  constexpr auto kUsage = core::ExitCode::kUsage;
  PL_CHECK(classes > 0, kUsage, "--labels ", text, " was given, but the model is unconditional. Leave --labels out.");
  std::vector<std::int64_t> labels;
  if (text == "all") {
    for (std::int64_t label = 0; label < classes; ++label) labels.push_back(label);
  } else if (is_list(text)) {
    labels = from_list(text, classes);
  } else {
    PL_CHECK(std::filesystem::is_regular_file(text), kUsage, "--labels ", text,
             " is neither \"all\", nor labels such as 3 or 0-9 or 0,4,7, nor a file of one label a line.");
    labels = from_file(text, classes);
  }
  PL_CHECK(!labels.empty(), kUsage, "--labels ", text, " names no label. Leave it out, or name some.");
  return labels;
}

}  // namespace pathline::sampler
