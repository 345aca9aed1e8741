#include "store/results.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <cmath>
#include <cstring>
#include <set>
#include <tuple>
#include <utility>

#include "base/draft.h"
#include "heatproof/error.h"
#include "store/database.h"

namespace heatproof {

namespace {

constexpr int kApplicationId = 0x48454154;  // "HEAT"
constexpr int kSchemaVersion = 2;
constexpr int kOldestReadable = 1;  // without check sums

const char* cells_table(std::int64_t version) {
  return version == 1
             ? "CREATE TABLE cells (model TEXT, input TEXT, target INTEGER, recipe TEXT, metric TEXT, seed "
               "INTEGER, score REAL, curves BLOB, PRIMARY KEY (model, input, target, recipe, metric, seed)) "
               "WITHOUT ROWID"
             : "CREATE TABLE cells (model TEXT, input TEXT, target INTEGER, recipe TEXT, metric TEXT, seed "
               "INTEGER, score REAL, curves BLOB, sha256 BLOB, PRIMARY KEY (model, input, target, recipe, "
               "metric, seed)) WITHOUT ROWID";
}
const char* facts_table(std::int64_t version) {
  return version == 1 ? "CREATE TABLE facts (name TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID"
                      : "CREATE TABLE facts (name TEXT PRIMARY KEY, value BLOB, sha256 BLOB) WITHOUT ROWID";
}

void add_number(std::string& bytes, std::uint64_t n) {
  bytes.append(reinterpret_cast<const char*>(&n), sizeof(n));
}
/// After its length, so that what follows cannot be taken for more of it.
void add_text(std::string& bytes, std::string_view text) {
  add_number(bytes, text.size());
  bytes += text;
}

std::string digest(std::string_view bytes) {
  unsigned char sum[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), sum, &size, EVP_sha256(), nullptr) != 1)
    throw Error("SHA-256 failed");
  return {reinterpret_cast<const char*>(sum), size};
}

std::string digest_of(const CellKey& k, double score, std::string_view curves) {
  std::string bytes;
  for (const std::string* text : {&k.model, &k.input, &k.recipe, &k.metric}) add_text(bytes, *text);
  add_number(bytes, static_cast<std::uint64_t>(k.target));
  add_number(bytes, k.seed);
  score = std::isnan(score) ? NAN : score + 0.0;  // SQLite knows neither kinds of NaN nor a zero below zero
  add_number(bytes, 0);
  std::memcpy(bytes.data() + bytes.size() - sizeof(score), &score, sizeof(score));
  add_text(bytes, curves);
  return digest(bytes);
}

std::string digest_of(std::string_view name, std::string_view value) {
  std::string bytes;
  add_text(bytes, name);
  add_text(bytes, value);
  return digest(bytes);
}

/// Curves as bytes: per curve its name's length, name, number of values, values.
std::string pack(const std::map<std::string, std::vector<double>>& curves) {
  std::string bytes;
  for (const auto& [name, values] : curves) {
    add_text(bytes, name);
    add_number(bytes, values.size());
    bytes.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(double));
  }
  return bytes;
}

std::map<std::string, std::vector<double>> unpack(std::string_view bytes, const Database& database) {
  std::map<std::string, std::vector<double>> curves;
  /// How many parts of `size` bytes follow; never more than there are bytes for.
  const auto count = [&](std::size_t size) {
    std::uint64_t n = 0;
    if (bytes.size() < sizeof(n)) database.damaged("a curve");
    std::memcpy(&n, bytes.data(), sizeof(n));
    bytes.remove_prefix(sizeof(n));
    if (n > bytes.size() / size) database.damaged("a curve");
    return static_cast<std::size_t>(n);
  };
  while (!bytes.empty()) {
    const std::size_t length = count(1);
    std::vector<double>& values = curves[std::string(bytes.substr(0, length))];
    bytes.remove_prefix(length);
    values.resize(count(sizeof(double)));
    if (!values.empty()) std::memcpy(values.data(), bytes.data(), values.size() * sizeof(double));
    bytes.remove_prefix(values.size() * sizeof(double));
  }
  return curves;
}

/// Whether two measurements of a cell contradict each other; NaN agrees with NaN alone.
bool contradict(double a, double b) {
  if (!std::isfinite(a) || !std::isfinite(b)) return a != b && !(std::isnan(a) && std::isnan(b));
  return std::abs(a - b) > 1e-4 * std::abs(b);
}

std::int64_t pragma(const Database& database, const char* name) {
  Statement s(database, fmt::format("PRAGMA {}", name));
  return s.row() ? s.integer(0) : 0;
}

