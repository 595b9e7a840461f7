// SPDX-License-Identifier: Apache-2.0
#include "data/attributes.h"

#include <algorithm>
#include <set>
#include <sstream>

#include "core/error.h"
#include "core/text.h"

namespace pathline::data {
namespace {

using core::ExitCode;
using Words = std::vector<std::string>;
using Row = std::vector<std::uint8_t>;

/// The lines of a table that are not empty, in words.
class Lines {
 public:
  Lines(std::string origin, const std::string& text) : origin_(std::move(origin)), text_(text) {}

  /// False at the end.
  bool next() {
    while (std::getline(text_, line_)) {
      ++number_;
      if (line_.ends_with('\r')) line_.pop_back();
      if (!line_.empty()) return true;
    }
    return false;
  }
  bool has_comma() const { return line_.find(',') != std::string::npos; }
  Words separated_by_commas() const { return core::split(line_, ','); }
  Words separated_by_spaces() const {
    std::istringstream line(line_);
    Words words;
    for (std::string word; line >> word;) words.push_back(word);
    return words;
  }
  [[noreturn]] void refuse(const std::string& why) const {
    throw core::Error(ExitCode::kInput, core::concat(origin_, ", line ", number_, ": ", why,
                                                     ". It should be CelebA's list_attr_celeba.txt, or CSV with a "
                                                     "header like image_id,NAME,NAME and values 1, 0 or -1."));
  }

 private:
  std::string origin_;
  std::istringstream text_;
  std::string line_;
  int number_ = 0;
};

void add_row(AttributeTable& table, const Words& words, const Lines& lines) {
  if (words.size() != table.names.size() + 1) {
    lines.refuse(core::concat(words.size(), " columns where the header has ", table.names.size() + 1));
  }
  Row row;
  for (std::size_t i = 1; i < words.size(); ++i) {
    if (words[i] != "1" && words[i] != "0" && words[i] != "-1") {
      lines.refuse(core::concat("\"", words[i], "\" is no value of ", table.names[i - 1]));
    }
    row.push_back(words[i] == "1" ? 1 : 0);
  }
  if (!table.rows.emplace(words[0], std::move(row)).second) lines.refuse(words[0] + " is listed twice");
}

void set_names(AttributeTable& table, Words names, const Lines& lines) {
  const std::set<std::string> different(names.begin(), names.end());
  if (names.empty() || different.size() < names.size() || different.contains("")) {
    lines.refuse("the names of the attributes are missing, empty or not different");
  }
  table.names = std::move(names);
}

void read_csv(AttributeTable& table, Lines& lines) {
  Words header = lines.separated_by_commas();
  header.erase(header.begin());
  set_names(table, std::move(header), lines);
  while (lines.next()) add_row(table, lines.separated_by_commas(), lines);
}

void read_celeba(AttributeTable& table, Lines& lines) {
  const Words count = lines.separated_by_spaces();
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (count.size() != 1 || count[0].size() > 9 || !std::ranges::all_of(count[0], is_digit)) {
    lines.refuse("neither a number of rows nor a header with commas");
  }
  const std::size_t announced = std::stoul(count[0]);
  if (!lines.next()) lines.refuse("the names of the attributes are missing");
  set_names(table, lines.separated_by_spaces(), lines);
  while (lines.next()) add_row(table, lines.separated_by_spaces(), lines);
  if (table.rows.size() != announced) {
    lines.refuse(core::concat("the table ends after ", table.rows.size(), " rows, while ", announced,
                              " are announced (was it cut off?)"));
  }
}

class WithAttributes final : public PictureSource {
 public:
  WithAttributes(std::unique_ptr<PictureSource> pictures, std::vector<std::string> names, std::vector<Row> rows,
                 const std::string& note)
      : pictures_(std::move(pictures)),
        names_(std::move(names)),
        rows_(std::move(rows)),
        description_(pictures_->description() + note) {}

  std::int64_t count() const override { return pictures_->count(); }
  Image picture(std::int64_t index) const override { return pictures_->picture(index); }
  std::int64_t label(std::int64_t index) const override { return pictures_->label(index); }
  std::int64_t classes() const override { return pictures_->classes(); }
  const std::vector<std::string>& class_names() const override { return pictures_->class_names(); }
  const std::string& description() const override { return description_; }
  std::string name(std::int64_t index) const override { return pictures_->name(index); }
  std::uint64_t stamp(std::int64_t index) const override { return pictures_->stamp(index); }
  const std::vector<std::string>& attribute_names() const override { return names_; }
  Row attributes(std::int64_t index) const override { return rows_[static_cast<std::size_t>(index)]; }

 private:
  std::unique_ptr<PictureSource> pictures_;
  std::vector<std::string> names_;
  std::vector<Row> rows_;  // of every picture
  std::string description_;
};

/// Takes the row of a picture out of the table.
class RowFinder {
 public:
  explicit RowFinder(AttributeTable& table) : table_(table) {}

  Row take(const std::string& name) {
    auto found = table_.rows.find(name);
    if (found == table_.rows.end()) found = table_.rows.find(core::name_of(name));
    if (found == table_.rows.end()) refuse(name);
    taken_.emplace(found->first, name);
    Row row = std::move(found->second);
    table_.rows.erase(found);
    return row;
  }

 private:
  [[noreturn]] void refuse(const std::string& name) const {
    const auto taken = taken_.find(core::name_of(name));
    const std::string why = taken == taken_.end() ? "" : core::concat(": the one of that name went to ", taken->second);
    throw core::Error(
        ExitCode::kInput,
        core::concat(table_.origin, " has no row for ", name.empty() ? "pictures without names" : name, why,
                     " (every picture needs its attributes). Add the row, with the picture's path below "
                     "the source if names repeat, or take the picture away."));
  }

  AttributeTable& table_;
  std::unordered_map<std::string, std::string> taken_;  // row to picture
};

}  // namespace

AttributeTable read_attribute_table(core::FileSystem& files, const std::string& path) {
  AttributeTable table;
  table.origin = path;
  Lines lines(path, core::read_text(files, path));
  if (!lines.next()) lines.refuse("the file is empty");
  if (lines.has_comma()) {
    read_csv(table, lines);
  } else {
    read_celeba(table, lines);
  }
  return table;
}

std::unique_ptr<PictureSource> with_attributes(std::unique_ptr<PictureSource> pictures, AttributeTable table) {
  std::vector<Row> rows;
  RowFinder finder(table);
  for (std::int64_t i = 0; i < pictures->count(); ++i) rows.push_back(finder.take(pictures->name(i)));
  std::string note = core::concat(", ", table.names.size(), " attributes from ", table.origin);
  if (!table.rows.empty()) note += core::concat(" (", table.rows.size(), " of its rows have no picture here)");
  return std::make_unique<WithAttributes>(std::move(pictures), std::move(table.names), std::move(rows), note);
}

}  // namespace pathline::data
