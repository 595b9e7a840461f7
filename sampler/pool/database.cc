// SPDX-License-Identifier: Apache-2.0
#include "sampler/pool/database.h"

#include <sqlite3.h>

#include "core/error.h"

namespace pathline::pool {

Database::Database(const std::string& path, Journal journal) : path_(path) {
  const int opened = sqlite3_open_v2(path.c_str(), &handle_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
  try {
    check(opened);
    sqlite3_extended_result_codes(handle_, 1);
    sqlite3_busy_timeout(handle_, 5000);  // somebody looks at it with the sqlite3 program
    execute(journal == Journal::kWal
                ? "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL"
                : "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=DELETE; PRAGMA synchronous=EXTRA");
    execute("PRAGMA foreign_keys=ON");
  } catch (...) {
    sqlite3_close(handle_);
    throw;
  }
}

Database::~Database() {
  for (const auto& [text, statement] : statements_) sqlite3_finalize(statement);
  sqlite3_close(handle_);
}

void Database::check(int result) const {
  if (result == SQLITE_OK || result == SQLITE_ROW || result == SQLITE_DONE) return;
  throw core::Error(
      core::ExitCode::kEnvironment,
      core::concat("the job store ", path_,
                   " cannot be used: ", handle_ ? sqlite3_errmsg(handle_) : sqlite3_errstr(result), " (SQLite code ",
                   result, "; nothing of this change was kept). Look at the free space and the health of its disk."));
}

void Database::execute(const std::string& text) {
  check(sqlite3_exec(handle_, text.c_str(), nullptr, nullptr, nullptr));
}

sqlite3_stmt* Database::prepared(const std::string& text, const std::vector<Value>& values) {
  sqlite3_stmt*& statement = statements_[text];
  if (!statement) check(sqlite3_prepare_v2(handle_, text.c_str(), -1, &statement, nullptr));
  sqlite3_reset(statement);
  PL_ASSERT(sqlite3_bind_parameter_count(statement) == static_cast<int>(values.size()));
  for (int i = 0; i < static_cast<int>(values.size()); ++i) {
    const Value& value = values[static_cast<std::size_t>(i)];
    if (const auto* integer = std::get_if<std::int64_t>(&value)) {
      check(sqlite3_bind_int64(statement, i + 1, *integer));
    } else if (const auto* real = std::get_if<double>(&value)) {
      check(sqlite3_bind_double(statement, i + 1, *real));
    } else {
      const auto& bytes = std::get<std::string>(value);
      check(sqlite3_bind_text(statement, i + 1, bytes.data(), static_cast<int>(bytes.size()), SQLITE_TRANSIENT));
    }
  }
  return statement;
}

bool Database::step(sqlite3_stmt* statement) {
  const int result = sqlite3_step(statement);
  if (result != SQLITE_ROW && result != SQLITE_DONE) {
    try {
      check(result);
    } catch (...) {
      sqlite3_reset(statement);
      throw;
    }
  }
  return result == SQLITE_ROW;
}

Rows Database::query(const std::string& text, const std::vector<Value>& values) {
  return {*this, prepared(text, values)};
}

std::int64_t Database::run(const std::string& text, const std::vector<Value>& values) {
  sqlite3_stmt* statement = prepared(text, values);
  const bool row = step(statement);
  sqlite3_reset(statement);
  PL_ASSERT(!row);
  return sqlite3_changes(handle_);
}

std::int64_t Database::integer(const std::string& text, const std::vector<Value>& values) {
  Rows rows = query(text, values);
  const bool found = rows.next();
  PL_ASSERT(found);
  return rows.integer(0);
}

std::int64_t Database::last_inserted() const { return sqlite3_last_insert_rowid(handle_); }

Rows::~Rows() { sqlite3_reset(statement_); }
bool Rows::next() { return database_.step(statement_); }
std::int64_t Rows::integer(int column) const { return sqlite3_column_int64(statement_, column); }
double Rows::real(int column) const { return sqlite3_column_double(statement_, column); }
std::string Rows::text(int column) const {
  const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  return bytes ? std::string(bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))) : std::string();
}

Transaction::Transaction(Database& database) : database_(database) { database.run("BEGIN IMMEDIATE"); }

Transaction::~Transaction() {
  // A failure may have rolled back already.
  if (open_ && !sqlite3_get_autocommit(database_.handle_)) {
    sqlite3_exec(database_.handle_, "ROLLBACK", nullptr, nullptr, nullptr);
  }
}

void Transaction::commit() {
  database_.run("COMMIT");
  open_ = false;
}

}  // namespace pathline::pool
