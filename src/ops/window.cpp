// Windows of maps: GatherWindow cuts one out for each row of a batch, ScatterWindow puts one back. Where a
// window lies is known only when the program runs: row r of the integers `places` holds the slot (the index
// along axis 0) and, from column `at` on, the first position along each spatial axis.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "base/threads.h"
#include "ops/elementwise.h"
#include "ops/pooling.h"

namespace heatproof {

namespace {

using Ints = std::vector<std::int64_t>;
using Axes = std::array<std::int64_t, 3>;

std::size_t spatial(const Shape& x) { return x.size() - 2; }

void check_places(const NodeView& v, std::size_t i, const Shape& map, std::int64_t rows) {
  const Type& places = v.input(i);
  const std::int64_t at = v.node.attributes.integer("at", 1);
  if (map.rank() < 3 || map.rank() > 5)
    throw UnsupportedError(
        fmt::format("windows of a value of shape {}; it needs one to three spatial axes", to_string(map)));
  if (places.dtype != DType::i64 || places.shape.rank() != 2 || at < 1 ||
      places.shape[1] < at + map.rank() - 2 || (rows >= 0 && places.shape[0] != rows))
    throw Error(fmt::format("places of shape {} do not say where windows of {} lie", to_string(places.shape),
                            to_string(map)));
}

Type infer_gather(const NodeView& v) {
  const Shape& x = v.shape(0);
  check_places(v, 1, x, -1);
  const auto size = v.node.attributes.integers("size");
  if (size.size() != spatial(x)) throw Error("a window needs one length per spatial axis");
  Shape y{v.shape(1)[0], x[1]};
  y.insert(y.end(), size.begin(), size.end());
  return {DType::f32, y};
}

Type infer_scatter(const NodeView& v) {
  const Shape& x = v.shape(0);
  const Shape& w = v.shape(1);
  check_places(v, 2, x, w[0]);
  if (w.rank() != x.rank() || w[1] != x[1] || (v.node.attributes.integer("own", 0) != 0 && w[0] != x[0]))
    throw Error(fmt::format("windows of shape {} do not fit into {}", to_string(w), to_string(x)));
  return v.input(0);
}

/// Maps and windows in memory: `blocks` planes per slot or row, `lanes` channels of a position together.
/// Absent spatial axes come first and have length 1.
struct Move {
  std::int64_t blocks, lanes, rows, columns, at;
  int axes;
  bool one_slot, own_slot;  // all rows use the only slot, or each the one of its own number
  Axes map{1, 1, 1}, window{1, 1, 1}, step{1, 1, 1};

  Move(const Shape& map_shape, const Shape& window_shape, Layout layout, const Shape& places,
       const Attributes& a)
      : rows(window_shape[0]),
        columns(places[1]),
        at(a.integer("at", 1)),
        axes(map_shape.rank() - 2),
        one_slot(map_shape[0] == 1),
        own_slot(a.integer("own", 0) != 0) {
    const Planes p = planes_of(window_shape, layout);
    blocks = p.planes / rows;
    lanes = p.lanes;
    const Ints steps = a.integers("steps", Ints(spatial(map_shape), 1));
    for (std::size_t i = 0; i < steps.size(); ++i) {
      const std::size_t axis = 3 - steps.size() + i;
      map[axis] = map_shape[i + 2];
      window[axis] = window_shape[i + 2];
      step[axis] = steps[i];
    }
  }

  std::int64_t slot(const std::int64_t* places, std::int64_t row) const {
    return one_slot ? 0 : own_slot ? row : places[row * columns];
  }
  Axes origin(const std::int64_t* places, std::int64_t row) const {
    Axes o{0, 0, 0};
    for (int i = 0; i < axes; ++i) o[static_cast<std::size_t>(3 - axes + i)] = places[row * columns + at + i];
    return o;
  }
};

/// One line of a window: positions from + k · step along the last axis, or `outside`.
void gather_line(const Move& m, const float* line, std::int64_t from, float outside, float* to) {
  const std::int64_t width = m.window[2];
  const std::int64_t step = m.step[2];
  const std::int64_t first = std::clamp<std::int64_t>(from < 0 ? (-from + step - 1) / step : 0, 0, width);
  const std::int64_t room = m.map[2] - from;
  const std::int64_t last = std::clamp<std::int64_t>(room <= 0 ? 0 : (room + step - 1) / step, first, width);
  std::fill_n(to, first * m.lanes, outside);
  if (step == 1) {
    std::memcpy(to + first * m.lanes, line + (from + first) * m.lanes,
                static_cast<std::size_t>((last - first) * m.lanes) * sizeof(float));
  } else {
    for (std::int64_t k = first; k < last; ++k)
      std::copy_n(line + (from + k * step) * m.lanes, m.lanes, to + k * m.lanes);
  }
  std::fill_n(to + last * m.lanes, (width - last) * m.lanes, outside);
}

void gather(const Move& m, const float* maps, const std::int64_t* places, float outside, float* windows) {
  const std::int64_t lines = m.window[0] * m.window[1];
  const std::int64_t length = m.window[2] * m.lanes;
  const std::int64_t grain = std::max<std::int64_t>(1, 8192 / length);
  parallel_for(m.rows * m.blocks * lines, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t row = i / (m.blocks * lines);
      const std::int64_t block = i / lines % m.blocks;
      const Axes o = m.origin(places, row);
      const std::int64_t z = o[0] + i % lines / m.window[1] * m.step[0];
      const std::int64_t y = o[1] + i % m.window[1] * m.step[1];
      float* to = windows + i * length;
      if (z < 0 || z >= m.map[0] || y < 0 || y >= m.map[1]) {
        std::fill_n(to, length, outside);
        continue;
      }
      const std::int64_t plane = m.slot(places, row) * m.blocks + block;
      gather_line(m, maps + ((plane * m.map[0] + z) * m.map[1] + y) * m.map[2] * m.lanes, o[2], outside, to);
    }
  });
}

