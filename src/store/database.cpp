#include "store/database.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <new>
#include <utility>

#include "heatproof/error.h"

namespace heatproof {

namespace {

/// The longest text or blob: the heatmap of an image of 11,000 x 11,000 pixels, four bytes each. What is
/// longer is refused before memory is taken for it.
constexpr int kMostBytes = 1 << 29;
constexpr std::size_t kLongestPath = 500;  // SQLite opens 512 bytes, of which "-journal" needs some
constexpr std::string_view kMagic = "SQLite format 3";

void must_be_a_database(const std::filesystem::path& file) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(file, error))
    throw InputError(
        fmt::format("{}: no such file; give a results.sqlite that heatproof select wrote", file.string()));
  std::string start(20, '\0');
  std::ifstream in(file, std::ios::binary);
  if (!in) throw InputError(fmt::format("{}: cannot be read; check its permissions", file.string()));
  in.read(start.data(), static_cast<std::streamsize>(start.size()));
  // Bytes 18 and 19 say that changes may lie in a second file, which heatproof never does.
  if (!start.starts_with(kMagic) || start[18] != 1 || start[19] != 1)
    throw InputError(fmt::format("{}: not a results file; give a results.sqlite that heatproof select wrote",
                                 file.string()));
}

void prepare_to_write(const std::filesystem::path& file) {
  std::error_code error;
  if (file.has_parent_path()) std::filesystem::create_directories(file.parent_path(), error);
  if (error)
    throw Error(fmt::format("{}: cannot create the folder ({}); choose another with --out",
                            file.parent_path().string(), error.message()));
  if (std::filesystem::exists(file, error) && !std::filesystem::is_regular_file(file, error))
    throw Error(fmt::format("{}: is no file; choose another --out", file.string()));
  if (std::filesystem::absolute(file, error).native().size() > kLongestPath)
    throw Error(
        fmt::format("{}: the path has more than {} bytes, which SQLite cannot open; choose a shorter --out",
                    file.string(), kLongestPath));
  // What killed runs of earlier versions left.
  for (const char* end : {".new", ".new-journal"}) std::filesystem::remove(file.string() + end, error);
}

}  // namespace

Database::Database(std::filesystem::path shown, const std::filesystem::path& file, Access access)
    : shown_(std::move(shown)), access_(access) {
  try {
    open(file);
  } catch (...) {
    sqlite3_close_v2(handle_);
    throw;
  }
}

Database::~Database() { sqlite3_close_v2(handle_); }

void Database::open(const std::filesystem::path& file) {
  if (access_ == Access::read) must_be_a_database(file);
  if (access_ == Access::write) {
    std::error_code error;
    if (std::filesystem::is_symlink(file, error))
      throw Error(fmt::format("{}: is a link, and the file would be replaced; give the folder it leads to",
                              shown_.string()));
    prepare_to_write(file);
  }
  check(sqlite3_open_v2(
      file.c_str(), &handle_,
      access_ == Access::read ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr));
  harden();
  if (access_ == Access::draft) exec("PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF");
  if (access_ == Access::read) return;
  // Locked from now on: a second run would measure the same cells, and one of the two would be lost.
  try {
    exec("PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT");
  } catch (...) {
    // Nothing is left of a new file that could not be written; who is in another's way leaves it alone.
    std::error_code error;
    if ((sqlite3_errcode(handle_) & 0xff) != SQLITE_BUSY && std::filesystem::file_size(file, error) == 0 &&
        !error)
      std::filesystem::remove(file, error);
    throw;
  }
  if (access_ == Access::write) must_be_there();
}

void Database::harden() const {
  sqlite3_extended_result_codes(handle_, 1);
  sqlite3_busy_timeout(handle_, 2000);
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_ENABLE_VIEW, 0, nullptr);
  sqlite3_limit(handle_, SQLITE_LIMIT_LENGTH, kMostBytes);
  sqlite3_limit(handle_, SQLITE_LIMIT_SQL_LENGTH, 100000);
  sqlite3_limit(handle_, SQLITE_LIMIT_ATTACHED, 0);
  exec("PRAGMA cell_size_check=ON; PRAGMA mmap_size=0");
}

void Database::check(int code) const {
  if (code != SQLITE_OK && code != SQLITE_ROW && code != SQLITE_DONE) fail(code);
}

void Database::exec(const char* sql) const { check(sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr)); }

void Database::damaged(const std::string& what) const {
  throw InputError(fmt::format(
      "{}: {} is damaged; take a sound copy, or delete the file and run the same heatproof select again",
      shown_.string(), what));
}

