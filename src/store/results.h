// results.sqlite: scores, cell by cell. A killed run resumes; a finished file has the same bytes however it
// came about. Every cell and every fact carries its SHA-256, which is checked whenever it is read.
//
//   Results results("out/results.sqlite");
//   if (!results.find(key)) results.put(key, {score, curves});
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace heatproof {

/// What makes a score what it is.
struct CellKey {
  std::string model;  // hash
  std::string input;  // hash
  std::int64_t target = 0;
  std::string recipe;  // canonical
  std::string metric;  // canonical
  std::uint64_t seed = 0;
  auto operator<=>(const CellKey&) const = default;
};

struct Cell {
  double score = 0;
  std::map<std::string, std::vector<double>> curves;
};

class Results {
 public:
  /// Opens or creates, for this process alone. Throws InputError for files that are no results of heatproof,
  /// of another version, or damaged; Error when the file is in use or the disk is full.
  explicit Results(const std::filesystem::path& path);
  /// Only reads: the file keeps its bytes, and may lie on a disk that cannot be written. Takes those of the
  /// version before, too, whose cells have no check sums.
  static Results read(const std::filesystem::path& path);
  /// New and empty; takes the place of `path` when it is finished.
  static Results replacing(const std::filesystem::path& path);
  ~Results();
  Results(Results&&) noexcept;
  Results& operator=(Results&&) noexcept;

  std::optional<Cell> find(const CellKey& key) const;
  void put(const CellKey& key, const Cell& cell);
  std::int64_t cells() const;

  /// Facts of the run, and what the report shows, as text or bytes by name.
  void set(const std::string& name, const std::string& value);
  void remove(const std::string& name);
  std::optional<std::string> get(const std::string& name) const;
  std::vector<std::string> names() const;

  /// Everything between `begin` and `commit` becomes visible at once.
  void begin();
  void commit();

  /// Copies all cells of another file. Throws Error when the same cell has another score there, or cells are
  /// of another seed, or of another model or other preparing.
  void merge(const Results& other);

  /// Rewrites the file in the order of the keys and closes it: equal contents give equal bytes.
  void finish();
  bool is_open() const { return state_ != nullptr; }

 private:
  struct State;
  explicit Results(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace heatproof
