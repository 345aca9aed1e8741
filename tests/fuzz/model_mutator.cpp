// Mutations of .onnx files as libFuzzer asks for them: of fields rather than of bytes, so that most mutants
// are models.
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "base/random.h"
#include "onnx/import.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace heatproof::fuzz {

namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

class Mutator {
 public:
  Mutator(onnx::ModelProto& model, std::uint64_t seed) : model_(model), random_(seed, {"fuzz", "mutator"}) {}

  void mutate() {
    for (std::uint64_t times = 1 + random_.below(4); times > 0; --times) {
      switch (random_.below(8)) {
        case 0:
          rewire();
          break;
        case 1:
          rename_operator();
          break;
        case 2:
          resize();
          break;
        default:
          edit_something();
      }
    }
  }

  /// Takes parts of another model.
  void cross(onnx::ModelProto& other) {
    if (random_.below(2) == 0) {  // its nodes, fed by what is here already
      onnx::GraphProto& graph = *model_.mutable_graph();
      for (const auto& t : other.graph().initializer()) {
        if (random_.below(2) == 0) *graph.add_initializer() = t;
      }
      for (const auto& n : other.graph().node()) {
        if (random_.below(2) == 0) *graph.add_node() = n;
      }
      rewire(), rewire();
    }
    std::vector<Message*> from;
    collect(other, from);
    for (std::uint64_t times = random_.below(4); times > 0; --times) replace_by_one_of(from);
  }

 private:
  template <typename T>
  T& one_of(std::vector<T>& values) {
    return values[random_.below(values.size())];
  }

