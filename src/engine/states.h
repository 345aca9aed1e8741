// Values that outlive a run of a Program: memory that several programs may share.
//
//   Program update = compile(graph);
//   auto states = std::make_shared<States>(update.states());
//   Workspace workspace(update, states);
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/layout.h"

namespace heatproof {

/// A State of a graph in the layout that the program gave it. The first axis counts slots: copies of the
/// value that are kept side by side.
struct StatePort {
  std::string name;
  Shape shape;
  Layout layout;

  std::size_t bytes() const {
    return static_cast<std::size_t>(stored_elements(shape, layout)) * sizeof(float);
  }
};

/// Zero at first. Throws Error when there is not enough memory.
class States {
 public:
  explicit States(std::vector<StatePort> ports);

  const std::vector<StatePort>& ports() const { return ports_; }
  /// The memory of a state. Throws Error when there is none of this name, shape and layout.
  float* memory(const StatePort& port) const;
  /// Copies one slot of every state to another.
  void copy_slot(std::int64_t from, std::int64_t to);

 private:
  std::vector<StatePort> ports_;
  std::vector<std::shared_ptr<float>> memory_;
};

/// Bytes of one slot of all states together.
std::size_t slot_bytes(const std::vector<StatePort>& ports);

}  // namespace heatproof
