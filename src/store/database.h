// An SQLite file that anybody may have made: what it says is checked, nothing in it is run.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace heatproof {

class Database {
 public:
  /// read: the file keeps every byte, and may lie where nothing can be written. write: no other process can
  /// open it at the same time. draft: a new file that nobody else knows, without safety against power cuts.
  enum class Access { read, write, draft };

  /// `shown`: the path that errors name.
  Database(std::filesystem::path shown, const std::filesystem::path& file, Access access);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  const std::filesystem::path& path() const { return shown_; }
  Access access() const { return access_; }
  sqlite3* handle() const { return handle_; }
  /// Throws what an SQLite code means.
  void check(int code) const;
  void exec(const char* sql) const;
  /// Throws Error where the file was removed or replaced since it was opened.
  void must_be_there() const;
  /// Throws InputError: `what` is damaged.
  [[noreturn]] void damaged(const std::string& what) const;

 private:
  [[noreturn]] void fail(int code) const;
  void open(const std::filesystem::path& file);
  void harden() const;

  std::filesystem::path shown_;
  Access access_;
  sqlite3* handle_ = nullptr;
};

/// One statement with its bindings. Columns are read as what they have to be; anything else is damage.
class Statement {
 public:
  Statement(const Database& database, const std::string& sql);
  ~Statement();
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  void bind(int i, std::string_view text);
  void bind(int i, std::int64_t value);
  void bind(int i, double value);
  void bind_blob(int i, std::string_view bytes);
  /// Goes on to the next row; false where there is none.
  bool row();

  std::string text(int i) const { return bytes_of(i, SQLITE_TEXT); }
  std::string blob(int i) const { return bytes_of(i, SQLITE_BLOB); }
  std::int64_t integer(int i) const;
  double number(int i) const;  // NaN of NULL
  bool is_null(int i) const { return sqlite3_column_type(statement_, i) == SQLITE_NULL; }

 private:
  std::string bytes_of(int i, int type) const;

  const Database& database_;
  sqlite3_stmt* statement_ = nullptr;
};

}  // namespace heatproof
