#include "ops/winograd.h"

#include <algorithm>

#include "base/threads.h"
#include "ops/convolution.h"
#include "ops/weights.h"
#include "ops/winograd_kernels.h"

namespace heatproof::winograd {

namespace {

std::int64_t tiles_of(const Shape& y) {
  return y[0] * ((y[2] + kTile - 1) / kTile) * ((y[3] + kTile - 1) / kTile);
}

Maps maps_of(const Operand& o) {
  const Shape& s = o.shape;
  const std::int64_t block = o.layout.channels_last ? s[1] : o.layout.block;
  return {.channels = s[1],
          .height = s[2],
          .width = s[3],
          .block = block,
          .block_step = s[2] * s[3] * block,
          .pixel_step = block,
          .row_step = s[3] * block,
          .image_step = s[1] * s[2] * s[3]};
}

/// How the work is cut. Tiles that fill all threads are computed block by block, so that what lies between
/// the transforms stays in the cache; of few tiles, or large weights, all threads share the 36 products.
struct Plan {
  const Kernels* kernels;
  Maps x, y;
  Grid grid;
  std::int64_t tiles, workers, block;
  bool shared;

  std::int64_t input_step() const { return block * x.channels; }
  std::int64_t output_step() const { return block * y.channels; }
  std::int64_t weights() const { return kernels->weight_size(x.channels, y.channels); }
  std::int64_t operand() const { return kernels->operand_size(block, x.channels); }
  /// Floats of a block between the transforms: all inputs, all results, and operands of one product, or of
  /// all that threads share.
  std::int64_t scratch() const {
    return kProducts * (input_step() + output_step()) + (shared ? kProducts : 1) * operand();
  }
};

/// Few channels leave the tiles of AMX half empty, and few tiles of the map take less time than reading its
/// larger weights.
const Kernels* kernels_for(std::int64_t channels, std::int64_t tiles) {
  constexpr std::int64_t kManyChannels = 64;
  constexpr std::int64_t kManyTiles = 64;
  const Kernels* best = kernels();
  const bool amx = best->operand_size(1, channels) != 0;
  return amx && (channels < kManyChannels || tiles < kManyTiles) ? kernels(dnnl::cpu_isa::avx512_core) : best;
}

Plan plan_of(const Convolution& c) {
  Plan p{.kernels = kernels_for(c.x.shape[1], tiles_of(c.y.shape)),
         .x = maps_of(c.x),
         .y = maps_of(c.y),
         .grid = {.down = (c.y.shape[2] + kTile - 1) / kTile,
                  .across = (c.y.shape[3] + kTile - 1) / kTile,
                  .top = c.geometry.pads_begin[0],
                  .left = c.geometry.pads_begin[1]},
         .tiles = tiles_of(c.y.shape),
         .workers = threads()};
  const std::int64_t channels = p.x.channels + p.y.channels;
  const bool large = channels >= 512;  // weights that are read from afar
  p.shared = p.tiles < (large ? 28 : 16) * p.workers;
  if (p.shared) p.workers = 1;
  const std::int64_t own = (p.tiles + p.workers - 1) / p.workers;
  const std::int64_t rows = p.kernels->rows;
  const std::int64_t most = p.shared ? own : ((large ? 84 : 28) + rows - 1) / rows * rows;
  const std::int64_t turns = (own + most - 1) / most;
  // Registers are full but in the last turn.
  p.block = std::min(own, ((own + turns - 1) / turns + rows - 1) / rows * rows);
  return p;
}

/// Where a run finds everything.
struct Memory {
  const float *x, *u;
  float *y, *scratch;
  Finish finish;
};

/// Block by block, each in one thread.
void run_blocks(const Plan& p, const Memory& memory) {
  parallel_for(p.workers, 1, [&](std::int64_t begin, std::int64_t end) {
    float* v = memory.scratch + begin * p.scratch();
    float* m = v + kProducts * p.input_step();
    float* operand = m + kProducts * p.output_step();
    const std::int64_t last = p.tiles * end / p.workers;
    for (std::int64_t tile = p.tiles * begin / p.workers; tile < last; tile += p.block) {
      const std::int64_t count = std::min(p.block, last - tile);
      p.kernels->transform_inputs(memory.x, p.x, p.grid, tile, tile + count, v, p.input_step());
      for (std::int64_t i = 0; i < kProducts; ++i) {
        const float* rows = v + i * p.input_step();
        if (p.operand() != 0) p.kernels->prepare(rows, count, p.x.channels, operand);
        p.kernels->multiply(p.operand() != 0 ? operand : rows, memory.u + i * p.weights(),
                            m + i * p.output_step(), count, p.x.channels, p.y.channels, 0, p.y.channels);
      }
      p.kernels->transform_outputs(m, p.output_step(), memory.finish, p.y, p.grid, tile, tile + count,
                                   memory.y);
    }
  });
}

/// All threads at one block of all tiles.
void run_shared(const Plan& p, const Memory& memory) {
  constexpr std::int64_t kOutputs = 128;  // of one product of matrices
  constexpr std::int64_t kGrain = 2;      // tiles
  float* v = memory.scratch;
  float* m = v + kProducts * p.input_step();
  float* operands = m + kProducts * p.output_step();
  const std::int64_t channels = p.x.channels;
  const std::int64_t outputs = p.y.channels;
  parallel_for(p.tiles, kGrain, [&](std::int64_t begin, std::int64_t end) {
    p.kernels->transform_inputs(memory.x, p.x, p.grid, begin, end, v + begin * channels, p.input_step());
  });
  if (p.operand() != 0) {
    parallel_for(kProducts, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i)
        p.kernels->prepare(v + i * p.input_step(), p.tiles, channels, operands + i * p.operand());
    });
  }
  const std::int64_t parts = (outputs + kOutputs - 1) / kOutputs;
  parallel_for(kProducts * parts, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t job = begin; job < end; ++job) {
      const std::int64_t i = job / parts;
      const std::int64_t from = job % parts * kOutputs;
      const float* rows = p.operand() != 0 ? operands + i * p.operand() : v + i * p.input_step();
      p.kernels->multiply(rows, memory.u + i * p.weights(), m + i * p.output_step(), p.tiles, channels,
                          outputs, from, std::min(from + kOutputs, outputs));
    }
  });
  parallel_for(p.tiles, kGrain, [&](std::int64_t begin, std::int64_t end) {
    p.kernels->transform_outputs(m + begin * outputs, p.output_step(), memory.finish, p.y, p.grid, begin, end,
                                 memory.y);
  });
}

