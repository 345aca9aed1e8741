#include "store/results.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <cmath>
#include <cstring>

#include "base/files.h"
#include "heatproof/error.h"

namespace heatproof {

namespace {

constexpr int kApplicationId = 0x48454154;  // "HEAT"
constexpr int kSchemaVersion = 1;

constexpr const char* kSchema =
    "CREATE TABLE IF NOT EXISTS cells (model TEXT, input TEXT, target INTEGER, recipe TEXT, metric TEXT, "
    "seed INTEGER, score REAL, curves BLOB,"
    " PRIMARY KEY (model, input, target, recipe, metric, seed)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID;";

/// Curves as bytes: per curve its name's length, name, number of values, values.
std::string pack(const std::map<std::string, std::vector<double>>& curves) {
  std::string bytes;
  const auto number = [&](std::uint64_t n) { bytes.append(reinterpret_cast<const char*>(&n), sizeof(n)); };
  for (const auto& [name, values] : curves) {
    number(name.size());
    bytes += name;
    number(values.size());
    bytes.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(double));
  }
  return bytes;
}

std::map<std::string, std::vector<double>> unpack(std::string_view bytes) {
  std::map<std::string, std::vector<double>> curves;
  const auto number = [&]() {
    std::uint64_t n = 0;
    if (bytes.size() < sizeof(n))
      throw InputError("results: a curve is damaged; delete the file and run again");
    std::memcpy(&n, bytes.data(), sizeof(n));
    bytes.remove_prefix(sizeof(n));
    if (n > bytes.size()) throw InputError("results: a curve is damaged; delete the file and run again");
    return n;
  };
  while (!bytes.empty()) {
    const auto length = number();
    const std::string name(bytes.substr(0, length));
    bytes.remove_prefix(length);
    std::vector<double> values(number());
    if (values.size() * sizeof(double) > bytes.size())
      throw InputError("results: a curve is damaged; delete the file and run again");
    if (!values.empty()) std::memcpy(values.data(), bytes.data(), values.size() * sizeof(double));
    bytes.remove_prefix(values.size() * sizeof(double));
    curves[name] = std::move(values);
  }
  return curves;
}

}  // namespace

struct Results::State {
  std::filesystem::path path;
  sqlite3* db = nullptr;

  explicit State(std::filesystem::path p) : path(std::move(p)) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { sqlite3_close_v2(db); }

  [[noreturn]] void fail(int code) const {
    const int kind = code & 0xff;
    const std::string what = db != nullptr ? sqlite3_errmsg(db) : sqlite3_errstr(code);
    if (kind == SQLITE_NOTADB || kind == SQLITE_CORRUPT)
      throw InputError(fmt::format(
          "{}: not a results file of heatproof, or damaged ({}); choose another --out or delete it",
          path.string(), what));
    if (kind == SQLITE_BUSY || kind == SQLITE_LOCKED)
      throw Error(
          fmt::format("{}: in use by another process; wait for it or choose another --out", path.string()));
    if (kind == SQLITE_FULL || kind == SQLITE_IOERR)
      throw Error(fmt::format("{}: cannot be written ({}); free disk space and run again, it resumes",
                              path.string(), what));
    throw Error(fmt::format("{}: {}; check that the folder exists and can be written", path.string(), what));
  }
  void check(int code) const {
    if (code != SQLITE_OK && code != SQLITE_ROW && code != SQLITE_DONE) fail(code);
  }
  void exec(const char* sql) const { check(sqlite3_exec(db, sql, nullptr, nullptr, nullptr)); }
};

namespace {

/// One statement with its bindings.
template <typename State>
class Statement {
 public:
  Statement(const State& state, const char* sql) : state_(state) {
    state_.check(sqlite3_prepare_v2(state.db, sql, -1, &statement_, nullptr));
  }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  ~Statement() { sqlite3_finalize(statement_); }

  void bind(int i, std::string_view text) {
    state_.check(
        sqlite3_bind_text(statement_, i, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT));
  }
  void bind(int i, std::int64_t value) { state_.check(sqlite3_bind_int64(statement_, i, value)); }
  void bind(int i, double value) { state_.check(sqlite3_bind_double(statement_, i, value)); }
  void bind_blob(int i, std::string_view bytes) {
    state_.check(sqlite3_bind_blob64(statement_, i, bytes.data(), bytes.size(), SQLITE_TRANSIENT));
  }
  void bind(const CellKey& k) {
    bind(1, k.model), bind(2, k.input), bind(3, k.target), bind(4, k.recipe), bind(5, k.metric),
        bind(6, static_cast<std::int64_t>(k.seed));
  }
  bool row() {
    const int code = sqlite3_step(statement_);
    state_.check(code);
    return code == SQLITE_ROW;
  }
  std::string text(int i) const { return bytes(i); }
  std::string bytes(int i) const {
    const void* data = sqlite3_column_blob(statement_, i);
    return data == nullptr ? std::string()
                           : std::string(static_cast<const char*>(data),
                                         static_cast<std::size_t>(sqlite3_column_bytes(statement_, i)));
  }
  std::int64_t integer(int i) const { return sqlite3_column_int64(statement_, i); }
  double number(int i) const {
    return sqlite3_column_type(statement_, i) == SQLITE_NULL ? NAN : sqlite3_column_double(statement_, i);
  }