void Database::must_be_there() const {
  int moved = 0;
  sqlite3_file_control(handle_, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
  if (moved != 0)
    throw Error(
        fmt::format("{}: was removed, or replaced by another run, while this one used it; run it again",
                    shown_.string()));
}

void Database::fail(int code) const {
  const int kind = code & 0xff;
  const std::string path = shown_.string();
  std::string what = handle_ != nullptr ? sqlite3_errmsg(handle_) : sqlite3_errstr(code);
  const int system = handle_ != nullptr ? sqlite3_system_errno(handle_) : 0;
  if (system != 0 && (kind == SQLITE_IOERR || kind == SQLITE_FULL || kind == SQLITE_CANTOPEN))
    what = std::strerror(system);
  const bool reads = access_ == Access::read;
  // SQLite says this of some damaged headers, too.
  constexpr std::uintmax_t kSmall = std::uintmax_t{64} << 20;
  std::error_code error;
  const bool small = std::filesystem::file_size(shown_, error) < kSmall && !error;
  if (kind == SQLITE_NOMEM && !small) throw std::bad_alloc();
  if (kind == SQLITE_NOMEM || kind == SQLITE_NOTADB || kind == SQLITE_CORRUPT || kind == SQLITE_TOOBIG ||
      kind == SQLITE_ERROR || kind == SQLITE_FORMAT ||
      (reads && kind == SQLITE_IOERR && code != SQLITE_IOERR_READ))
    throw InputError(
        fmt::format("{}: not a results file of heatproof, or damaged ({}); choose another {}delete it", path,
                    what, reads ? "file, or " : "--out or "));
  if (reads && (kind == SQLITE_READONLY || code == SQLITE_CANTOPEN_ISDIR))
    throw Error(fmt::format(
        "{}: the run that wrote it was stopped while it did; run the same heatproof select again, "
        "which puts it in order and goes on",
        path));
  if (reads && kind != SQLITE_BUSY && kind != SQLITE_LOCKED)
    throw InputError(fmt::format("{}: cannot be read ({}); check its permissions", path, what));
  if (kind == SQLITE_BUSY || kind == SQLITE_LOCKED)
    throw Error(fmt::format("{}: in use by another process; wait for it{}", path,
                            reads ? "" : ", or choose another --out"));
  if (kind == SQLITE_FULL || kind == SQLITE_IOERR)
    throw Error(fmt::format("{}: cannot be written ({}); free disk space and run again{}", path, what,
                            access_ == Access::draft ? "" : ", it resumes"));
  throw Error(fmt::format("{}: {}; check that the folder exists and can be written", path, what));
}

Statement::Statement(const Database& database, const std::string& sql) : database_(database) {
  database_.check(sqlite3_prepare_v2(database.handle(), sql.c_str(), -1, &statement_, nullptr));
}

Statement::~Statement() { sqlite3_finalize(statement_); }

void Statement::bind(int i, std::string_view text) {
  database_.check(
      sqlite3_bind_text64(statement_, i, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8));
}
void Statement::bind(int i, std::int64_t value) { database_.check(sqlite3_bind_int64(statement_, i, value)); }
void Statement::bind(int i, double value) { database_.check(sqlite3_bind_double(statement_, i, value)); }
void Statement::bind_blob(int i, std::string_view bytes) {
  database_.check(sqlite3_bind_blob64(statement_, i, bytes.data(), bytes.size(), SQLITE_TRANSIENT));
}

bool Statement::row() {
  const int code = sqlite3_step(statement_);
  database_.check(code);
  return code == SQLITE_ROW;
}

std::int64_t Statement::integer(int i) const {
  if (sqlite3_column_type(statement_, i) != SQLITE_INTEGER) database_.damaged("a number");
  return sqlite3_column_int64(statement_, i);
}

double Statement::number(int i) const {
  if (is_null(i)) return NAN;
  if (sqlite3_column_type(statement_, i) != SQLITE_FLOAT) database_.damaged("a score");
  return sqlite3_column_double(statement_, i);
}

std::string Statement::bytes_of(int i, int type) const {
  if (sqlite3_column_type(statement_, i) != type) database_.damaged("a text");
  const void* data = sqlite3_column_blob(statement_, i);
  if (data == nullptr && sqlite3_errcode(database_.handle()) == SQLITE_NOMEM) throw std::bad_alloc();
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, i));
  return data == nullptr ? std::string() : std::string(static_cast<const char*>(data), size);
}

}  // namespace heatproof