  static void collect(Message& message, std::vector<Message*>& all) {
    all.push_back(&message);
    const Reflection& r = *message.GetReflection();
    std::vector<const FieldDescriptor*> fields;
    r.ListFields(message, &fields);
    for (const FieldDescriptor* f : fields) {
      if (f->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
      if (!f->is_repeated()) collect(*r.MutableMessage(&message, f), all);
      for (int i = 0; f->is_repeated() && i < r.FieldSize(message, f); ++i)
        collect(*r.MutableRepeatedMessage(&message, f, i), all);
    }
  }

  void replace_by_one_of(std::vector<Message*>& from) {
    std::vector<Message*> here;
    collect(model_, here);
    Message* target = one_of(here);
    std::vector<Message*> alike;
    std::ranges::copy_if(from, std::back_inserter(alike), [&](Message* m) {
      return m != target && m->GetDescriptor() == target->GetDescriptor();
    });
    if (alike.empty() || target == &model_) return;
    const std::unique_ptr<Message> copy(target->New());  // one may hold the other
    copy->CopyFrom(*one_of(alike));
    target->CopyFrom(*copy);
  }

  std::vector<std::string> names() {
    std::vector<std::string> all{""};
    for (const auto& v : model_.graph().input()) all.push_back(v.name());
    for (const auto& t : model_.graph().initializer()) all.push_back(t.name());
    for (const auto& n : model_.graph().node()) all.insert(all.end(), n.output().begin(), n.output().end());
    return all;
  }

  void rewire() {
    onnx::GraphProto& graph = *model_.mutable_graph();
    if (graph.node_size() == 0) return;
    auto known = names();
    auto& node =
        *graph.mutable_node(static_cast<int>(random_.below(static_cast<std::uint64_t>(graph.node_size()))));
    const std::uint64_t what = random_.below(6);
    if (what == 0 && graph.output_size() > 0)
      graph.mutable_output(0)->set_name(one_of(known));
    else if (what == 1)
      node.add_input(one_of(known));
    else if (node.input_size() > 0)
      node.set_input(static_cast<int>(random_.below(static_cast<std::uint64_t>(node.input_size()))),
                     one_of(known));
  }

  void rename_operator() {
    static std::vector<std::string> known = [] {
      std::vector<std::string> list;
      for (const auto& [name, importer] : importers()) list.push_back(name);
      std::ranges::sort(list);
      return list;
    }();
    onnx::GraphProto& graph = *model_.mutable_graph();
    if (graph.node_size() == 0) return;
    auto& node =
        *graph.mutable_node(static_cast<int>(random_.below(static_cast<std::uint64_t>(graph.node_size()))));
    node.set_op_type(one_of(known));
    if (random_.below(2) == 0) node.clear_attribute();
  }

  /// Another shape for a weight, now and then with the number of elements that it says.
  void resize() {
    onnx::GraphProto& graph = *model_.mutable_graph();
    if (graph.initializer_size() == 0) return;
    auto& t = *graph.mutable_initializer(
        static_cast<int>(random_.below(static_cast<std::uint64_t>(graph.initializer_size()))));
    std::vector<std::int64_t> dims(t.dims().begin(), t.dims().end());
    const std::uint64_t what = random_.below(4);
    if (what == 0) dims.insert(dims.begin() + static_cast<std::ptrdiff_t>(random_.below(dims.size() + 1)), 1);
    if (what == 1 && !dims.empty())
      dims.erase(dims.begin() + static_cast<std::ptrdiff_t>(random_.below(dims.size())));
    if (what == 2) random_.shuffle(std::span(dims));
    if (what == 3 && !dims.empty()) one_of(dims) = static_cast<std::int64_t>(random_.below(9));
    t.mutable_dims()->Assign(dims.begin(), dims.end());
    if (random_.below(3) == 0) return;
    std::size_t elements = 1;
    for (std::int64_t d : dims) elements *= static_cast<std::size_t>(std::clamp<std::int64_t>(d, 0, 64));
    elements = std::min<std::size_t>(elements, 1 << 12);
    if (t.data_type() == onnx::TensorProto::FLOAT && t.has_raw_data())
      t.mutable_raw_data()->resize(4 * elements);
    if (t.data_type() == onnx::TensorProto::FLOAT && t.float_data_size() > 0)
      t.mutable_float_data()->Resize(static_cast<int>(elements), 0.5F);
    if (t.data_type() == onnx::TensorProto::INT64 && t.has_raw_data())
      t.mutable_raw_data()->resize(8 * elements);
    if (t.data_type() == onnx::TensorProto::INT64 && t.int64_data_size() > 0)
      t.mutable_int64_data()->Resize(static_cast<int>(elements), 1);
  }

  void edit_something() {
    std::vector<Message*> all;
    collect(model_, all);
    if (random_.below(6) == 0) return replace_by_one_of(all);
    Message& message = *one_of(all);
    const auto& d = *message.GetDescriptor();
    std::vector<const FieldDescriptor*> fields;
    message.GetReflection()->ListFields(message, &fields);
    const bool known = !fields.empty() && random_.below(8) != 0;
    const FieldDescriptor* f =
        known ? one_of(fields)
              : d.field(static_cast<int>(random_.below(static_cast<std::uint64_t>(d.field_count()))));
    if (f->is_repeated())
      edit_list(message, f);
    else if (f->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE)
      edit_part(message, f);
    else
      edit_scalar(message, f, -1);
  }

  void edit_part(Message& message, const FieldDescriptor* f) {
    const Reflection& r = *message.GetReflection();
    if (r.HasField(message, f) && random_.below(2) == 0)
      r.ClearField(&message, f);
    else
      r.MutableMessage(&message, f);
  }

  void edit_list(Message& message, const FieldDescriptor* f) {
    const Reflection& r = *message.GetReflection();
    const int n = r.FieldSize(message, f);
    const auto any = [&] { return static_cast<int>(random_.below(static_cast<std::uint64_t>(n))); };
    switch (n == 0 ? 0 : random_.below(6)) {
      case 0:  // one more
        if (f->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE)
          edit_scalar(message, f, n);
        else if (n == 0)
          r.AddMessage(&message, f);
        else
          r.AddMessage(&message, f)->CopyFrom(r.GetRepeatedMessage(message, f, any()));
        break;
      case 1:
        r.RemoveLast(&message, f);
        break;
      case 2:  // one less, in the middle
        r.SwapElements(&message, f, any(), n - 1);
        r.RemoveLast(&message, f);
        break;
      case 3:
        r.SwapElements(&message, f, any(), any());
        break;
      default:
        if (f->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) edit_scalar(message, f, any());
    }
  }

  std::int64_t integer(std::int64_t old) {
    using L = std::numeric_limits<std::int64_t>;
    static std::vector<std::int64_t> edges{0,
                                           1,
                                           -1,
                                           2,
                                           3,
                                           7,
                                           16,
                                           255,
                                           1024,
                                           65536,
                                           INT32_MAX,
                                           INT32_MIN,
                                           std::int64_t{1} << 31,
                                           std::int64_t{1} << 32,
                                           std::int64_t{1} << 33,
                                           std::int64_t{1} << 40,
                                           (std::int64_t{1} << 62) + 1,
                                           L::max(),
                                           L::min(),
                                           L::max() / 2,
                                           L::min() + 1};
    const std::uint64_t what = random_.below(4);
    const auto more = static_cast<std::int64_t>(1 + random_.below(3));
    if (what == 0) return one_of(edges);
    if (what == 1)
      return static_cast<std::int64_t>(static_cast<std::uint64_t>(old) + static_cast<std::uint64_t>(more));
    if (what == 2)
      return static_cast<std::int64_t>(static_cast<std::uint64_t>(old) - static_cast<std::uint64_t>(more));
    return static_cast<std::int64_t>(random_.below(12)) - 3;
  }

  double number(double old) {
    using L = std::numeric_limits<double>;
    static std::vector<double> edges{
        0.0, -0.0, 1, -1, 0.5, 1e-45, 3e38, -3e38, 1e30, L::infinity(), -L::infinity(), L::quiet_NaN()};
    return random_.below(2) == 0 ? one_of(edges) : old * 1.5 + random_.normal();
  }

  std::string text(std::string old) {
    auto known = names();
    switch (random_.below(6)) {
      case 0:
        return one_of(known);
      case 1:
        return old + "x";
      case 2:
        return old.substr(0, random_.below(old.size() + 1));
      case 3:
        old.insert(random_.below(old.size() + 1), 1 + random_.below(8),
                   static_cast<char>(random_.below(256)));
        return old;
      default:
        if (!old.empty()) old[random_.below(old.size())] = static_cast<char>(random_.below(256));
        return old;
    }
  }

  /// at: of a repeated field; behind its end: one more.
  void edit_scalar(Message& m, const FieldDescriptor* f, int at) {
    const Reflection& r = *m.GetReflection();
    const bool list = f->is_repeated();
    const bool more = list && at >= r.FieldSize(m, f);
    switch (f->cpp_type()) {
#define HEATPROOF_EDIT(CASE, NAME, TYPE, CHANGE)                                                           \
  case FieldDescriptor::CASE: {                                                                            \
    const auto old = more ? TYPE() : list ? TYPE(r.GetRepeated##NAME(m, f, at)) : TYPE(r.Get##NAME(m, f)); \
    const auto value = CHANGE;                                                                             \
    if (more) return r.Add##NAME(&m, f, static_cast<TYPE>(value));                                         \
    return list ? r.SetRepeated##NAME(&m, f, at, static_cast<TYPE>(value))                                 \
                : r.Set##NAME(&m, f, static_cast<TYPE>(value));                                            \
  }
      HEATPROOF_EDIT(CPPTYPE_INT32, Int32, std::int32_t, integer(old))
      HEATPROOF_EDIT(CPPTYPE_INT64, Int64, std::int64_t, integer(old))
      HEATPROOF_EDIT(CPPTYPE_UINT32, UInt32, std::uint32_t, integer(old))
      HEATPROOF_EDIT(CPPTYPE_UINT64, UInt64, std::uint64_t, integer(static_cast<std::int64_t>(old)))
      HEATPROOF_EDIT(CPPTYPE_FLOAT, Float, float, number(old))
      HEATPROOF_EDIT(CPPTYPE_DOUBLE, Double, double, number(old))
      HEATPROOF_EDIT(CPPTYPE_BOOL, Bool, bool, !old)
      HEATPROOF_EDIT(CPPTYPE_STRING, String, std::string, text(old))
#undef HEATPROOF_EDIT
      case FieldDescriptor::CPPTYPE_ENUM: {
        const auto value = static_cast<int>(random_.below(24));
        if (more) return r.AddEnumValue(&m, f, value);
        return list ? r.SetRepeatedEnumValue(&m, f, at, value) : r.SetEnumValue(&m, f, value);
      }
      default:
        return;
    }
  }

  onnx::ModelProto& model_;
  RandomStream random_;
};

/// 0 where it is too long.
std::size_t written(const onnx::ModelProto& model, std::uint8_t* to, std::size_t most) {
  const std::size_t size = model.ByteSizeLong();
  if (size == 0 || size > most || !model.SerializeToArray(to, static_cast<int>(size))) return 0;
  return size;
}

}  // namespace

}  // namespace heatproof::fuzz

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned int seed) {
  onnx::ModelProto model;
  if (seed % 16 != 0 && model.ParseFromArray(data, static_cast<int>(size))) {
    heatproof::fuzz::Mutator(model, seed).mutate();
    if (const std::size_t n = heatproof::fuzz::written(model, data, max_size)) return n;
  }
  return LLVMFuzzerMutate(data, size, max_size);
}

extern "C" std::size_t LLVMFuzzerCustomCrossOver(const std::uint8_t* data1, std::size_t size1,
                                                 const std::uint8_t* data2, std::size_t size2,
                                                 std::uint8_t* out, std::size_t max_out, unsigned int seed) {
  onnx::ModelProto model, other;
  if (!model.ParseFromArray(data1, static_cast<int>(size1)) ||
      !other.ParseFromArray(data2, static_cast<int>(size2)))
    return 0;
  heatproof::fuzz::Mutator(model, seed).cross(other);
  return heatproof::fuzz::written(model, out, max_out);
}
