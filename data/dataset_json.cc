// SPDX-License-Identifier: Apache-2.0
#include "data/dataset_json.h"

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "core/error.h"

namespace pathline::data {
namespace {

using core::ExitCode;
using nlohmann::json;
using Labels = std::unordered_map<std::string, std::int64_t>;

constexpr std::int64_t kMostClasses = std::int64_t{1} << 24;

[[noreturn]] void refuse(const std::string& origin, const std::string& why) {
  throw core::Error(ExitCode::kInput,
                    core::concat(origin, " cannot be used: ", why,
                                 ". It should be {\"labels\": [[\"00000/a.png\", 6], ...]} or {\"labels\": null}, as "
                                 "dataset_tool.py of StyleGAN and EDM writes it. Mend it, or remove it to take class "
                                 "folders for labels."));
}

/// The value of "labels"; null where it is not there.
json labels_in(const std::string& text, const std::string& origin) {
  const json whole = json::parse(text, nullptr, false);
  if (whole.is_discarded()) refuse(origin, "it is no JSON");
  if (!whole.is_object()) refuse(origin, "it is no JSON object");
  const auto found = whole.find("labels");
  return found == whole.end() ? json() : *found;
}

Labels read_labels(const json& list, const std::string& origin) {
  if (!list.is_array()) refuse(origin, core::concat("its \"labels\" are no list but ", list.type_name()));
  Labels labels;
  for (const json& entry : list) {
    if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string()) {
      refuse(origin, core::concat("the entry ", entry.dump(), " is no pair of a name and a label"));
    }
    const auto name = entry[0].get<std::string>();
    const auto label = entry[1].is_number_integer() ? entry[1].get<std::int64_t>() : -1;
    if (label < 0 || label >= kMostClasses) {
      refuse(origin, core::concat("the label of ", name, " is ", entry[1].dump(), ", no whole number from 0 to ",
                                  kMostClasses - 1));
    }
    if (!labels.emplace(name, label).second) refuse(origin, core::concat(name, " is listed twice"));
  }
  return labels;
}

}  // namespace

void assign_listed_labels(EncodedSet& set, const std::string& text, const std::string& under,
                          const std::string& origin) {
  const json list = labels_in(text, origin);
  if (list.is_null()) return;
  Labels labels = read_labels(list, origin);
  for (EncodedPicture& picture : set.pictures) {
    const auto found = labels.find(picture.name);
    PL_CHECK(found != labels.end(), ExitCode::kInput, origin, " has no label for ", picture.name, " (it lists ",
             list.size(), " pictures). Add it, or take the picture away.");
    picture.label = found->second;
    set.classes = std::max(set.classes, picture.label + 1);
    labels.erase(found);
  }
  for (const auto& [name, label] : labels) {
    PL_CHECK(!lies_below(name, under), ExitCode::kInput, origin, " lists ", name, ", which is not there (",
             labels.size(), " listed pictures are missing). Fetch or copy the set again, or take them from the list.");
  }
}

}  // namespace pathline::data
