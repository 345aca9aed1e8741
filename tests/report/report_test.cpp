#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include <cmath>

#include "heatproof/error.h"
#include "report/check_report.h"
#include "report/facts.h"
#include "report/heatmap.h"
#include "report/page.h"

namespace heatproof::report {

namespace {

SelectReport sample_report() {
  SelectReport r;
  r.model = "net<script>.onnx";
  r.images = 20;
  r.objective = "pixel_flipping";
  r.objective_about = "about";
  r.objective_better = "higher is better";
  r.ranking.push_back({.recipe = "lrp_zplus", .about = "a", .score = {3, 2.5, 3.5}, .in_best_set = true});
  r.ranking.push_back({.recipe = "gradient",
                       .about = "b",
                       .score = {1, 0.5, 1.5},
                       .p = 0.001,
                       .effect = 1.5,
                       .shortfall = {2, 1.25, 2.75}});
  r.ranking.push_back(
      {.recipe = "random", .about = "c", .score = {0, NAN, NAN}, .p = 0.001, .control = true});
  for (auto& e : r.ranking) {
    e.curves = {{"morf", {3, 1, 0}}, {"lerf", {3, 2.9, 0}}};
    e.diagnostics = {{1, 0.5, 1.5}, {NAN, NAN, NAN}};
  }
  r.beats_controls = true;
  r.over_control = {3, 2, 4};
  r.confirmed_images = 5;
  r.confirmed = {2.8, 2, 3};
  r.confirmed_over_control = {2.8, 1, 3};
  r.confirms = true;
  r.controls = {{"random", {3, 2, 4}, true, true, {2.8, 1, 3}, true, true}};
  r.diagnostics = {{"conservation", "x", "ratio", "1 is best", 4}, {"sparseness", "x", "gini", "higher", 4}};
  r.agreement_names = {"pixel_flipping", "conservation", "sparseness"};
  r.agreement = {{1, 0.2, NAN}, {0.2, 1, 0}, {NAN, 0, 1}};
  r.trusted = {{"pixel_flipping", 0.8, 0.9, 0.95}, {"sparseness", NAN, NAN, NAN}};
  r.varied = {{"pixel_flipping:imputer=mean", {0.7, 0.4, 0.9}, "lrp_zplus"}};
  r.shown = {{"best", "lrp_zplus"}, {"worst", "random"}};
  Exhibit x;
  x.name = "photo & <b>.png";
  x.label = "cat";
  x.probability = 0.9;
  x.photo.height = x.photo.width = 2;
  x.photo.rgb.assign(12, 100);
  x.relevance = {{1, -1, 0, 0.5F}, {0, 0, NAN, 1}};
  x.scores = {3, 0};
  r.exhibits.push_back(x);
  r.facts = {{"seed", "0"}};
  r.skipped = {{"broken.png", "no image"}};
  r.recipe_toml = "recipe = \"lrp_zplus\"\n";
  return r;
}

}  // namespace

TEST(SelectReport, SurvivesStorage) {
  const SelectReport r = sample_report();
  EXPECT_EQ(render(from_facts(to_facts(r))), render(r));
}

TEST(SelectReport, DamagedStorageIsNamed) {
  auto facts = to_facts(sample_report());
  facts["report photo 0"].pop_back();
  EXPECT_THROW(from_facts(facts), InputError);
  facts.erase("report photo 0");
  EXPECT_THROW(from_facts(facts), InputError);
  facts["report"] = "{";
  EXPECT_THROW(from_facts(facts), InputError);
  EXPECT_THROW(from_facts({}), InputError);
}

TEST(SelectReport, IsSelfContainedAndEscapesWhatUsersNamed) {
  const std::string html = render(sample_report());
  EXPECT_EQ(html.find("net<script>"), std::string::npos);
  EXPECT_NE(html.find("net&lt;script&gt;"), std::string::npos);
  EXPECT_EQ(html.find("<b>.png"), std::string::npos);
  for (const char* outside : {"src=\"http", "href=\"http", "@import", "<link"})
    EXPECT_EQ(html.find(outside), std::string::npos) << outside;
  EXPECT_NE(html.find("data:image/png;base64,"), std::string::npos);
  EXPECT_NE(html.find("prefers-color-scheme"), std::string::npos);
}

TEST(SelectReport, SaysHowFarTheMeasuresCanBeTrusted) {
  const std::string html = render(sample_report());
  EXPECT_NE(html.find("Can the measures be trusted?"), std::string::npos);
  EXPECT_NE(html.find("pixel_flipping:imputer=mean"), std::string::npos);
  EXPECT_NE(html.find("0.40 … 0.90"), std::string::npos);
}

TEST(CheckReport, ShowsAxiomsLedgerPathAndRewritings) {
  CheckReport r;
  r.model = "net";
  r.recipe = "lrp_zplus";
  r.images = 1;
  r.conservation = 0.9;
  r.gain = {5, 4, 6};
  r.uniform_gain = 0.1;
  const auto one = [](double v) { return Measured{{v, NAN, NAN}, v, v}; };
  r.axioms = {{"Positivity", "about all", "positivity", "of this row", "lower is better", one(0), 0},
              {"Continuity", "shared text", "continuity", "", "lower is better", one(1), 0},
              {"Continuity", "shared text", "continuity:motion=rotation", "", "lower is better", one(1), 0}};
  r.rewrites = {{"split", "a", one(0)}, {"max_halves", "b", one(0.5)}, {"zero_taps", "c", one(NAN)}};
  r.ledger = {{"conv1", "Conv", "zplus", 4, 3, 0.5, -0.25}, {"relu1", "Relu", "pass", 3, 3, 0, 0}};
  EXPECT_DOUBLE_EQ(r.ledger[0].rest(), 0.25);
  r.path = "translation";
  r.frames = {{{Picture{1, 1, {0, 0, 0}}, Picture{1, 1, {9, 9, 9}}}, "frame 1"},
              {{Picture{1, 1, {0, 0, 0}}, Picture{1, 1, {9, 9, 9}}}, "frame 2"}};
  r.changes = {0.1};
  const std::string html = render(r);
  EXPECT_NE(headline(r).find("stays what it is in 1 of 2 rewritings"), std::string::npos) << headline(r);
  EXPECT_NE(headline(r).find("`uniform`, which says nothing, 0.10"), std::string::npos) << headline(r);
  for (const char* part :
       {"created by stabilizers", "nothing to rewrite", "data-marks=\"chart-0\"", "frame 2"})
    EXPECT_NE(html.find(part), std::string::npos) << part;
  EXPECT_EQ(html.find("<th scope=\"col\" class=\"number\">least"), std::string::npos);  // of one sample
  EXPECT_EQ(html.find("shared text"), html.rfind("shared text"));                       // once per group
  EXPECT_NE(html.find("\"conv1\""), std::string::npos);  // layers are named in the chart
}

TEST(CheckReport, GivesIntervalsOfSeveralImages) {
  CheckReport r;
  r.recipe = "lrp_zplus";
  r.images = 3;
  r.gain = {5, 4, 6};
  r.uniform_gain = 0.1;
  r.axioms = {{"Positivity", "about", "positivity", "", "lower is better", {{0.123, 0.1, 0.14}, 0, 0.2}, 0}};
  const std::string html = render(r);
  EXPECT_NE(html.find("0.123 [0.100, 0.140]"), std::string::npos);
  EXPECT_NE(headline(r).find("5.00 [4.00, 6.00]"), std::string::npos) << headline(r);
}

TEST(SelectReport, SaysTheDirectionAndHowFarOthersAreBehind) {
  SelectReport r = sample_report();
  EXPECT_NE(render(r).find("2.00 [1.25, 2.75]"), std::string::npos);
  r.objective_better = "lower is better";
  EXPECT_NE(headline(r).find("lower is better"), std::string::npos);
  EXPECT_NE(render(r).find("(lower is better)"), std::string::npos);
}

TEST(SelectReport, LeavesOutCurvesWhereThereAreNone) {
  SelectReport r = sample_report();
  EXPECT_NE(render(r).find("Flipping curves"), std::string::npos);
  for (auto& e : r.ranking) e.curves = {{"morf", {NAN, NAN}}};
  EXPECT_EQ(render(r).find("urves</h2>"), std::string::npos);
}

TEST(Headline, SaysWhatWasFound) {
  SelectReport r = sample_report();
  EXPECT_NE(headline(r).find("Use `lrp_zplus`"), std::string::npos);
  EXPECT_NE(headline(r).find("again beats every control"), std::string::npos);
  r.beats_controls = false;
  for (const auto& [images, words] : {std::pair(64, "do not trust any"), {8, "for want of images"}}) {
    r.images = static_cast<std::size_t>(images);
    EXPECT_NE(headline(r).find("No explanation beats the controls"), std::string::npos);
    EXPECT_NE(headline(r).find(words), std::string::npos) << headline(r);
  }
  r.beats_controls = true;
  r.images = 1;
  EXPECT_NE(headline(r).find("no evidence"), std::string::npos);
}

TEST(Headline, RecommendsOnlyWhatIsConfirmed) {
  SelectReport r = sample_report();
  r.confirmed_images = 8;
  r.confirms = false;
  r.controls[0].held_back_beaten = false;
  EXPECT_EQ(headline(r).find("Use "), std::string::npos) << headline(r);
  EXPECT_NE(headline(r).find("`lrp_zplus` is best on these images, which is not confirmed"),
            std::string::npos);
  EXPECT_NE(headline(r).find("its lead over `random` is not significant"), std::string::npos) << headline(r);
  EXPECT_NE(render(r).find("2.80 [1.00, 3.00], not significant"), std::string::npos);
  r.controls[0].held_back_compared = false;
  EXPECT_NE(headline(r).find("could not be compared with `random`"), std::string::npos) << headline(r);
  r.controls[0].held_back_compared = true;
  r.confirmed_images = 3;
  EXPECT_NE(headline(r).find("too few to tell"), std::string::npos) << headline(r);
  r.confirmed_images = 0;
  EXPECT_NE(headline(r).find("no images were held back"), std::string::npos) << headline(r);
}

TEST(Headline, NamesControlsThatWereNotComparedOrNotBeaten) {
  SelectReport r = sample_report();
  r.beats_controls = r.confirms = false;
  r.controls[0].beaten = false;
  EXPECT_NE(headline(r).find("Not beaten: `random`"), std::string::npos) << headline(r);
  r.images = 4;
  EXPECT_NE(headline(r).find("too few to tell"), std::string::npos) << headline(r);
  r.controls[0].compared = false;
  EXPECT_NE(headline(r).find("`random` could not be compared"), std::string::npos) << headline(r);
}

TEST(Headline, CountsAlternativesThatWereCompared) {
  SelectReport r = sample_report();
  r.ranking.push_back({.recipe = "broken", .about = "d", .score = {NAN, NAN, NAN}, .failed = true});
  EXPECT_NE(headline(r).find("better than 2 of 2 alternatives"), std::string::npos) << headline(r);
}

TEST(SelectReport, OlderResultsConfirmNothing) {
  auto facts = to_facts(sample_report());
  auto root = nlohmann::json::parse(facts["report"]);
  for (const char* name : {"confirms", "controls", "caveat"}) root.erase(name);
  facts["report"] = root.dump();
  EXPECT_EQ(headline(from_facts(facts)).find("Use "), std::string::npos);
}

TEST(SelectReport, SaysWhatErrorRatesHoldFor) {
  SelectReport r = sample_report();
  EXPECT_NE(render(r).find("fixed beforehand"), std::string::npos);
  r.caveat = "The time was up after 8 images.";
  EXPECT_NE(render(from_facts(to_facts(r))).find(r.caveat), std::string::npos);
}

TEST(Heatmap, WhiteIsZeroRedIsForBlueIsAgainst) {
  const std::vector<float> relevance{0, 2, -2, NAN};
  const Picture p = draw_heatmap(relevance, 2, 2);
  EXPECT_EQ((std::vector<std::uint8_t>(p.rgb.begin(), p.rgb.begin() + 3)),
            (std::vector<std::uint8_t>{255, 255, 255}));
  EXPECT_GT(p.rgb[3], p.rgb[5]);
  EXPECT_GT(p.rgb[8], p.rgb[6]);
  EXPECT_EQ(p.rgb[9], 128);
  // Over a photo, what is no number looks neither like evidence nor like none.
  const Picture over = draw_overlay(relevance, {2, 2, std::vector<std::uint8_t>(12, 100)});
  EXPECT_EQ((std::vector<std::uint8_t>(over.rgb.begin() + 9, over.rgb.end())),
            (std::vector<std::uint8_t>{255, 190, 0}));
  // A pixel that is none does not hide the others.
  const std::vector<float> photo{NAN, 0, 1, 1};
  EXPECT_EQ(draw_input(photo, 1, 2, 2).rgb,
            draw_input(std::vector<float>{NAN, 0, 1, 1}, 1, 2, 2, {0}, {1}).rgb);
  const Picture big = enlarge(p, 5);
  EXPECT_EQ(big.height, 6);
  EXPECT_EQ(big.rgb.size(), 108U);
  EXPECT_TRUE(encode_png(p).starts_with("\x89PNG"));
}

TEST(Page, ScriptsCannotBeClosedByData) {
  Page page("t", "h");
  page.chart({{"label", "</script><img>"}}, "alt");
  EXPECT_EQ(page.render().find("</script><img>"), std::string::npos);
}

TEST(Number, HasSignificantDigits) {
  EXPECT_EQ(number(0.012345), "0.0123");
  EXPECT_EQ(number(1234.5), "1234");
  EXPECT_EQ(number(NAN), "n/a");
  EXPECT_EQ(number(0), "0");
}

}  // namespace heatproof::report