/// The weights of all 36 products, which programs share.
BufferId pack(Lowering& l, NodeId weights, const Kernels* k) {
  const Shape& s = l.shape(weights);
  const std::int64_t outputs = s[0];
  const std::int64_t channels = s[1];
  const dnnl::memory::desc packed({kProducts, k->weight_size(channels, outputs)},
                                  dnnl::memory::data_type::f32, dnnl::memory::format_tag::ab);
  const auto step = [=](const Packed& from, BufferId to) {
    const auto steps = onednn::strides(from.desc);
    return Step{
        .name = "Pack",
        .reads = {from.buffer},
        .writes = {to},
        .bind = [=, offset = onednn::offset(from.desc)](const Binding& bind) -> Action {
          const Weights w{
              bind.f32(from.buffer) + offset, outputs, channels, steps[0], steps[1], steps[2], steps[3]};
          float* u = bind.f32(to);
          return [=] {
            parallel_for(outputs / kChannels, 1, [&](std::int64_t begin, std::int64_t end) {
              k->pack(w, begin * kChannels, end * kChannels, u);
            });
          };
        }};
  };
  return pack_weights(l, weights, s, packed, step).buffer;
}

}  // namespace

bool serves(const ConvGeometry& g, const Shape& weights) {
  const std::vector<std::int64_t> three(2, 3);
  const std::vector<std::int64_t> one(2, 1);
  return kernels() != nullptr && g.group == 1 && g.kernel == three && g.strides == one &&
         g.dilations == one && weights[0] % kChannels == 0 && weights[1] % kChannels == 0;
}

bool pays(const Shape& y) {
  constexpr std::int64_t kFewTiles = 8;
  return tiles_of(y) >= kFewTiles;
}

bool reads(Layout layout) {
  return layout.channels_last || (layout.block > 1 && layout.block % kernels()->lanes == 0);
}

std::size_t bytes_per_weight() {
  constexpr std::int64_t kMany = 64;  // channels
  const std::int64_t size = kernels() == nullptr ? 0 : kProducts * kernels()->weight_size(kMany, kMany);
  return static_cast<std::size_t>(size) * sizeof(float) / (9 * kMany * kMany);
}

void emit(Lowering& l, const Convolution& c) {
  const Plan plan = plan_of(c);
  const BufferId u = pack(l, c.weights, plan.kernels);
  const BufferId scratch = l.scratch(static_cast<std::size_t>(plan.workers * plan.scratch()) * sizeof(float));
  Step step{.name = c.name, .reads = {c.x.buffer, u}, .writes = {c.y.buffer, scratch}};
  if (c.bias >= 0) step.reads.push_back(c.bias);
  if (c.residual >= 0) step.reads.push_back(c.residual);
  if (c.replaces_residual) {
    step.replaceable = {c.residual};
    step.replaced_by = c.y.buffer;
  }
  step.work = convolution::multiply_adds(c.y.shape, l.shape(c.weights));
  step.bind = [=, x = c.x.buffer, y = c.y.buffer, bias = c.bias, residual = c.residual, least = c.least,
               most = c.most](const Binding& bind) -> Action {
    const Memory memory{.x = bind.f32(x),
                        .u = bind.f32(u),
                        .y = bind.f32(y),
                        .scratch = bind.f32(scratch),
                        .finish = {.bias = bias < 0 ? nullptr : bind.f32(bias),
                                   .residual = residual < 0 ? nullptr : bind.f32(residual),
                                   .least = least,
                                   .most = most}};
    return [=] { plan.shared ? run_shared(plan, memory) : run_blocks(plan, memory); };
  };
  l.emit(std::move(step));
}

}  // namespace heatproof::winograd
