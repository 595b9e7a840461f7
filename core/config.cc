// SPDX-License-Identifier: Apache-2.0
// toml++ stays in this file. The table of what the recipe gives is kept apart from the effective values of bound keys.
#include "core/config.h"

#include <toml++/toml.h>
#include <algorithm>
#include <optional>
#include <sstream>
#include <utility>

#include "core/error.h"
#include "core/file_system.h"
#include "core/text.h"
#include "core/toml_text.h"

namespace pathline::core {
namespace {

std::string full_name(std::string_view section, std::string_view key) { return concat(section, ".", key); }

// What messages call the types.

constexpr const char* expected_type(const bool*) { return "true or false"; }
constexpr const char* expected_type(const std::int64_t*) { return "a whole number"; }
constexpr const char* expected_type(const double*) { return "a number"; }
constexpr const char* expected_type(const std::string*) { return "a string in quotes"; }
constexpr const char* expected_type(const std::vector<std::int64_t>*) { return "a list of whole numbers"; }
constexpr const char* expected_type(const std::vector<double>*) { return "a list of numbers"; }
constexpr const char* expected_type(const std::vector<std::string>*) { return "a list of strings"; }

// Reading a node; nothing if it has another type.

std::optional<bool> read_node(const toml::node& node, const bool*) {
  return node.is_boolean() ? std::optional(node.as_boolean()->get()) : std::nullopt;
}

std::optional<std::int64_t> read_node(const toml::node& node, const std::int64_t*) {
  return node.is_integer() ? std::optional(node.as_integer()->get()) : std::nullopt;
}

std::optional<double> read_node(const toml::node& node, const double*) {
  if (node.is_integer()) return static_cast<double>(node.as_integer()->get());
  return node.is_floating_point() ? std::optional(node.as_floating_point()->get()) : std::nullopt;
}

std::optional<std::string> read_node(const toml::node& node, const std::string*) {
  if (node.is_integer()) return toml_text(node.as_integer()->get());
  if (node.is_floating_point()) return toml_text(node.as_floating_point()->get());
  return node.is_string() ? std::optional(node.as_string()->get()) : std::nullopt;
}

/// A single value stands for a list of one.
template <class T>
std::optional<std::vector<T>> read_node(const toml::node& node, const std::vector<T>*) {
  std::vector<T> values;
  const auto add = [&](const toml::node& item) {
    const std::optional<T> value = read_node(item, static_cast<const T*>(nullptr));
    if (value) values.push_back(*value);
    return value.has_value();
  };
  if (const toml::array* list = node.as_array()) {
    for (const toml::node& item : *list) {
      if (!add(item)) return std::nullopt;
    }
    return values;
  }
  return add(node) ? std::optional(values) : std::nullopt;
}

[[noreturn]] void refuse_syntax(const toml::parse_error& error, const std::string& origin) {
  const auto place = error.source().begin;
  throw Error(ExitCode::kUsage, concat(origin, ", line ", place.line, ", column ", place.column, ": ",
                                       error.description(), ". A recipe is TOML: [section], then key = value lines."));
}

/// `text` as one TOML value; nothing if it is not exactly one.
std::optional<toml::table> value_table(std::string_view text) {
  if (text.find('\n') != std::string_view::npos) return std::nullopt;
  try {
    toml::table table = toml::parse(concat("value = ", text, "\n"));
    const toml::node* node = table.get("value");
    if (node->is_table() || node->is_date() || node->is_time() || node->is_date_time()) return std::nullopt;
    return table;
  } catch (const toml::parse_error&) {
    return std::nullopt;
  }
}

}  // namespace

struct Config::Impl {
  struct Bound {
    std::string section, key, comment;
  };

  std::string origin = "the recipe";
  toml::table recipe;
  std::map<std::string, std::string> assignments;  // section.key -> the text that set() was given
  std::vector<Bound> bound;                        // in order of binding
  std::map<std::string, Entry> effective;

