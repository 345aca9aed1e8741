#include "report/facts.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

#include "heatproof/error.h"

namespace heatproof::report {

namespace {

using nlohmann::json;

// JSON knows no NaN; null stands for it.
json from_number(double v) { return std::isfinite(v) ? json(v) : json(nullptr); }
double to_number(const json& j) { return j.is_null() ? NAN : j.get<double>(); }

json from_numbers(const std::vector<double>& values) {
  json list = json::array();
  for (double v : values) list.push_back(from_number(v));
  return list;
}
std::vector<double> to_numbers(const json& list) {
  std::vector<double> values;
  for (const json& j : list) values.push_back(to_number(j));
  return values;
}

json from_estimate(const Estimate& e) { return from_numbers({e.mean, e.low, e.high}); }
Estimate to_estimate(const json& j) { return {to_number(j.at(0)), to_number(j.at(1)), to_number(j.at(2))}; }

json from_control(const AgainstControl& c) {
  return {{"control", c.control},
          {"lead", from_estimate(c.lead)},
          {"compared", c.compared},
          {"beaten", c.beaten},
          {"held_back", from_estimate(c.held_back)},
          {"held_back_compared", c.held_back_compared},
          {"held_back_beaten", c.held_back_beaten}};
}

AgainstControl to_control(const json& j) {
  return {j.at("control"),         to_estimate(j.at("lead")),      j.at("compared"),
          j.at("beaten"),          to_estimate(j.at("held_back")), j.at("held_back_compared"),
          j.at("held_back_beaten")};
}

json from_ranked(const RankedRecipe& r) {
  json curves = json::object();
  for (const auto& [name, values] : r.curves) curves[name] = from_numbers(values);
  json diagnostics = json::array();
  for (const Estimate& e : r.diagnostics) diagnostics.push_back(from_estimate(e));
  return {{"recipe", r.recipe},
          {"about", r.about},
          {"score", from_estimate(r.score)},
          {"p", from_number(r.p)},
          {"effect", from_number(r.effect)},
          {"shortfall", from_estimate(r.shortfall)},
          {"in_best_set", r.in_best_set},
          {"control", r.control},
          {"failed", r.failed},
          {"explodes", r.explodes},
          {"curves", curves},
          {"diagnostics", diagnostics}};
}

RankedRecipe to_ranked(const json& j) {
  RankedRecipe r;
  r.recipe = j.at("recipe");
  r.about = j.at("about");
  r.score = to_estimate(j.at("score"));
  r.p = to_number(j.at("p"));
  r.effect = to_number(j.at("effect"));
  r.shortfall = to_estimate(j.at("shortfall"));
  r.in_best_set = j.at("in_best_set");
  r.control = j.at("control");
  r.failed = j.at("failed");
  r.explodes = j.value("explodes", false);
  for (const auto& [name, values] : j.at("curves").items()) r.curves[name] = to_numbers(values);
  // Of older results there are means alone.
  for (const json& d : j.at("diagnostics"))
    r.diagnostics.push_back(d.is_array() ? to_estimate(d) : Estimate{to_number(d), NAN, NAN});
  return r;
}

template <typename T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}
template <typename T>
std::vector<T> values_of(const std::string& bytes, std::size_t count, const std::string& name) {
  if (bytes.size() != count * sizeof(T))
    throw InputError(fmt::format("results: '{}' is damaged; run select again", name));
  std::vector<T> values(count);
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

}  // namespace

std::map<std::string, std::string> to_facts(const SelectReport& r) {
  std::map<std::string, std::string> facts;
  json ranking = json::array();
  for (const auto& entry : r.ranking) ranking.push_back(from_ranked(entry));
  json diagnostics = json::array();
  for (const auto& d : r.diagnostics) diagnostics.push_back({d.name, d.about, d.unit, d.better, d.images});
  json agreement = json::array();
  for (const auto& row : r.agreement) agreement.push_back(from_numbers(row));
  json trusted = json::array();
  for (const TrustedMetric& m : r.trusted)
    trusted.push_back({m.name, from_numbers({m.between_images, m.split_half, m.above_random,
                                             m.between_images_with_controls, m.split_half_with_controls})});
  json controls = json::array();
  for (const AgainstControl& c : r.controls) controls.push_back(from_control(c));
  json varied = json::array();
  for (const VariedObjective& v : r.varied) varied.push_back({v.name, from_estimate(v.agreement), v.best});
  json exhibits = json::array();
  for (std::size_t i = 0; i < r.exhibits.size(); ++i) {
    const Exhibit& x = r.exhibits[i];
    exhibits.push_back({{"name", x.name},
                        {"label", x.label},
                        {"probability", from_number(x.probability)},
                        {"height", x.photo.height},
                        {"width", x.photo.width},
                        {"scores", from_numbers(x.scores)},
                        {"maps", x.relevance.size()}});
    facts[fmt::format("report photo {}", i)] = bytes_of(x.photo.rgb);
    for (std::size_t k = 0; k < x.relevance.size(); ++k)
      facts[fmt::format("report heatmap {} {}", i, k)] = bytes_of(x.relevance[k]);
  }
  const json root{{"model", r.model},
                  {"images", r.images},
                  {"objective", r.objective},
                  {"objective_about", r.objective_about},
                  {"objective_better", r.objective_better},
                  {"ranking", ranking},
                  {"beats_controls", r.beats_controls},
                  {"over_control", from_estimate(r.over_control)},
                  {"confirmed_images", r.confirmed_images},
                  {"confirmed", from_estimate(r.confirmed)},
                  {"confirmed_over_control", from_estimate(r.confirmed_over_control)},
                  {"confirms", r.confirms},
                  {"controls", controls},
                  {"caveat", r.caveat},
                  {"diagnostics", diagnostics},
                  {"agreement_names", r.agreement_names},
                  {"agreement", agreement},
                  {"trusted", trusted},
                  {"varied", varied},
                  {"shown", r.shown},
                  {"exhibits", exhibits},
                  {"facts", r.facts},
                  {"skipped", r.skipped},
                  {"recipe_toml", r.recipe_toml},
                  {"warnings", r.warnings}};
  // Bytes that are no UTF-8 (file names, labels) are replaced, so that nothing can stop a report.
  facts["report"] = root.dump(-1, ' ', false, json::error_handler_t::replace);
  return facts;
}

namespace {

[[noreturn]] void damaged(const std::string& what) {
  throw InputError(fmt::format("results: the report's data is damaged ({}); run select again", what));
}

/// What is nested deeper than any report would be copied by recursion.
json parsed(const std::string& text) {
  constexpr int kDeepest = 32;
  return json::parse(text, [](int depth, json::parse_event_t, json&) {
    if (depth > kDeepest) damaged("it is nested too deeply");
    return true;
  });
}

/// A side of a picture.
int side(const json& j) {
  const auto n = j.get<std::int64_t>();
  if (!j.is_number_integer() || n < 1 || n > std::numeric_limits<int>::max())
    damaged("the size of a picture");
  return static_cast<int>(n);
}

/// The page relies on lists that belong together having the same length.
void check(const SelectReport& r) {
  if (r.ranking.empty() && !r.controls.empty()) damaged("controls without a ranking");
  if (r.agreement.size() > r.agreement_names.size()) damaged("agreement without names");
  for (const auto& row : r.agreement)
    if (row.size() > r.agreement_names.size()) damaged("agreement without names");
  for (const RankedRecipe& e : r.ranking)
    if (e.diagnostics.size() > r.diagnostics.size()) damaged("diagnostics without names");
  for (const Exhibit& x : r.exhibits)
    if (x.relevance.size() > r.shown.size() || x.relevance.size() > x.scores.size())
      damaged("heatmaps without recipes");
}

SelectReport to_report(const std::map<std::string, std::string>& facts) {
  const json root = parsed(facts.at("report"));
  SelectReport r;
  r.model = root.at("model");
  r.images = root.at("images");
  r.objective = root.at("objective");
  r.objective_about = root.at("objective_about");
  r.objective_better = root.at("objective_better");
  for (const json& j : root.at("ranking")) r.ranking.push_back(to_ranked(j));
  r.beats_controls = root.at("beats_controls");
  r.over_control = to_estimate(root.at("over_control"));
  r.confirmed_images = root.at("confirmed_images");
  r.confirmed = to_estimate(root.at("confirmed"));
  r.confirmed_over_control = to_estimate(root.at("confirmed_over_control"));
  // Older results tested the best control alone, and too often found it beaten: they confirm nothing.
  r.confirms = root.value("confirms", false);
  for (const json& j : root.value("controls", json::array())) r.controls.push_back(to_control(j));
  r.caveat = root.value("caveat", "");
  for (const json& j : root.at("diagnostics"))
    r.diagnostics.push_back(
        {j.at(0), j.at(1), j.at(2), j.at(3), j.size() > 4 ? j.at(4).get<std::size_t>() : r.images});
  r.agreement_names = root.at("agreement_names").get<std::vector<std::string>>();
  for (const json& row : root.at("agreement")) r.agreement.push_back(to_numbers(row));
  for (const json& j : root.at("trusted")) {
    std::vector<double> v = to_numbers(j.at(1));
    v.resize(5, NAN);
    r.trusted.push_back({j.at(0), v[0], v[1], v[2], v[3], v[4]});
  }
  for (const json& j : root.at("varied")) r.varied.push_back({j.at(0), to_estimate(j.at(1)), j.at(2)});
  r.shown = root.at("shown").get<decltype(r.shown)>();
  r.facts = root.at("facts").get<decltype(r.facts)>();
  r.skipped = root.at("skipped").get<decltype(r.skipped)>();
  r.recipe_toml = root.at("recipe_toml");
  r.warnings = root.value("warnings", std::vector<std::string>());  // older results have none
  for (const json& j : root.at("exhibits")) {
    Exhibit x{
        j.at("name"), j.at("label"), to_number(j.at("probability")), {}, {}, to_numbers(j.at("scores"))};
    x.photo.height = side(j.at("height"));
    x.photo.width = side(j.at("width"));
    const auto pixels = static_cast<std::size_t>(x.photo.height) * static_cast<std::size_t>(x.photo.width);
    const std::size_t i = r.exhibits.size();
    const std::string photo = fmt::format("report photo {}", i);
    x.photo.rgb = values_of<std::uint8_t>(facts.at(photo), 3 * pixels, photo);
    for (std::size_t k = 0; k < j.at("maps").get<std::size_t>(); ++k) {
      const std::string map = fmt::format("report heatmap {} {}", i, k);
      x.relevance.push_back(values_of<float>(facts.at(map), pixels, map));
    }
    r.exhibits.push_back(std::move(x));
  }
  check(r);
  return r;
}

}  // namespace

SelectReport from_facts(const std::map<std::string, std::string>& facts) {
  if (!facts.contains("report"))
    throw InputError(
        "results: nothing to draw, since nothing was concluded from its cells yet; run heatproof select with "
        "--out on its "
        "folder (without --shard), which measures what is missing and concludes");
  try {
    return to_report(facts);
  } catch (const json::exception& e) {
    damaged(e.what());
  } catch (const std::out_of_range&) {
    throw InputError("results: a picture of the report is missing; run select again");
  }
}

std::size_t images_of(const std::string& report, const std::string& model, const std::string& objective) {
  try {
    const json root = parsed(report);
    return root.at("model") == model && root.at("objective") == objective
               ? root.at("images").get<std::size_t>()
               : 0;
  } catch (const json::exception&) {
  } catch (const InputError&) {
  }
  return 0;
}

}  // namespace heatproof::report
