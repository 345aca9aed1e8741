// heatproof list: methods, metrics and rules with their parameters, from the declarations that parse them.
#include <fmt/format.h>

#include "cli/common.h"
#include "cli/messages.h"
#include "explain/composite.h"
#include "explain/recipe.h"
#include "heatproof/error.h"
#include "validate/metric.h"

namespace heatproof::cli {

namespace {

nlohmann::json to_json(const std::vector<Parameter>& parameters) {
  nlohmann::json list = nlohmann::json::array();
  for (const Parameter& p : parameters) {
    nlohmann::json item{{"name", p.name}, {"default", to_string(p.otherwise)}, {"about", p.about}};
    if (!p.words.empty()) item["one_of"] = p.words;
    list.push_back(item);
  }
  return list;
}

nlohmann::json methods_json() {
  nlohmann::json list = nlohmann::json::array();
  for (const Method& m : methods())
    list.push_back({{"name", m.name},
                    {"about", m.about},
                    {"source", m.source},
                    {"control", m.control},
                    {"parameters", to_json(m.parameters)}});
  return list;
}

nlohmann::json metrics_json() {
  nlohmann::json list = nlohmann::json::array();
  for (const Metric* m : metrics())
    list.push_back({{"name", m->name},
                    {"about", m->about},
                    {"source", m->source},
                    {"group", to_string(m->group)},
                    {"better", to_string(m->better)},
                    {"unit", m->unit},
                    {"parameters", to_json(m->parameters)}});
  return list;
}

nlohmann::json rules_json() {
  nlohmann::json list = nlohmann::json::array();
  for (const RuleDeclaration& r : rule_declarations())
    list.push_back(
        {{"name", r.name}, {"about", r.about}, {"source", ""}, {"parameters", to_json(r.parameters)}});
  return list;
}

void print(const nlohmann::json& list) {
  for (const auto& item : list) {
    const std::string source = item["source"];
    show("{}\n    {}{}\n", item["name"].get<std::string>(), item["about"].get<std::string>(),
         source.empty() ? "" : " (" + source + ")");
    for (const auto& p : item["parameters"]) {
      std::string words;
      for (const auto& word : p.value("one_of", nlohmann::json::array()))
        words += (words.empty() ? "; one of " : ", ") + word.get<std::string>();
      show("      {}={}  {}{}\n", p["name"].get<std::string>(), p["default"].get<std::string>(),
           p["about"].get<std::string>(), words);
    }
  }
}

}  // namespace

void add_list(CLI::App& app, GlobalFlags& global) {
  auto what = std::make_shared<std::string>();
  auto* command =
      app.add_subcommand("list", "recipes, metrics and rules that there are, with their parameters");
  command->add_option("WHAT", *what, "recipes, metrics or rules")
      ->required()
      ->check(CLI::IsMember({"recipes", "metrics", "rules"}));
  command->callback([what, &global] {
    const nlohmann::json list = *what == "recipes"   ? methods_json()
                                : *what == "metrics" ? metrics_json()
                                                     : rules_json();
    if (global.json)
      print_json(list);
    else
      print(list);
  });
}

}  // namespace heatproof::cli
