// The answer of `select` in a few sentences.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "report/page.h"
#include "report/select_report.h"

namespace heatproof::report {

namespace {

/// The fewest images on which a difference can be told from chance: all 2^(n−1) ways to turn images around,
/// one of which was seen, have to be more than twenty.
constexpr std::size_t kFewestToTell = 7;
/// Below it only large differences are found among many recipes (docs/statistics.md), and a verdict on all of
/// them is too much.
constexpr std::size_t kEnoughToJudge = 16;

std::string interval_text(const Estimate& e) {
  if (!std::isfinite(e.low)) return number(e.mean);
  return fmt::format("{}, 95 % interval {} to {}", number(e.mean), number(e.low), number(e.high));
}

template <typename Wanted>
std::string names_of(const SelectReport& r, const Wanted& wanted) {
  std::vector<std::string> names;
  for (const AgainstControl& c : r.controls) {
    if (wanted(c)) names.push_back("`" + c.control + "`");
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

std::string count(std::size_t n, const std::string& noun) {
  return fmt::format("{} {}{}", n, noun, n == 1 ? "" : "s");
}

std::string nothing_beats_the_controls(const SelectReport& r) {
  const RankedRecipe& best = r.ranking[0];
  const std::string images = count(r.images, "image");
  const std::string score =
      fmt::format("The best score is that of `{}` ({}).", best.recipe, interval_text(best.score));
  const std::string missing = names_of(r, [](const auto& c) { return !c.compared; });
  const std::string unbeaten = names_of(r, [](const auto& c) { return c.compared && !c.beaten; });
  if (!missing.empty() && unbeaten.empty())
    return fmt::format(
        "No explanation is known to beat every control on {}: {} could not be compared, since a score is no "
        "number. {}",
        images, missing, score);
  if (!unbeaten.empty() && r.images < kFewestToTell)
    return fmt::format(
        "No explanation beats the controls on {}, which are too few to tell: give {} or more. {}", images,
        kFewestToTell, score);
  const bool few = r.images < kEnoughToJudge;
  std::string text = fmt::format(
      "No explanation beats the controls on {}: {}. {}", images,
      few ? "that may be for want of images, so give more before trusting or discarding these heatmaps"
          : "do not trust any of these heatmaps for this network",
      score);
  if (!unbeaten.empty()) text += fmt::format(" Not beaten: {}.", unbeaten);
  if (!missing.empty()) text += fmt::format(" Not compared, since a score is no number: {}.", missing);
  return text;
}

}  // namespace

std::string unconfirmed_because(const SelectReport& r) {
  if (r.confirms) return "";
  if (r.confirmed_images == 0)
    return r.images < 12 ? "no images were held back, since they are too few (26 or more are needed)"
                         : "no images were held back";
  if (r.controls.empty()) return "the results do not say how every control compares; run select again";
  const std::string images =
      fmt::format("on {} that selection did not see", count(r.confirmed_images, "image"));
  const std::string missing = names_of(r, [](const auto& c) { return !c.held_back_compared; });
  if (!missing.empty())
    return fmt::format("{} it could not be compared with {}, since a score is no number", images, missing);
  if (r.confirmed_images < kFewestToTell)
    return fmt::format(
        "{} it scores {}, but they are too few to tell ({} are needed, which are held back of 26)", images,
        number(r.confirmed.mean), kFewestToTell);
  const std::string unbeaten = names_of(r, [](const auto& c) { return !c.held_back_beaten; });
  if (unbeaten.empty()) return "not every control is beaten on the images that selection saw";
  return fmt::format("{} it scores {}, and its lead over {} is not significant", images,
                     number(r.confirmed.mean), unbeaten);
}

std::string headline(const SelectReport& r) {
  if (r.ranking.empty()) return "Nothing was measured.";
  const RankedRecipe& best = r.ranking[0];
  if (r.images < 2)
    return fmt::format("`{}` scores best on one image, which is no evidence: give more images.", best.recipe);
  if (!r.beats_controls) return nothing_beats_the_controls(r);
  const auto compared = std::ranges::count_if(r.ranking, [](const auto& e) { return !e.failed; }) - 1;
  const auto ties = std::ranges::count_if(r.ranking, [](const auto& e) { return e.in_best_set; }) - 1;
  const std::string direction = r.objective_better.starts_with("lower") ? ", lower is better" : "";
  std::string text = r.confirms ? fmt::format("Use `{}`: on {}", best.recipe, count(r.images, "image"))
                                : fmt::format("`{}` is best on these images, which is not confirmed: on {}",
                                              best.recipe, count(r.images, "image"));
  text += fmt::format(" its heatmaps order the evidence better than {} of {} alternatives ({}{}).",
                      compared - ties, compared, interval_text(best.score), direction);
  if (ties > 0) text += fmt::format(" {} other{} cannot be told from it.", ties, ties == 1 ? "" : "s");
  if (r.confirms)
    return text + fmt::format(" On {} that selection did not see it scores {} and again beats every control.",
                              count(r.confirmed_images, "image"), number(r.confirmed.mean));
  return text + fmt::format(" Not confirmed: {}.", unconfirmed_because(r));
}

}  // namespace heatproof::report