/// The schema's version; 0 of a new file. Throws unless the tables are, word by word, those that heatproof
/// makes: what else a database can hold (views, triggers, computed columns) would run when it is read.
std::int64_t version_of(const Database& database, std::int64_t oldest) {
  std::set<std::string> tables;
  Statement s(database, "SELECT coalesce(sql, '') FROM sqlite_master LIMIT 3");
  while (s.row()) tables.insert(s.text(0));
  if (tables.empty() && database.access() != Database::Access::read) return 0;
  const std::string again = database.access() == Database::Access::read
                                ? "give a results.sqlite that select wrote"
                                : "choose another --out";
  if (pragma(database, "application_id") != kApplicationId)
    throw InputError(
        fmt::format("{}: a database, but not of heatproof; {}", database.path().string(), again));
  const std::int64_t version = pragma(database, "user_version");
  if (version < oldest || version > kSchemaVersion)
    throw InputError(fmt::format("{}: written by another version of heatproof (schema {}, {} is needed); {}",
                                 database.path().string(), version, kSchemaVersion, again));
  if (tables != std::set<std::string>{cells_table(version), facts_table(version)})
    throw InputError(fmt::format("{}: its tables are not those that heatproof makes; {}",
                                 database.path().string(), again));
  return version;
}

}  // namespace

struct Results::State {
  std::filesystem::path target;
  std::unique_ptr<Draft> draft;  // of a new file that has yet to take the target's place
  Database database;
  std::int64_t version;
  std::set<std::pair<std::string, std::uint64_t>> origins;  // models and seeds of the cells

  /// Opens a file that is there, or creates it.
  State(const std::filesystem::path& path, Database::Access access)
      : target(path),
        database(path, path, access),
        version(version_of(database, access == Database::Access::read ? kOldestReadable : kSchemaVersion)) {
    if (version == 0) create_or_remove();
    verify();
  }
  /// A new file on its way.
  State(const std::filesystem::path& path, std::unique_ptr<Draft> to)
      : target(path),
        draft(std::move(to)),
        database(path, draft->path(), Database::Access::draft),
        version(0) {
    create();
  }

  void create();
  void create_or_remove();
  void verify();
  void put(const CellKey& key, double score, std::string_view curves);

  struct Row {
    CellKey key;
    double score;
    std::string curves;
  };
  std::string columns() const {
    return std::string("model, input, target, recipe, metric, seed, score, curves, ") +
           (version == 1 ? "NULL" : "sha256");
  }
  Row row_of(const Statement& s) const;
  std::string value_of(const Statement& s, const std::string& name) const;
  std::string in_order() const {
    return fmt::format("SELECT {} FROM cells ORDER BY model, input, target, recipe, metric, seed", columns());
  }
};

void Results::State::create_or_remove() {
  try {
    create();
  } catch (...) {
    std::error_code error;
    std::filesystem::remove(target, error);  // nobody else can have opened it
    throw;
  }
}

void Results::State::create() {
  version = kSchemaVersion;
  database.exec(fmt::format("BEGIN; PRAGMA application_id={}; PRAGMA user_version={}; {}; {}; COMMIT",
                            kApplicationId, kSchemaVersion, cells_table(version), facts_table(version))
                    .c_str());
}

Results::State::Row Results::State::row_of(const Statement& s) const {
  Row row{
      {s.text(0), s.text(1), s.integer(2), s.text(3), s.text(4), static_cast<std::uint64_t>(s.integer(5))},
      s.number(6),
      s.blob(7)};
  if (version > 1 && s.blob(8) != digest_of(row.key, row.score, row.curves))
    database.damaged(fmt::format("the cell of {} of {} on input {} (its SHA-256 differs)", row.key.metric,
                                 row.key.recipe, row.key.input.substr(0, 12)));
  return row;
}

std::string Results::State::value_of(const Statement& s, const std::string& name) const {
  std::string value = s.blob(0);
  if (version > 1 && s.blob(1) != digest_of(name, value))
    database.damaged(fmt::format("'{}' (its SHA-256 differs)", name));
  return value;
}

/// Reads all once. Keys have to ascend: pages that a damaged file counts twice would never end.
void Results::State::verify() {
  const auto order = [](const CellKey& k) {
    return std::tuple(k.model, k.input, k.target, k.recipe, k.metric, static_cast<std::int64_t>(k.seed));
  };
  std::optional<CellKey> last;
  Statement cells(database, in_order());
  while (cells.row()) {
    Row row = row_of(cells);
    if (last && order(*last) >= order(row.key)) database.damaged("the order of the cells");
    origins.emplace(row.key.model, row.key.seed);
    last = std::move(row.key);
  }
  std::optional<std::string> fact;
  Statement facts(database, fmt::format("SELECT value, {}, name FROM facts ORDER BY name",
                                        version == 1 ? "NULL" : "sha256"));
  while (facts.row()) {
    std::string name = facts.text(2);
    value_of(facts, name);
    if (fact && *fact >= name) database.damaged("the order of the facts");
    fact = std::move(name);
  }
}

void Results::State::put(const CellKey& key, double score, std::string_view curves) {
  Statement s(database, "INSERT OR REPLACE INTO cells VALUES (?,?,?,?,?,?,?,?,?)");
  s.bind(1, key.model), s.bind(2, key.input), s.bind(3, key.target), s.bind(4, key.recipe),
      s.bind(5, key.metric);
  s.bind(6, static_cast<std::int64_t>(key.seed));
  s.bind(7, score);  // NaN is stored as NULL
  s.bind_blob(8, curves);
  s.bind_blob(9, digest_of(key, score, curves));
  s.row();
  origins.emplace(key.model, key.seed);
}

