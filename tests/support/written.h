// .onnx files that tests write node by node.
#pragma once

#include <onnx/onnx_pb.h>

#include <string>
#include <vector>

namespace heatproof::testing {

using Dims = std::vector<std::int64_t>;

/// A network of one input "x" and one output "y", written node by node.
class Written {
 public:
  explicit Written(Dims input, std::int64_t opset = 17) {
    model.set_ir_version(8);
    model.add_opset_import()->set_version(opset);
    port(graph().add_input(), "x", input);
    port(graph().add_output(), "y", {});
  }

  onnx::GraphProto& graph() { return *model.mutable_graph(); }

  Written& node(const std::string& op, const std::vector<std::string>& inputs,
                const std::vector<std::string>& outputs) {
    auto* n = graph().add_node();
    n->set_op_type(op);
    n->set_name("the " + op);
    for (const auto& name : inputs) n->add_input(name);
    for (const auto& name : outputs) n->add_output(name);
    return *this;
  }
  onnx::AttributeProto& attribute(const std::string& name, onnx::AttributeProto::AttributeType type) {
    auto* a = graph().mutable_node(graph().node_size() - 1)->add_attribute();
    a->set_name(name);
    a->set_type(type);
    return *a;
  }
  Written& integer(const std::string& name, std::int64_t value) {
    attribute(name, onnx::AttributeProto::INT).set_i(value);
    return *this;
  }
  Written& integers(const std::string& name, const Dims& values) {
    auto& a = attribute(name, onnx::AttributeProto::INTS);
    for (std::int64_t v : values) a.add_ints(v);
    return *this;
  }
  Written& number(const std::string& name, float value) {
    attribute(name, onnx::AttributeProto::FLOAT).set_f(value);
    return *this;
  }
  Written& text(const std::string& name, const std::string& value) {
    attribute(name, onnx::AttributeProto::STRING).set_s(value);
    return *this;
  }
  Written& weight(const std::string& name, const Dims& dims, const std::vector<float>& values) {
    auto* t = tensor(name, dims, onnx::TensorProto::FLOAT);
    for (float v : values) t->add_float_data(v);
    return *this;
  }
  Written& whole(const std::string& name, const Dims& dims, const std::vector<std::int64_t>& values) {
    auto* t = tensor(name, dims, onnx::TensorProto::INT64);
    for (std::int64_t v : values) t->add_int64_data(v);
    return *this;
  }
  Written& truth(const std::string& name, bool value) {
    tensor(name, {}, onnx::TensorProto::BOOL)->add_int32_data(value ? 1 : 0);
    return *this;
  }

  onnx::ModelProto model;

 private:
  onnx::TensorProto* tensor(const std::string& name, const Dims& dims, int type) {
    auto* t = graph().add_initializer();
    t->set_name(name);
    t->set_data_type(type);
    for (std::int64_t d : dims) t->add_dims(d);
    return t;
  }
  static void port(onnx::ValueInfoProto* info, const char* name, const Dims& dims) {
    info->set_name(name);
    auto* type = info->mutable_type()->mutable_tensor_type();
    type->set_elem_type(onnx::TensorProto::FLOAT);
    for (std::int64_t d : dims) type->mutable_shape()->add_dim()->set_dim_value(d);
  }
};

}  // namespace heatproof::testing
