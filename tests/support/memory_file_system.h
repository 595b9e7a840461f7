// SPDX-License-Identifier: Apache-2.0
// A file system in memory that knows what would survive a power failure: bytes after their file was synced, names after
// their directory was, and of the rest nothing or any part. Safe with threads.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/file_system.h"

namespace pathline::tests {

class MemoryFileSystem final : public core::FileSystem {
 public:
  std::unique_ptr<core::WritableFile> create(const std::string& path) override {
    const std::lock_guard guard(mutex_);
    Node& parent = directory_at(core::parent_of(path));
    auto& node = parent.names[core::name_of(path)];
    check(!node || !node->is_directory, "cannot create", path);
    if (!node) {
      node = std::make_shared<Node>();
      note({nullptr, "", &parent, core::name_of(path), node});
    }
    node->bytes.clear();
    return std::make_unique<File>(*this, node);
  }

  void read(const std::string& path, std::uint64_t offset, std::span<std::byte> out) override {
    const std::lock_guard guard(mutex_);
    const Node& node = file_at(path);
    check(offset <= node.bytes.size() && out.size() <= node.bytes.size() - offset, "file ends too early:", path);
    std::copy_n(node.bytes.begin() + static_cast<std::ptrdiff_t>(offset), out.size(), out.begin());
  }

  std::uint64_t size(const std::string& path) override {
    const std::lock_guard guard(mutex_);
    return file_at(path).bytes.size();
  }

  bool exists(const std::string& path) override {
    const std::lock_guard guard(mutex_);
    return find(path) != nullptr;
  }

  bool is_directory(const std::string& path) override {
    const std::lock_guard guard(mutex_);
    const auto node = find(path);
    return node && node->is_directory;
  }

  std::vector<std::string> list(const std::string& directory) override {
    const std::lock_guard guard(mutex_);
    std::vector<std::string> names;
    for (const auto& [name, node] : directory_at(directory).names) names.push_back(name);
    return names;
  }

  void make_directory(const std::string& path) override {
    const std::lock_guard guard(mutex_);
    make(path);
  }

  void rename(const std::string& from, const std::string& to) override {
    const std::lock_guard guard(mutex_);
    const auto node = find(from);
    check(node != nullptr, "no such file:", from);
    const auto target = find(to);
    const bool fits =
        !target || (target->is_directory ? node->is_directory && target->names.empty() : !node->is_directory);
    check(fits, "cannot rename to", to);
    note({&directory_at(core::parent_of(from)), core::name_of(from), &directory_at(core::parent_of(to)),
          core::name_of(to), node});
    directory_at(core::parent_of(to)).names[core::name_of(to)] = node;
    directory_at(core::parent_of(from)).names.erase(core::name_of(from));
  }

  bool link(const std::string& from, const std::string& to) override {
    const std::lock_guard guard(mutex_);
    const auto node = find(from);
    check(node != nullptr, "no such file:", from);
    Node& parent = directory_at(core::parent_of(to));
    const bool made = parent.names.emplace(core::name_of(to), node).second;
    if (made) note({nullptr, "", &parent, core::name_of(to), node});
    return made;
  }

  void remove(const std::string& path) override {
    const std::lock_guard guard(mutex_);
    const auto node = find(path);
    if (!node) return;
    check(node->names.empty(), "directory not empty:", path);
    Node& parent = directory_at(core::parent_of(path));
    parent.names.erase(core::name_of(path));
    note({&parent, core::name_of(path), nullptr, "", node});
  }

  void sync_directory(const std::string& path) override {
    const std::lock_guard guard(mutex_);
    Node& node = directory_at(path);
    std::erase_if(unsynced_, [&](const NameChange& change) {
      const bool ours = change.from == &node || change.to == &node;
      if (ours) make_durable(change);
      return ours;
    });
  }

  std::uint64_t free_bytes(const std::string&) override { return std::uint64_t{1} << 40; }

  /// The machine loses power and comes back: only what was synced is there.
  void lose_unsynced() {
    const std::lock_guard guard(mutex_);
    unsynced_.clear();
    restore(*root_, [](const Node& node) { return node.synced_bytes; });
  }

  /// The same, but real disks write early and out of order: every unsynced change of a name survives or not, and of
  /// every unsynced file nothing, all, a beginning or blocks of zeros, as `key` decides. Renames are whole, as POSIX
  /// has it.
  void lose_some_unsynced(std::uint64_t key) {
    const std::lock_guard guard(mutex_);
    std::uint64_t draws = 0;
    const auto draw = [&] { return mixed(mixed(key) + ++draws); };
    for (const NameChange& change : unsynced_) {
      if (draw() % 2 == 0) make_durable(change);
    }
    unsynced_.clear();
    restore(*root_,
            [&](const Node& node) { return node.bytes == node.synced_bytes ? node.bytes : torn(node, draw()); });
  }