 private:
  const State& state_;
  sqlite3_stmt* statement_ = nullptr;
};

/// Whether two measurements of a cell contradict each other; NaN agrees with NaN alone.
bool contradict(double a, double b) {
  if (!std::isfinite(a) || !std::isfinite(b)) return a != b && !(std::isnan(a) && std::isnan(b));
  return std::abs(a - b) > 1e-4 * std::abs(b);
}

}  // namespace

Results::Results(const std::filesystem::path& path) : state_(std::make_unique<State>(path)) {
  if (path.has_parent_path()) {
    std::error_code error;
    std::filesystem::create_directories(path.parent_path(), error);
  }
  state_->check(
      sqlite3_open_v2(path.c_str(), &state_->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr));
  sqlite3_extended_result_codes(state_->db, 1);
  sqlite3_busy_timeout(state_->db, 2000);
  std::int64_t id = 0;
  std::int64_t version = 0;
  {
    Statement s(*state_, "PRAGMA application_id");
    if (s.row()) id = s.integer(0);
    Statement v(*state_, "PRAGMA user_version");
    if (v.row()) version = v.integer(0);
    Statement tables(*state_, "SELECT count(*) FROM sqlite_master");
    const bool fresh = tables.row() && tables.integer(0) == 0;
    if (!fresh && id != kApplicationId)
      throw InputError(
          fmt::format("{}: a database, but not of heatproof; choose another --out", path.string()));
    if (!fresh && version != kSchemaVersion)
      throw InputError(fmt::format(
          "{}: written by another version of heatproof (schema {}, {} is needed); choose another --out",
          path.string(), version, kSchemaVersion));
  }
  state_->exec(
      fmt::format("PRAGMA application_id={}; PRAGMA user_version={};", kApplicationId, kSchemaVersion)
          .c_str());
  state_->exec(kSchema);
}

Results::~Results() = default;
Results::Results(Results&&) noexcept = default;
Results& Results::operator=(Results&&) noexcept = default;

std::optional<Cell> Results::find(const CellKey& key) const {
  Statement s(*state_,
              "SELECT score, curves FROM cells WHERE model=? AND input=? AND target=? AND recipe=? AND "
              "metric=? AND seed=?");
  s.bind(key);
  if (!s.row()) return std::nullopt;
  return Cell{s.number(0), unpack(s.bytes(1))};
}

void Results::put(const CellKey& key, const Cell& cell) {
  Statement s(*state_, "INSERT OR REPLACE INTO cells VALUES (?,?,?,?,?,?,?,?)");
  s.bind(key);
  s.bind(7, cell.score);  // NaN is stored as NULL
  s.bind_blob(8, pack(cell.curves));
  s.row();
}

std::int64_t Results::cells() const {
  Statement s(*state_, "SELECT count(*) FROM cells");
  return s.row() ? s.integer(0) : 0;
}

void Results::set(const std::string& name, const std::string& value) {
  Statement s(*state_, "INSERT OR REPLACE INTO facts VALUES (?,?)");
  s.bind(1, std::string_view(name));
  s.bind_blob(2, value);
  s.row();
}

void Results::remove(const std::string& name) {
  Statement s(*state_, "DELETE FROM facts WHERE name=?");
  s.bind(1, std::string_view(name));
  s.row();
}

std::optional<std::string> Results::get(const std::string& name) const {
  Statement s(*state_, "SELECT value FROM facts WHERE name=?");
  s.bind(1, std::string_view(name));
  if (!s.row()) return std::nullopt;
  return s.bytes(0);
}

std::vector<std::string> Results::names() const {
  std::vector<std::string> names;
  Statement s(*state_, "SELECT name FROM facts ORDER BY name");
  while (s.row()) names.push_back(s.text(0));
  return names;
}

void Results::begin() { state_->exec("BEGIN IMMEDIATE"); }
void Results::commit() { state_->exec("COMMIT"); }

void Results::merge(const Results& other) {
  begin();
  Statement s(*other.state_, "SELECT model, input, target, recipe, metric, seed, score, curves FROM cells");
  while (s.row()) {
    const CellKey key{s.text(0), s.text(1), s.integer(2),
                      s.text(3), s.text(4), static_cast<std::uint64_t>(s.integer(5))};
    const Cell cell{s.number(6), unpack(s.bytes(7))};
    if (const auto known = find(key); known && contradict(known->score, cell.score)) {
      throw Error(
          fmt::format("{}: {} of {} has another score than in {}; the runs used different data or versions",
                      other.state_->path.string(), key.metric, key.recipe, state_->path.string()));
    }
    put(key, cell);
  }
  commit();
}

void Results::finish() {
  const std::filesystem::path fresh = state_->path.string() + ".new";
  std::error_code error;
  std::filesystem::remove(fresh, error);
  {
    Results sorted(fresh);
    sorted.begin();
    Statement cells(*state_,
                    "SELECT model, input, target, recipe, metric, seed, score, curves FROM cells ORDER BY "
                    "model, input, target, recipe, metric, seed");
    while (cells.row()) {
      const CellKey key{cells.text(0), cells.text(1), cells.integer(2),
                        cells.text(3), cells.text(4), static_cast<std::uint64_t>(cells.integer(5))};
      sorted.put(key, {cells.number(6), unpack(cells.bytes(7))});
    }
    for (const std::string& name : names()) sorted.set(name, *get(name));
    sorted.commit();
  }
  const auto path = state_->path;
  state_.reset();
  std::filesystem::rename(fresh, path, error);
  if (error)
    throw Error(fmt::format("{}: cannot replace the file ({}); the results are in {}", path.string(),
                            error.message(), fresh.string()));
}

}  // namespace heatproof
