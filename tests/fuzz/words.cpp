// Words of the command line, and text files.
#include <cmath>

#include "base/spec.h"
#include "data/preprocessing.h"
#include "explain/recipe.h"
#include "fuzz/support.h"
#include "fuzz/targets.h"
#include "select/space.h"
#include "validate/metric.h"

namespace heatproof::fuzz {

namespace {

/// What is read is written in one way, which reads back as the same.
void recipe(std::string_view text) {
  const Recipe r = parse_recipe(text);
  if (parse_recipe(r.text).text != r.text) fail("a recipe that does not read back: " + r.text);
}

void metric(std::string_view text) {
  const MetricSpec m = parse_metric(text);
  if (parse_metric(m.text).text != m.text) fail("a metric that does not read back: " + m.text);
}

void model_config(std::string_view text) {
  const Preprocessing p = read_model_config(file_of(text, "model.toml"));
  if (p.black().size() != p.white().size()) fail("black and white of other sizes");
}

void labels(std::string_view text) {
  const std::size_t end = text.find('\n');
  const std::string wanted(text.substr(0, end));
  const Labels l =
      Labels::read(file_of(end == std::string_view::npos ? "" : text.substr(end + 1), "labels.txt"));
  l.name(-1), l.name(0), l.name(1'000'000);
  l.name(l.find(wanted));
}

}  // namespace

void words(std::string_view bytes) {
  if (bytes.empty() || bytes.size() > 1 << 16) return;
  const std::string_view text = bytes.substr(1);
  may_refuse([&] {
    switch (bytes[0]) {
      case 'r':
        return recipe(text);
      case 'g':
        expand_recipes(text);
        return;
      case 'm':
        return metric(text);
      case 's':
        parse_spec(text);
        return;
      case 'x':
        expand_grid(text);
        return;
      case 'S':
        read_space(file_of(text, "space.toml"), {});
        return;
      case 'M':
        return model_config(text);
      case 'R':
        read_recipe(file_of(text, "recipe.toml").string());
        return;
      case 'L':
        return labels(text);
      default:
        return;
    }
  });
}

}  // namespace heatproof::fuzz
