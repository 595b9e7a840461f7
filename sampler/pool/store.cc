// SPDX-License-Identifier: Apache-2.0
#include "sampler/pool/store.h"

#include <sys/vfs.h>

#include <algorithm>
#include <array>

#include "core/error.h"
#include "core/file_system.h"

namespace pathline::pool {
namespace {

constexpr char kTables[] = R"sql(
CREATE TABLE pool (key TEXT PRIMARY KEY, value INTEGER NOT NULL);
INSERT INTO pool VALUES ('next_token', 1), ('draining', 0);
CREATE TABLE jobs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  spec TEXT NOT NULL,
  state TEXT NOT NULL DEFAULT 'queued',
  priority INTEGER NOT NULL,
  paused INTEGER NOT NULL DEFAULT 0,
  fingerprint TEXT NOT NULL DEFAULT '',
  created_at REAL NOT NULL,
  finished_at REAL NOT NULL DEFAULT 0,
  error TEXT NOT NULL DEFAULT '',
  job_errors INTEGER NOT NULL DEFAULT 0,
  served INTEGER NOT NULL DEFAULT 0,
  done INTEGER NOT NULL DEFAULT 0,
  failed INTEGER NOT NULL DEFAULT 0,
  seconds REAL NOT NULL DEFAULT 0,
  nfe INTEGER NOT NULL DEFAULT 0,
  max_nfe INTEGER NOT NULL DEFAULT 0,
  rejected INTEGER NOT NULL DEFAULT 0,
  useful_rows INTEGER NOT NULL DEFAULT 0,
  evaluated_rows INTEGER NOT NULL DEFAULT 0,
  tidied INTEGER NOT NULL DEFAULT 0);
CREATE TABLE ranges (
  job INTEGER NOT NULL REFERENCES jobs,
  kind TEXT NOT NULL,
  first INTEGER NOT NULL,
  last INTEGER NOT NULL,
  state TEXT NOT NULL DEFAULT 'waiting',
  token INTEGER NOT NULL DEFAULT 0,
  worker TEXT NOT NULL DEFAULT '',
  suspect INTEGER NOT NULL DEFAULT 0,
  losses INTEGER NOT NULL DEFAULT 0,
  errors INTEGER NOT NULL DEFAULT 0,
  dead TEXT NOT NULL DEFAULT '',
  error TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (job, kind, first));
CREATE INDEX ranges_by_state ON ranges (state, job);
CREATE UNIQUE INDEX ranges_by_token ON ranges (token) WHERE token > 0;
CREATE TABLE workers (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  host TEXT NOT NULL,
  pid INTEGER NOT NULL,
  fingerprint TEXT NOT NULL,
  threads INTEGER NOT NULL,
  joined_at REAL NOT NULL,
  state TEXT NOT NULL DEFAULT 'alive');
CREATE TABLE commits (
  token INTEGER PRIMARY KEY,
  job INTEGER NOT NULL REFERENCES jobs,
  kind TEXT NOT NULL,
  first INTEGER NOT NULL,
  last INTEGER NOT NULL,
  source TEXT NOT NULL,
  target TEXT NOT NULL,
  state TEXT NOT NULL DEFAULT 'intent',
  report TEXT NOT NULL);
CREATE INDEX commits_by_state ON commits (state);
)sql";

// statfs(2) and the kernel's linux/magic.h; Lustre, GPFS and BeeGFS have theirs in their own sources.
constexpr std::array<std::int64_t, 11> kNetworkTypes = {
    0x6969,      // NFS
    0x517B,      // SMB
    0xFE534D42,  // SMB 2
    0xFF534D42,  // CIFS
    0x0BD00BD0,  // Lustre
    0x47504653,  // GPFS
    0x19830326,  // BeeGFS
    0x65735546,  // FUSE
    0x5346414F,  // AFS
    0x01021997,  // 9p
    0x00C36400,  // Ceph
};

Database::Journal journal_for(const std::string& pool) {
  struct statfs about = {};
  PL_CHECK(::statfs(pool.c_str(), &about) == 0, core::ExitCode::kEnvironment, "cannot ask what storage ", pool,
           " lies on: ", core::errno_text(), " (the store's journal depends on it).");
  return is_network_file_system(static_cast<std::int64_t>(about.f_type)) ? Database::Journal::kExclusive
                                                                         : Database::Journal::kWal;
}

}  // namespace

bool is_network_file_system(std::int64_t type) {
  return std::ranges::find(kNetworkTypes, type & 0xFFFFFFFF) != kNetworkTypes.end();
}

std::unique_ptr<Database> open_store(const std::string& pool) {
  const std::string path = core::join_path(pool, "jobs.sqlite");
  auto database = std::make_unique<Database>(path, journal_for(pool));
  const std::int64_t version = database->integer("PRAGMA user_version");
  PL_CHECK(version <= kStoreVersion, core::ExitCode::kInput, path, " has version ", version, "; this program knows ",
           kStoreVersion, ". Use the newer pathline that made it, or another pool directory.");
  if (version == kStoreVersion) return database;
  Transaction making(*database);
  PL_CHECK(database->integer("SELECT count(*) FROM sqlite_master") == 0, core::ExitCode::kInput, path,
           " is an SQLite file of something else. Choose another pool directory.");
  database->execute(kTables);
  database->execute(core::concat("PRAGMA user_version=", kStoreVersion));
  making.commit();
  return database;
}

}  // namespace pathline::pool
