// SPDX-License-Identifier: Apache-2.0
// A file system in memory that knows what would survive a power failure: bytes after their file was synced, names after
// their directory was. Safe with threads.
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
    if (!node) node = std::make_shared<Node>();
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
    const bool fits = !target || (target->is_directory ? node->is_directory && target->names.empty() : !node->is_directory);
    check(fits, "cannot rename to", to);
    directory_at(core::parent_of(to)).names[core::name_of(to)] = node;
    directory_at(core::parent_of(from)).names.erase(core::name_of(from));
  }

  bool link(const std::string& from, const std::string& to) override {
    const std::lock_guard guard(mutex_);
    const auto node = find(from);
    check(node != nullptr, "no such file:", from);
    return directory_at(core::parent_of(to)).names.emplace(core::name_of(to), node).second;
  }

  void remove(const std::string& path) override {
    const std::lock_guard guard(mutex_);
    const auto node = find(path);
    if (!node) return;
    check(node->names.empty(), "directory not empty:", path);
    directory_at(core::parent_of(path)).names.erase(core::name_of(path));
  }

  void sync_directory(const std::string& path) override {
    const std::lock_guard guard(mutex_);
    Node& node = directory_at(path);
    node.synced_names = node.names;
  }

  std::uint64_t free_bytes(const std::string&) override { return std::uint64_t{1} << 40; }

  /// The machine loses power and comes back: only what was synced is there.
  void lose_unsynced() {
    const std::lock_guard guard(mutex_);
    restore(*root_);
  }

  /// Direct access for tests that damage files.
  std::vector<std::byte>& bytes(const std::string& path) { return file_at(path).bytes; }

 private:
  struct Node {
    bool is_directory = false;
    std::vector<std::byte> bytes, synced_bytes;
    std::map<std::string, std::shared_ptr<Node>> names, synced_names;
  };

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
    directory_at(core::parent_of(path)).names[core::name_of(path)] = node;
  }

  static void restore(Node& node) {
    node.bytes = node.synced_bytes;
    node.names = node.synced_names;
    for (const auto& [name, child] : node.names) restore(*child);
  }

  static std::shared_ptr<Node> make_root() {
    auto node = std::make_shared<Node>();
    node->is_directory = true;
    return node;
  }

  std::mutex mutex_;
  std::shared_ptr<Node> root_ = make_root();
};

}  // namespace pathline::tests