  const toml::node* find(std::string_view section, std::string_view key) const {
    const toml::table* table = recipe[section].as_table();
    return table == nullptr ? nullptr : table->get(key);
  }

  /// "recipe.toml, line 7" or "--set train.steps=x".
  std::string place_of(const std::string& name, const toml::node& node) const {
    const auto assignment = assignments.find(name);
    if (assignment != assignments.end()) return concat("\"", name, "=", assignment->second, "\"");
    return concat(origin, ", line ", node.source().begin.line);
  }

  template <class T>
  void read(std::string_view section, std::string_view key, T& value) const {
    const toml::node* node = find(section, key);
    if (node == nullptr) return;
    const std::string name = full_name(section, key);
    const T* type = nullptr;
    const std::optional<T> given = read_node(*node, type);
    std::ostringstream shown;
    shown << toml::node_view<const toml::node>(*node);
    PL_CHECK(given.has_value(), ExitCode::kUsage, place_of(name, *node), ": ", name, " is ", shown.str(),
             ", but it must be ", expected_type(type), ". Correct the value.");
    value = *given;
  }

  template <class T>
  void bind(std::string_view section, std::string_view key, T& value, OnResume on_resume, std::string_view comment) {
    read(section, key, value);
    const std::string name = full_name(section, key);
    const bool fresh = effective.insert_or_assign(name, Entry{toml_text(value), on_resume}).second;
    if (fresh) bound.push_back({std::string(section), std::string(key), std::string(comment)});
  }

  void resolve(std::string_view section, std::string_view key, std::string value) {
    const auto found = effective.find(full_name(section, key));
    PL_ASSERT(found != effective.end());
    found->second.value = std::move(value);
  }

  std::vector<std::string> sections() const {
    std::vector<std::string> names;
    for (const Bound& entry : bound) {
      if (std::find(names.begin(), names.end(), entry.section) == names.end()) names.push_back(entry.section);
    }
    return names;
  }

  std::vector<std::string> keys_of(std::string_view section) const {
    std::vector<std::string> names;
    for (const Bound& entry : bound) {
      if (entry.section == section) names.push_back(entry.key);
    }
    return names;
  }