Results::Results(const std::filesystem::path& path)
    : state_(std::make_unique<State>(path, Database::Access::write)) {}
Results::Results(std::unique_ptr<State> state) : state_(std::move(state)) {}
Results::~Results() = default;
Results::Results(Results&&) noexcept = default;
Results& Results::operator=(Results&&) noexcept = default;

Results Results::read(const std::filesystem::path& path) {
  return Results(std::make_unique<State>(path, Database::Access::read));
}

std::optional<Cell> Results::find(const CellKey& key) const {
  Statement s(
      state_->database,
      fmt::format("SELECT {} FROM cells WHERE model=? AND input=? AND target=? AND recipe=? AND metric=? AND "
                  "seed=?",
                  state_->columns()));
  s.bind(1, key.model), s.bind(2, key.input), s.bind(3, key.target), s.bind(4, key.recipe),
      s.bind(5, key.metric);
  s.bind(6, static_cast<std::int64_t>(key.seed));
  if (!s.row()) return std::nullopt;
  const auto row = state_->row_of(s);
  return Cell{row.score, unpack(row.curves, state_->database)};
}

void Results::put(const CellKey& key, const Cell& cell) { state_->put(key, cell.score, pack(cell.curves)); }

std::int64_t Results::cells() const {
  Statement s(state_->database, "SELECT count(*) FROM cells");
  return s.row() ? s.integer(0) : 0;
}

void Results::set(const std::string& name, const std::string& value) {
  Statement s(state_->database, "INSERT OR REPLACE INTO facts VALUES (?,?,?)");
  s.bind(1, std::string_view(name));
  s.bind_blob(2, value);
  s.bind_blob(3, digest_of(name, value));
  s.row();
}

void Results::remove(const std::string& name) {
  Statement s(state_->database, "DELETE FROM facts WHERE name=?");
  s.bind(1, std::string_view(name));
  s.row();
}

std::optional<std::string> Results::get(const std::string& name) const {
  Statement s(state_->database, fmt::format("SELECT value, {} FROM facts WHERE name=?",
                                            state_->version == 1 ? "NULL" : "sha256"));
  s.bind(1, std::string_view(name));
  if (!s.row()) return std::nullopt;
  return state_->value_of(s, name);
}

std::vector<std::string> Results::names() const {
  std::vector<std::string> names;
  Statement s(state_->database, "SELECT name FROM facts ORDER BY name");
  while (s.row()) names.push_back(s.text(0));
  return names;
}

void Results::begin() {
  state_->database.must_be_there();
  state_->database.exec("BEGIN IMMEDIATE");
}
void Results::commit() { state_->database.exec("COMMIT"); }

Results Results::replacing(const std::filesystem::path& path) {
  return Results(std::make_unique<State>(path, std::make_unique<Draft>(path, true)));
}

void Results::merge(const Results& other) {
  const State& from = *other.state_;
  State& to = *state_;
  const std::string file = from.database.path().string();
  if (from.version != kSchemaVersion)
    throw InputError(
        fmt::format("{}: written by another version of heatproof (schema {}, {} is needed); measure its "
                    "part again",
                    file, from.version, kSchemaVersion));
  if (!to.origins.empty() && !from.origins.empty() && to.origins != from.origins) {
    const auto [model, seed] = *from.origins.begin();
    throw Error(
        fmt::format("{}: cells of {} than in the files before; merge joins parts of one selection (select "
                    "--shard)",
                    file,
                    to.origins.begin()->first == model
                        ? fmt::format("another seed (such as {})", seed)
                        : std::string("another model, output, range of pixels or version of heatproof")));
  }
  to.database.exec("BEGIN IMMEDIATE");
  Statement s(from.database, from.in_order());
  while (s.row()) {
    const auto row = from.row_of(s);
    if (const auto known = find(row.key); known && contradict(known->score, row.score))
      throw Error(
          fmt::format("{}: {} of {} has another score than in {}; the runs used different data or versions",
                      file, row.key.metric, row.key.recipe, to.target.string()));
    to.put(row.key, row.score, row.curves);
  }
  commit();
}

void Results::finish() {
  Results sorted = replacing(state_->target);
  State& to = *sorted.state_;
  to.database.exec("BEGIN IMMEDIATE");
  {
    Statement cells(state_->database, state_->in_order());
    while (cells.row()) {
      const auto row = state_->row_of(cells);
      to.put(row.key, row.score, row.curves);
    }
  }
  for (const std::string& name : names()) sorted.set(name, *get(name));
  sorted.commit();
  const std::unique_ptr<Draft> draft = std::move(to.draft);
  sorted.state_.reset();  // closes the file, and the old one before it is replaced
  if (state_->database.access() == Database::Access::write) state_->database.must_be_there();
  state_.reset();
  draft->commit();
}

}  // namespace heatproof
