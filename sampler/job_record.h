// SPDX-License-Identifier: Apache-2.0
// What the bytes of a job's samples depend on, as texts. Parts of jobs with different records never meet in one set.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace pathline::sampler {

class JobRecord {
 public:
  /// Fields keep their order. `name` is what a message calls it.
  void add(const std::string& name, const std::string& value);
  const std::vector<std::pair<std::string, std::string>>& fields() const { return fields_; }
  /// The same without that field.
  JobRecord without(const std::string& name) const;
  /// Empty where there is no such field.
  std::string value(const std::string& name) const;

  /// The bytes of job.json.
  std::string text() const;
  /// Throws ExitCode::kInput naming `path` for bytes that are no job record of this version.
  static JobRecord parse(const std::string& text, const std::string& path);
  /// FNV-1a of text().
  std::uint64_t identity() const;

  /// "seed (5 there, 7 asked for)" for every field in which `asked` differs; empty if they are the same job.
  std::vector<std::string> differences(const JobRecord& asked) const;

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

}  // namespace pathline::sampler