  /// Where a key that `section` does not know might have been meant.
  std::string suggestion(std::string_view section, const std::string& key) const {
    for (const Bound& entry : bound) {
      if (entry.key == key) return full_name(entry.section, key);
    }
    return full_name(section, nearest_name(key, keys_of(section)));
  }
};

Config::Config() : impl_(std::make_unique<Impl>()) {}
Config::~Config() = default;
Config::Config(Config&&) noexcept = default;
Config& Config::operator=(Config&&) noexcept = default;

Config Config::from_text(std::string_view text, const std::string& origin) {
  Config config;
  config.impl_->origin = origin;
  try {
    config.impl_->recipe = toml::parse(text, origin);
  } catch (const toml::parse_error& error) {
    refuse_syntax(error, origin);
  }
  return config;
}

Config Config::from_file(const std::string& path) {
  PosixFileSystem files;
  PL_CHECK(files.exists(path) && !files.is_directory(path), ExitCode::kUsage, "there is no recipe ", path,
           " (nothing can be done without one). Check the path; recipes to start from are in recipes/.");
  return from_text(read_text(files, path), path);
}

void Config::set(std::string_view assignment) {
  const auto equals = assignment.find('=');
  const std::string name(assignment.substr(0, equals));
  const std::vector<std::string> parts = split(name, '.');
  PL_CHECK(equals != std::string_view::npos && parts.size() == 2 && !parts[0].empty() && !parts[1].empty(),
           ExitCode::kUsage, "\"", assignment,
           "\" does not set anything (the form is section.key=value). Write for example train.steps=1000.");
  const std::string text(assignment.substr(equals + 1));
  if (!impl_->recipe[parts[0]].is_table()) impl_->recipe.insert_or_assign(parts[0], toml::table{});
  toml::table& section = *impl_->recipe[parts[0]].as_table();
  if (auto table = value_table(text)) {
    section.insert_or_assign(parts[1], std::move(*table->get("value")));
  } else {
    section.insert_or_assign(parts[1], text);
  }
  impl_->assignments[name] = text;
}

void Config::bind(std::string_view section, std::string_view key, bool& value, OnResume on_resume,
                  std::string_view comment) {
  impl_->bind(section, key, value, on_resume, comment);
}
void Config::bind(std::string_view section, std::string_view key, std::int64_t& value, OnResume on_resume,
                  std::string_view comment) {
  impl_->bind(section, key, value, on_resume, comment);
}
void Config::bind(std::string_view section, std::string_view key, double& value, OnResume on_resume,
                  std::string_view comment) {
  impl_->bind(section, key, value, on_resume, comment);
}
void Config::bind(std::string_view section, std::string_view key, std::string& value, OnResume on_resume,
                  std::string_view comment) {
  impl_->bind(section, key, value, on_resume, comment);
}
void Config::bind(std::string_view section, std::string_view key, std::vector<double>& value, OnResume on_resume,
                  std::string_view comment) {
  impl_->bind(section, key, value, on_resume, comment);
}
void Config::bind(std::string_view section, std::string_view key, std::vector<std::int64_t>& value, OnResume on_resume,
                  std::string_view comment) {
  impl_->bind(section, key, value, on_resume, comment);
}
void Config::bind(std::string_view section, std::string_view key, std::vector<std::string>& value, OnResume on_resume,
                  std::string_view comment) {
  impl_->bind(section, key, value, on_resume, comment);
}

bool Config::has(std::string_view section, std::string_view key) const { return impl_->find(section, key) != nullptr; }

void Config::resolve(std::string_view section, std::string_view key, std::int64_t value) {
  impl_->resolve(section, key, toml_text(value));
}
void Config::resolve(std::string_view section, std::string_view key, const std::vector<double>& value) {
  impl_->resolve(section, key, toml_text(value));
}
void Config::resolve(std::string_view section, std::string_view key, const std::string& value) {
  impl_->resolve(section, key, toml_text(value));
}

void Config::refuse_unknown_keys() const {
  const std::vector<std::string> sections = impl_->sections();
  for (const auto& [section_key, node] : impl_->recipe) {
    const std::string section(section_key.str());
    PL_CHECK(node.is_table(), ExitCode::kUsage, impl_->place_of(section, node), ": the key \"", section,
             "\" stands outside of any section. Put it below a line like [", sections.empty() ? "run" : sections[0],
             "].");
    const bool known_section = std::find(sections.begin(), sections.end(), section) != sections.end();
    for (const auto& [key_name, value] : *node.as_table()) {
      const std::string name = full_name(section, key_name.str());
      if (impl_->effective.contains(name)) continue;
      const std::string hint = known_section ? impl_->suggestion(section, std::string(key_name.str()))
                                             : "[" + nearest_name(section, sections) + "]";
      throw Error(ExitCode::kUsage,
                  concat(impl_->place_of(name, value), ": ", known_section ? "the key " : "the section of ", name,
                         " is unknown. The nearest known one is ", hint, "."));
    }
    PL_CHECK(known_section, ExitCode::kUsage, impl_->place_of(section, node), ": the section [", section,
             "] is unknown. The nearest known one is [", nearest_name(section, sections), "].");
  }
}

std::string Config::dump() const {
  std::string text;
  for (const std::string& section : impl_->sections()) {
    text += concat(text.empty() ? "" : "\n", "[", section, "]\n");
    for (const Impl::Bound& entry : impl_->bound) {
      if (entry.section != section) continue;
      text += concat(entry.key, " = ", impl_->effective.at(full_name(section, entry.key)).value);
      text += entry.comment.empty() ? "\n" : concat("  # ", entry.comment, "\n");
    }
  }
  return text;
}

const std::map<std::string, Config::Entry>& Config::effective() const { return impl_->effective; }

}  // namespace pathline::core
