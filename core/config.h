// SPDX-License-Identifier: Apache-2.0
// A recipe: TOML sections of keys. Each folder binds the keys of its own options; a key nobody bound is an error that
// names the nearest known one. What is dumped is itself a recipe.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace pathline::core {

/// What a resume with another value means (docs/recipes.md, "Resuming with another recipe").
enum class OnResume {
  kFree,        // paths, log, checkpoint, sample
  kChangeable,  // said loudly and recorded
  kFixed,       // refused
};

class Config {
 public:
  Config();
  ~Config();
  Config(Config&&) noexcept;
  Config& operator=(Config&&) noexcept;

  /// Throws ExitCode::kUsage with line and column if the text is not TOML. `origin` is named in messages.
  static Config from_text(std::string_view text, const std::string& origin);
  static Config from_file(const std::string& path);

  /// "section.key=value"; the value is TOML, or taken as a string if it is not.
  void set(std::string_view assignment);

  /// Gives `value` what the recipe says for [section] key, and leaves the default otherwise. Numbers are accepted for
  /// strings (data.validation = 0.02), whole numbers for double, a single value for a list of one. A value of another
  /// type is an error (kUsage).
  void bind(std::string_view section, std::string_view key, bool& value, OnResume on_resume, std::string_view comment);
  void bind(std::string_view section, std::string_view key, std::int64_t& value, OnResume on_resume,
            std::string_view comment);
  void bind(std::string_view section, std::string_view key, double& value, OnResume on_resume,
            std::string_view comment);
  void bind(std::string_view section, std::string_view key, std::string& value, OnResume on_resume,
            std::string_view comment);
  void bind(std::string_view section, std::string_view key, std::vector<double>& value, OnResume on_resume,
            std::string_view comment);
  void bind(std::string_view section, std::string_view key, std::vector<std::int64_t>& value, OnResume on_resume,
            std::string_view comment);
  void bind(std::string_view section, std::string_view key, std::vector<std::string>& value, OnResume on_resume,
            std::string_view comment);

  /// True if the recipe itself (not a default) gives the key.
  bool has(std::string_view section, std::string_view key) const;

  /// Replaces the effective value of a bound key, for defaults that are computed (train.slices), found in
  /// the data, or written out (flow.path).
  void resolve(std::string_view section, std::string_view key, std::int64_t value);
  void resolve(std::string_view section, std::string_view key, const std::vector<double>& value);
  void resolve(std::string_view section, std::string_view key, const std::string& value);

  /// After all options are bound: throws kUsage for the first key that nobody bound, naming the nearest known key.
  void refuse_unknown_keys() const;

  /// The complete effective recipe, every bound key in order of binding with its comment.
  std::string dump() const;

  struct Entry {
    std::string value;  // as TOML
    OnResume on_resume;
  };
  /// "section.key" -> effective value of every bound key.
  const std::map<std::string, Entry>& effective() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pathline::core