/// What lies outside of the map is dropped. Rows may share a slot and overlap, so that each thread writes
/// lines (or planes) of its own.
void scatter(const Move& m, const float* windows, const std::int64_t* places, float* maps) {
  const bool by_lines = m.map[0] * m.map[1] > 1;
  const std::int64_t parts = threads();
  const std::int64_t length = m.window[2] * m.lanes;
  parallel_for(parts, 1, [&](std::int64_t begin, std::int64_t end) {
    const auto mine = [&](std::int64_t i) { return i % parts >= begin && i % parts < end; };
    for (std::int64_t row = 0; row < m.rows; ++row) {
      const Axes o = m.origin(places, row);
      const std::int64_t first = std::max<std::int64_t>(0, -o[2]);
      const std::int64_t last = std::min(m.window[2], m.map[2] - o[2]);
      if (first >= last) continue;
      const auto bytes = static_cast<std::size_t>((last - first) * m.lanes) * sizeof(float);
      for (std::int64_t block = 0; block < m.blocks; ++block) {
        if (!by_lines && !mine(block)) continue;
        const std::int64_t plane = m.slot(places, row) * m.blocks + block;
        for (std::int64_t k = 0; k < m.window[0] * m.window[1]; ++k) {
          const std::int64_t z = o[0] + k / m.window[1];
          const std::int64_t y = o[1] + k % m.window[1];
          if (z < 0 || z >= m.map[0] || y < 0 || y >= m.map[1]) continue;
          if (by_lines && !mine(z * m.map[1] + y)) continue;
          const std::int64_t line = (row * m.blocks + block) * m.window[0] * m.window[1] + k;
          std::memcpy(maps + (((plane * m.map[0] + z) * m.map[1] + y) * m.map[2] + o[2] + first) * m.lanes,
                      windows + line * length + first * m.lanes, bytes);
        }
      }
    }
  });
}

void lower_gather(Lowering& l, NodeId id) {
  const Attributes& a = l.node(id).attributes;
  const auto outside = static_cast<float>(a.number("outside", 0));
  Operand x = l.operand(l.input(id, 0));
  // Channels that only fill up a block stay zero; a maximum over a window does that by itself.
  if (padded(x.shape, x.layout) && outside != 0 && std::isfinite(outside)) x = l.plain(l.input(id, 0));
  const Operand places = l.plain(l.input(id, 1));
  const Operand y = l.result(id, x.layout);
  const Move move(x.shape, y.shape, x.layout, places.shape, a);
  l.emit({.name = fmt::format("GatherWindow {} of {}", to_string(y.shape), to_string(x.shape)),
          .reads = {x.buffer, places.buffer},
          .writes = {y.buffer},
          .bind = [=, from = x.buffer, where = places.buffer, to = y.buffer](const Binding& bind) -> Action {
            const float* maps = bind.f32(from);
            const std::int64_t* table = bind.i64(where);
            float* windows = bind.f32(to);
            return [=] { gather(move, maps, table, outside, windows); };
          }});
}

void lower_scatter(Lowering& l, NodeId id) {
  const NodeId value = l.input(id, 0);
  Operand windows = l.operand(l.input(id, 1));
  const bool kept = l.node(value).op == &kState;
  const Operand x = kept ? l.state(value, windows.layout) : l.operand(value, windows.layout);
  if (!(windows.layout == x.layout)) windows = l.operand(l.input(id, 1), x.layout);
  const Operand places = l.plain(l.input(id, 2));
  if (kept) l.share(id, x);
  const Operand y = kept ? x : l.result(id, x.layout);
  const std::size_t bytes = static_cast<std::size_t>(stored_elements(y.shape, y.layout)) * sizeof(float);
  const Move move(x.shape, windows.shape, x.layout, places.shape, l.node(id).attributes);
  l.emit({.name = fmt::format("ScatterWindow {} into {}", to_string(windows.shape), to_string(x.shape)),
          .reads = {x.buffer, windows.buffer, places.buffer},
          .writes = {y.buffer},
          .bind = [=, base = x.buffer, from = windows.buffer, where = places.buffer,
                   to = y.buffer](const Binding& bind) -> Action {
            const float* old = bind.f32(base);
            const float* part = bind.f32(from);
            const std::int64_t* table = bind.i64(where);
            float* maps = bind.f32(to);
            return [=] {
              if (old != maps) std::memcpy(maps, old, bytes);
              scatter(move, part, table, maps);
            };
          },
          .replaceable = {x.buffer},
          .replaced_by = y.buffer});
}

}  // namespace

const Operator kGatherWindow = {
    .name = "GatherWindow",
    .infer = infer_gather,
    .sign =
        [](const NodeView& v) {
          return v.node.attributes.number("outside", 0) == 0 ? v.inputs[0]->sign : Sign::any;
        },
    .lower = lower_gather,
    .traits = {.behaviour = Behaviour::selection},
};

const Operator kScatterWindow = {
    .name = "ScatterWindow",
    .infer = infer_scatter,
    .lower = lower_scatter,
    .traits = {.behaviour = Behaviour::selection},
};

}  // namespace heatproof
