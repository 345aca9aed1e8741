#include "demo/networks.h"

#include <fmt/format.h>

#include <cmath>

#include "base/random.h"
#include "onnx/model.h"
#include "ops/arithmetic.h"
#include "ops/operators.h"
#include "validate/features.h"

namespace heatproof::demo {

namespace {

Network two_layers(std::vector<float> first, std::vector<float> second) {
  return Network([first = std::move(first), second = std::move(second)](std::int64_t batch) {
    Builder g;
    const auto hidden = static_cast<std::int64_t>(second.size());
    const Value x = g.input("x", {DType::f32, {batch, 2}});
    const Value h = g.add(
        kRelu, {g.add(kLinear, {x, g.constant(Tensor::of({hidden, 2}, std::span<const float>(first)))})});
    g.output("y", g.add(kLinear, {h, g.constant(Tensor::of({1, hidden}, std::span<const float>(second)))}));
    return g.build();
  });
}

Tensor normal(Shape shape, double deviation, RandomStream& random) {
  Tensor t = Tensor::empty(DType::f32, std::move(shape));
  for (float& v : t.data<float>()) v = static_cast<float>(deviation * random.normal());
  return t;
}

}  // namespace

Network max_by_halves() { return two_layers({1, -1, -1, 1, 1, 1}, {0.5, 0.5, 0.5}); }
Network max_by_difference() { return two_layers({1, 0, -1, 1}, {1, 1}); }

Network nearly_cancelling(double delta) {
  return two_layers({1, static_cast<float>(delta - 1)}, {static_cast<float>(1 / delta)});
}

Network random_relu_network(std::int64_t depth, std::int64_t width, bool biased, std::uint64_t seed) {
  return Network([=](std::int64_t batch) {
    Builder g;
    RandomStream random(seed, {"relu network"}, static_cast<std::uint64_t>(depth));
    const double he = std::sqrt(2.0 / static_cast<double>(width));
    Value x = g.input("x", {DType::f32, {batch, width}});
    for (std::int64_t k = 0; k < depth; ++k) {
      const Value w = g.constant(normal({width, width}, he, random));
      const Tensor bias = normal({width}, 0.3, random);
      x = g.add(kRelu, {biased ? g.add(kLinear, {x, w, g.constant(bias)}) : g.add(kLinear, {x, w})});
    }
    g.output("y", g.add(kLinear, {x, g.constant(normal({1, width}, he, random))}));
    return g.build();
  });
}

Network normalised_relu_network(std::int64_t depth, std::int64_t width, std::uint64_t seed) {
  constexpr std::int64_t kTypical = 512;
  RandomStream random(seed, {"normalised network"}, static_cast<std::uint64_t>(depth));
  const auto n = static_cast<std::size_t>(width);
  std::vector<std::vector<double>> x(kTypical, std::vector<double>(n));
  for (auto& row : x) {
    for (double& v : row) v = std::fabs(random.normal());
  }
  std::vector<std::pair<Tensor, Tensor>> layers;
  for (std::int64_t k = 0; k < depth; ++k) {
    Tensor w = normal({width, width}, 1, random);
    Tensor b = Tensor::zeros(DType::f32, {width});
    std::vector<std::vector<double>> next(kTypical, std::vector<double>(n));
    for (std::size_t j = 0; j < n; ++j) {
      float* row = w.data<float>().data() + j * n;
      std::vector<double> z;
      double mean = 0;
      double squares = 0;
      for (const auto& input : x) {
        double sum = 0;
        for (std::size_t i = 0; i < n; ++i) sum += row[i] * input[i];
        z.push_back(sum);
        mean += sum / kTypical;
        squares += sum * sum / kTypical;
      }
      const double scale = 1 / std::sqrt(squares - mean * mean);
      double power = 0;
      for (double& v : z) {
        v = std::max(0.0, (v - mean) * scale);
        power += v * v / kTypical;
      }
      const double gain = 1 / std::sqrt(power);
      for (std::size_t i = 0; i < n; ++i) row[i] = static_cast<float>(row[i] * scale * gain);
      b.data<float>()[j] = static_cast<float>((-mean * scale) * gain);
      for (std::size_t i = 0; i < z.size(); ++i) next[i][j] = z[i] * gain;
    }
    x = std::move(next);
    layers.emplace_back(w, b);
  }
  const Tensor last = normal({1, width}, std::sqrt(2.0 / static_cast<double>(width)), random);
  return Network([=](std::int64_t batch) {
    Builder g;
    Value h = g.input("x", {DType::f32, {batch, width}});
    for (const auto& [w, b] : layers) h = g.add(kRelu, {g.add(kLinear, {h, g.constant(w), g.constant(b)})});
    g.output("y", g.add(kLinear, {h, g.constant(last)}));
    return g.build();
  });
}

Network load_network(const std::filesystem::path& path) {
  return Network([model = Model::load(path)](std::int64_t batch) {
    Specialization s;
    s.batch = batch;
    return model.specialize(s);
  });
}

Shipped load_shipped(const Options& options, const std::string& name) {
  const auto folder = options.assets / name;
  const Preprocessing p = read_model_config(folder / (name + ".toml"));
  Network network = load_network(folder / (name + ".onnx"));
  ExplainOptions explain;
  explain.low = p.black();
  explain.high = p.white();
  explain.seed = options.seed;
  return {std::move(network), p, explain};
}

Shapes load_shapes(const Options& options, std::int64_t images) {
  Shipped shipped = load_shipped(options, "shapes");
  const Preprocessing& p = shipped.preprocessing;
  InputSet set = load_inputs(options.assets / "shapes" / "images", p, {-1, 3, 64, 64}, images);
  Tensor logits = shipped.network.predict(set.inputs);
  auto targets = argmax_rows(logits);
  return {std::move(shipped.network),
          std::move(set),
          std::move(logits),
          std::move(targets),
          shipped.options,
          p.black(),
          p.white()};
}

void add_pictures(report::Page& page, const std::vector<std::string>& columns,
                  const std::vector<report::Picture>& pictures) {
  std::string grid = fmt::format(
      "<div class=\"heatmaps\" style=\"grid-template-columns:repeat({},minmax(var(--cell),1fr))\">\n",
      columns.size());
  for (const std::string& name : columns)
    grid += fmt::format("<div class=\"column\">{}</div>", report::escape(name));
  for (std::size_t k = 0; k < pictures.size(); ++k)
    grid += fmt::format("<figure><img src=\"{}\" alt=\"{}\"></figure>", report::data_uri(pictures[k]),
                        report::escape(columns[k % columns.size()]));
  page.html(grid + "\n</div>");
}

report::Picture draw_map(const Tensor& maps, std::int64_t i) {
  return report::draw_heatmap(row_of(maps, i), static_cast<int>(maps.shape()[1]),
                              static_cast<int>(maps.shape()[2]));
}

Evaluation evaluation_of(const Shapes& s, const Tensor& relevance) {
  Evaluation e{.network = s.network,
               .inputs = s.set.inputs,
               .targets = s.targets,
               .relevance = relevance,
               .heatmap = pool_channels(relevance, Pool::sum),
               .logits = s.logits,
               .black = s.black,
               .white = s.white,
               .seed = s.options.seed};
  for (const InputItem& item : s.set.items) e.ids.push_back(sample_id(item.hash));
  return e;
}

std::vector<Tensor> explain(const Network& network, const std::vector<std::string>& recipes,
                            const Tensor& inputs, const std::vector<std::int64_t>& targets,
                            const ExplainOptions& options) {
  std::vector<Recipe> parsed;
  for (const std::string& text : recipes) parsed.push_back(parse_recipe(text));
  return Explainer(network, parsed, options).explain(inputs, targets).relevance;
}

}  // namespace heatproof::demo
