// SPDX-License-Identifier: Apache-2.0
// A folder of PNG files: CLASS/THOUSAND/ID.png. Made beside its place, synced as a whole (a sync for every small file
// would take longer than making it), then renamed.
#include <fcntl.h>
#include <unistd.h>

#include <set>
#include <string>

#include "core/error.h"
#include "core/file_system.h"
#include "sampler/ordered_sink.h"

namespace pathline::sampler {
namespace {

/// A class name as the name of one folder.
std::string folder_name(std::string name) {
  for (char& letter : name) {
    if (letter == '/' || static_cast<unsigned char>(letter) < ' ') letter = '_';
  }
  return name.empty() || name.front() == '.' ? "_" + name : name;
}

class FolderSink final : public OrderedSink {
 public:
  explicit FolderSink(const SinkOptions& options)
      : OrderedSink(options),
        folder_(core::without_slash(options.path)),
        temporary_(core::concat(folder_, ".", ::getpid(), ".tmp")) {
    PL_CHECK(
        may_replace(), core::ExitCode::kUsage, folder_,
        " exists and is neither an empty folder nor a set (what lies there would be lost). Choose another name, or "
        "remove it.");
    core::remove_tree(files_, temporary_);
    files_.make_directory(temporary_);
  }

  ~FolderSink() override {
    if (committed_) return;
    try {
      core::remove_tree(files_, temporary_);
    } catch (const core::Error&) {
      // The failure that brought us here is the one to report.
    }
  }

 private:
  bool may_replace() {
    if (!files_.exists(folder_)) return true;
    if (!files_.is_directory(folder_)) return false;
    return files_.list(folder_).empty() || files_.exists(core::join_path(folder_, kFolderDescription));
  }

  void append(const Record& record) override {
    std::string folder = temporary_;
    if (options().labelled) folder = folder_in(folder, class_of(record.label));
    folder = folder_in(folder, id_text(record.id / 1000 * 1000));
    write(core::join_path(folder, id_text(record.id) + ".png"), record.item);
  }

  std::string folder_in(const std::string& parent, const std::string& name) {
    const std::string path = core::join_path(parent, name);
    if (made_.insert(path).second) files_.make_directory(path);
    return path;
  }

  std::string class_of(std::int64_t label) const {
    const std::vector<std::string>& names = options().class_names;
    const auto index = static_cast<std::size_t>(label);
    return label >= 0 && index < names.size() ? folder_name(names[index]) : std::to_string(label);
  }

  void write(const std::string& path, std::span<const std::byte> content) {
    const auto file = files_.create(path);
    file->append(content);
    file->close();
  }

  void commit() override {
    write(core::join_path(temporary_, kFolderDescription), std::as_bytes(std::span(options().description)));
    sync_all();
    core::remove_tree(files_, folder_);
    files_.rename(temporary_, folder_);
    committed_ = true;
    files_.sync_directory(core::parent_of(folder_));
  }

  void sync_all() const {
    const int folder = ::open(temporary_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool synced = folder >= 0 && ::syncfs(folder) == 0;
    const std::string reason = core::errno_text();
    if (folder >= 0) ::close(folder);
    PL_CHECK(synced, core::ExitCode::kEnvironment, "cannot sync ", temporary_, ": ", reason,
             " (pictures could be lost with power). Look at the storage and start again.");
  }

  core::PosixFileSystem files_;
  const std::string folder_, temporary_;
  std::set<std::string> made_;
  bool committed_ = false;
};

}  // namespace

std::unique_ptr<Sink> make_folder_sink(const SinkOptions& options) { return std::make_unique<FolderSink>(options); }

}  // namespace pathline::sampler