  /// Direct access for tests that damage files.
  std::vector<std::byte>& bytes(const std::string& path) { return file_at(path).bytes; }

 private:
  struct Node {
    bool is_directory = false;
    std::vector<std::byte> bytes, synced_bytes;
    std::map<std::string, std::shared_ptr<Node>> names, synced_names;
  };

  /// A name that went (`from`), one that came (`to`), or both at once.
  struct NameChange {
    Node* from;
    std::string from_name;
    Node* to;
    std::string to_name;
    std::shared_ptr<Node> node;
  };

  void note(NameChange change) {
    if (change.node->is_directory) kept_.push_back(change.node);
    unsynced_.push_back(std::move(change));
  }

  static void make_durable(const NameChange& change) {
    if (change.to) {
      auto& there = change.to->synced_names[change.to_name];
      if (there && !there->synced_names.empty())
        return;  // an earlier change of it was lost, so this one cannot be made
      there = change.node;
    }
    if (!change.from) return;
    const auto gone = change.from->synced_names.find(change.from_name);
    if (gone != change.from->synced_names.end() && gone->second == change.node) change.from->synced_names.erase(gone);
  }

  /// splitmix64
  static std::uint64_t mixed(std::uint64_t value) {
    value += 0x9E3779B97F4A7C15u;
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9u;
    value = (value ^ (value >> 27)) * 0x94D049BB133111EBu;
    return value ^ (value >> 31);
  }

  static std::vector<std::byte> torn(const Node& node, std::uint64_t draw) {
    std::vector<std::byte> bytes = node.bytes;
    switch (draw % 4) {
      case 0:
        return node.synced_bytes;
      case 1:
        return bytes;
      case 2:
        bytes.resize(draw / 4 % (bytes.size() + 1));
        return bytes;
      default:
        for (std::size_t i = 0; i < bytes.size(); ++i) {
          if (mixed(draw + i / 64) % 2 == 0) bytes[i] = std::byte{0};
        }
        return bytes;
    }
  }

  class File final : public core::WritableFile {
   public:
    File(MemoryFileSystem& owner, std::shared_ptr<Node> node) : owner_(owner), node_(std::move(node)) {}
    void append(std::span<const std::byte> bytes) override {
      const std::lock_guard guard(owner_.mutex_);
      node_->bytes.insert(node_->bytes.end(), bytes.begin(), bytes.end());
    }
    void sync() override {
      const std::lock_guard guard(owner_.mutex_);
      node_->synced_bytes = node_->bytes;
    }
    void close() override {}

   private:
    MemoryFileSystem& owner_;
    std::shared_ptr<Node> node_;
  };

  static void check(bool condition, const char* what, const std::string& path) {
    PL_CHECK(condition, core::ExitCode::kEnvironment, what, " ", path);
  }

  std::shared_ptr<Node> find(const std::string& path) const {
    if (path == "/" || path == ".") return root_;
    const auto parent = find(core::parent_of(path));
    if (!parent) return nullptr;
    const auto found = parent->names.find(core::name_of(path));
    return found == parent->names.end() ? nullptr : found->second;
  }

  Node& directory_at(const std::string& path) const {
    const auto node = find(path);
    check(node && node->is_directory, "no such directory:", path);
    return *node;
  }

  Node& file_at(const std::string& path) const {
    const auto node = find(path);
    check(node && !node->is_directory, "no such file:", path);
    return *node;
  }

  void make(const std::string& path) {
    if (const auto node = find(path)) return check(node->is_directory, "not a directory:", path);
    make(core::parent_of(path));
    auto node = std::make_shared<Node>();
    node->is_directory = true;
    Node& parent = directory_at(core::parent_of(path));
    parent.names[core::name_of(path)] = node;
    note({nullptr, "", &parent, core::name_of(path), node});
  }

  template <class Content>
  static void restore(Node& node, const Content& content) {
    node.bytes = node.synced_bytes = content(node);
    node.names = node.synced_names;
    for (const auto& [name, child] : node.names) restore(*child, content);
  }

  static std::shared_ptr<Node> make_root() {
    auto node = std::make_shared<Node>();
    node->is_directory = true;
    return node;
  }

  std::mutex mutex_;
  std::vector<NameChange> unsynced_;         // in order
  std::vector<std::shared_ptr<Node>> kept_;  // directories: changes point to them also when they have lost their names
  std::shared_ptr<Node> root_ = make_root();
};

}  // namespace pathline::tests
