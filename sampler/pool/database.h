// SPDX-License-Identifier: Apache-2.0
// An SQLite database: statements with bound values, transactions that roll back by themselves. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

struct sqlite3;
struct sqlite3_stmt;

namespace pathline::pool {

using Value = std::variant<std::int64_t, double, std::string>;

class Database;

/// The rows of one query; at most one such object for the same text at a time.
class Rows {
 public:
  Rows(Database& database, sqlite3_stmt* statement) : database_(database), statement_(statement) {}
  ~Rows();
  Rows(const Rows&) = delete;
  Rows& operator=(const Rows&) = delete;

  /// The next row is there.
  bool next();
  std::int64_t integer(int column) const;
  double real(int column) const;
  std::string text(int column) const;

 private:
  Database& database_;
  sqlite3_stmt* statement_;
};

/// Every failure throws core::Error (kEnvironment, naming the file): a full or broken disk, a damaged file.
class Database {
 public:
  /// kWal: a local disk. kExclusive: network file systems, one process at a time.
  enum class Journal { kWal, kExclusive };
  /// Creates the file if need be. Every commit is on the disk when it returns.
  Database(const std::string& path, Journal journal);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  /// Several statements without values.
  void execute(const std::string& text);
  /// One statement that gives rows; ?1, ?2 ... are `values`.
  Rows query(const std::string& text, const std::vector<Value>& values = {});
  /// One statement that gives none; returns how many rows it changed.
  std::int64_t run(const std::string& text, const std::vector<Value>& values = {});
  /// The first column of the only row.
  std::int64_t integer(const std::string& text, const std::vector<Value>& values = {});
  std::int64_t last_inserted() const;

 private:
  friend class Rows;
  friend class Transaction;
  sqlite3_stmt* prepared(const std::string& text, const std::vector<Value>& values);
  bool step(sqlite3_stmt* statement);
  void check(int result) const;

  std::string path_;
  sqlite3* handle_ = nullptr;
  std::map<std::string, sqlite3_stmt*> statements_;
};

/// Everything between its making and commit() happens, or nothing.
class Transaction {
 public:
  explicit Transaction(Database& database);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit();

 private:
  Database& database_;
  bool open_ = true;
};

}  // namespace pathline::pool
