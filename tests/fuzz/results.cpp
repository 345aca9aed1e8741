// results.sqlite: opened, read, merged, finished.
#include "store/results.h"
#include "fuzz/support.h"
#include "fuzz/targets.h"

namespace heatproof::fuzz {

void results(std::string_view bytes) {
  const auto path = file_of(bytes, "results.sqlite");
  const auto sum = no_file("sum.sqlite");
  may_refuse([&] {
    const Results r = Results::read(path);
    r.cells();
    r.find(
        {.model = "m", .input = "i", .target = 1, .recipe = "gradient", .metric = "sparseness", .seed = 0});
    for (const std::string& name : r.names()) r.get(name);
    Results all = Results::replacing(sum);
    all.merge(r);
    all.put({.model = "m", .input = "another"}, {});
    all.finish();
  });
  may_refuse([&] {
    Results r(path);
    r.begin();
    r.set("fact", "value");
    r.put({.model = "m", .input = "another"}, {1, {{"curve", {1, 2}}}});
    r.commit();
    r.finish();
  });
}

}  // namespace heatproof::fuzz
