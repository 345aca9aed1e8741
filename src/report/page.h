// One self-contained HTML page: sections of text, tables, charts and pictures, in the one style of all
// reports.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "report/heatmap.h"

namespace heatproof::report {

/// Text made safe for HTML.
std::string escape(std::string_view text);
/// A number with `digits` significant digits; "n/a" for NaN and infinities.
std::string number(double value, int digits = 3);

/// Below this many images intervals are rough: of skewed scores they hold the mean in about nine of ten cases
/// (docs/statistics.md).
constexpr std::size_t kFewImages = 32;

/// How intervals are made, for reports: "95 % intervals over 3 images (the wider of ...; rough, ...)".
std::string intervals_over(std::size_t images, const std::string& what = "images");

/// One moment of an animation: a picture for every column, and what is to be said of it.
struct Frame {
  std::vector<Picture> pictures;
  std::string caption;
};

class Page {
 public:
  /// headline: the answer in one sentence; may hold `code` in backticks.
  Page(std::string title, std::string headline, bool warning = false);

  /// Replaces the headline, for pages that know their answer last.
  Page& headline(std::string text);
  /// Marks the headline as bad news.
  Page& warn(bool warning);
  Page& section(std::string_view heading);
  Page& text(std::string_view paragraph);  // backticks become code
  Page& html(std::string_view markup);     // already safe
  /// cells may hold markup that is already safe; `numeric` columns are right-aligned; the last cell of a
  /// short row takes up what is left.
  Page& table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows,
              const std::vector<bool>& numeric);
  /// A Chart.js chart; `alternative` describes it for those who cannot see it.
  Page& chart(const nlohmann::json& configuration, std::string_view alternative);

  /// Pictures that follow each other, with a slider and a button; all frames have one picture per column.
  /// marks_chart: the line chart that comes next marks the frame that is shown, its points being the frames.
  Page& animation(const std::vector<std::string>& columns, const std::vector<Frame>& frames,
                  bool marks_chart = false);

  std::string render() const;

 private:
  std::string title_, headline_, body_;
  bool warning_;
  int charts_ = 0;
  bool open_ = false;
};

}  // namespace heatproof::report
