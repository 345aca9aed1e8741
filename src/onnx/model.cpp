#include "onnx/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <new>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "base/files.h"
#include "base/text.h"
#include "heatproof/error.h"
#include "onnx/import.h"
#include "onnx/order.h"
#include "onnx/parse.h"
#include "onnx/weights.h"

namespace heatproof {

namespace {

constexpr std::int64_t kOldestOpset = 7;
constexpr std::int64_t kNewestOpset = 28;

std::int64_t opset_of(const onnx::ModelProto& proto, const std::string& file) {
  std::int64_t opset = proto.opset_import_size() == 0 ? 1 : 0;
  bool declared = opset == 1;
  for (const auto& entry : proto.opset_import()) {
    if (!is_standard(entry.domain())) continue;
    if (declared && opset != entry.version())
      throw InputError(fmt::format("{}: says that it is of opset {} and of opset {}; export it again", file,
                                   opset, entry.version()));
    opset = entry.version(), declared = true;
  }
  if (!declared) {
    // Trees and the like use operators of other domains alone, which are refused by name.
    const auto& nodes = proto.graph().node();
    const auto node = std::ranges::find_if(nodes, [](const auto& n) { return is_standard(n.domain()); });
    if (node == nodes.end()) return 0;
    throw InputError(fmt::format(
        "{}: says of no version of ONNX's operators, such as {}; set opset_import when exporting it", file,
        abbreviated(node->op_type())));
  }
  if (opset > kNewestOpset) {
    throw UnsupportedError(fmt::format(
        "{}: opset {} is newer than {}, and its operators may mean something else; convert it with "
        "onnx.version_converter",
        file, opset, kNewestOpset));
  }
  if (opset < kOldestOpset) {
    throw UnsupportedError(fmt::format(
        "{}: opset {} is older than {}; convert it with onnx.version_converter", file, opset, kOldestOpset));
  }
  return opset;
}

std::optional<DType> dtype_of(int type) {
  using P = onnx::TensorProto;
  if (type == P::FLOAT || type == P::FLOAT16 || type == P::BFLOAT16 || type == P::DOUBLE) return DType::f32;
  if (type == P::INT64 || type == P::INT32) return DType::i64;
  if (type == P::BOOL) return DType::boolean;
  return std::nullopt;
}

std::vector<ModelInput> inputs_of(const Model::Contents& c, const std::string& file) {
  std::vector<ModelInput> inputs;
  std::unordered_set<std::string_view> names;
  for (const auto& value : c.proto.graph().input()) {
    if (c.weights.contains(value.name())) continue;
    if (!names.insert(value.name()).second)
      throw InputError(fmt::format("{}: there are two inputs '{}'; export the model again", file,
                                   abbreviated(value.name())));
    const auto& type = value.type().tensor_type();
    const auto dtype = dtype_of(type.elem_type());
    if (!dtype || !type.has_shape())
      throw UnsupportedError(fmt::format("{}: input '{}' is not a tensor of numbers with a shape", file,
                                         abbreviated(value.name())));
    ModelInput input{value.name(), *dtype, {}};
    for (const auto& d : type.shape().dim()) {
      const bool fixed = d.has_dim_value() && d.dim_value() > 0;
      input.dims.push_back(fixed ? std::optional<std::int64_t>(d.dim_value()) : std::nullopt);
    }
    inputs.push_back(std::move(input));
  }
  if (inputs.empty()) throw InputError(fmt::format("{}: the network has no input", file));
  return inputs;
}

/// An operator as messages and functions are named: without the domain where it is ONNX's own.
std::string full_name(const std::string& domain, const std::string& op) {
  return is_standard(domain) ? op : domain + "." + op;
}

std::vector<UnsupportedNode> find_unsupported(const onnx::ModelProto& proto) {
  // The model's own functions may have any name, also one of ONNX's.
  std::unordered_set<std::string> functions;
  for (const auto& f : proto.functions()) functions.insert(full_name(f.domain(), f.name()));
  std::vector<UnsupportedNode> nodes;
  for (const auto& node : proto.graph().node()) {
    std::string op = full_name(node.domain(), node.op_type());
    const bool call = !functions.empty() && functions.contains(op);
    if (is_standard(node.domain()) && !call && importers().contains(node.op_type())) continue;
    nodes.push_back(
        {name_of(node), std::move(op), call ? "is a function of the model" : "operator is not supported"});
  }
  return nodes;
}

/// "200 LSTM (first 'lstm_1'), 'nz' (NonZero), and 12 more of 3 operators": a line, however many there are.
std::string counts_of(const std::vector<UnsupportedNode>& nodes) {
  struct Kind {
    std::string_view op, first;
    std::size_t count = 0;
  };
  std::vector<Kind> kinds;
  std::unordered_map<std::string_view, std::size_t> places;
  for (const UnsupportedNode& n : nodes) {
    const auto [it, fresh] = places.try_emplace(n.op, kinds.size());
    if (fresh) kinds.push_back({n.op, n.node});
    ++kinds[it->second].count;
  }
  constexpr std::size_t kMost = 200;  // bytes, of which a kind takes at most a half
  std::string list;
  std::size_t told = 0;
  std::size_t told_nodes = 0;
  for (const Kind& k : kinds) {
    const std::string op = abbreviated(k.op, 40);
    const std::string first = abbreviated(k.first, 40);
    const std::string text = k.count == 1 ? fmt::format("'{}' ({})", first, op)
                                          : fmt::format("{} {} (first '{}')", k.count, op, first);
    if (told > 0 && list.size() + text.size() > kMost) break;
    list += (list.empty() ? "" : ", ") + text;
    ++told, told_nodes += k.count;
  }
  if (told < kinds.size())
    list += fmt::format(", and {} more of {} operators", nodes.size() - told_nodes, kinds.size() - told);
  return list;
}

constexpr std::size_t kLongest = 380;  // bytes of what is said of a file, beside its name

}  // namespace

Model Model::inspect(const std::filesystem::path& path) {
  auto c = std::make_shared<Contents>();
  c->path = path;
  const std::string file = c->file();
  c->hash = parse(path, file, c->proto);
  c->opset = opset_of(c->proto, file);
  try {
    sort_nodes(*c->proto.mutable_graph());
    for (const auto& t : c->proto.graph().sparse_initializer())
      throw UnsupportedError(fmt::format("weights '{}' are sparse; export the model with dense ones",
                                         abbreviated(t.values().name())));
    const std::string external = read_weights(c->proto, path.parent_path(), c->weights);
    if (!external.empty()) c->hash = sha256(c->hash + external);
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const UnsupportedError& e) {
    throw UnsupportedError(fmt::format("{}: {}", file, abbreviated(e.what(), kLongest)));
  } catch (const std::exception& e) {
    throw InputError(fmt::format("{}: {}", file, abbreviated(e.what(), kLongest)));
  }
  c->inputs = inputs_of(*c, file);
  c->unsupported = find_unsupported(c->proto);
  Model model;
  model.contents_ = std::move(c);
  return model;
}

Model Model::load(const std::filesystem::path& path) {
  Model model = inspect(path);
  model.check_supported();
  return model;
}

void Model::check_supported() const {
  if (unsupported().empty()) return;
  const bool calls = std::ranges::any_of(
      unsupported(), [](const UnsupportedNode& n) { return n.reason.starts_with("is a function"); });
  throw UnsupportedError(fmt::format(
      "{}: {} node(s) have operators that heatproof does not support: {}; export the model with "
      "standard ONNX operators{}",
      contents_->file(), unsupported().size(), counts_of(unsupported()),
      calls ? ", or inline the functions of the model (onnx.inliner.inline_local_functions)" : ""));
}

const std::filesystem::path& Model::path() const { return contents_->path; }
const std::string& Model::hash() const { return contents_->hash; }
const std::vector<ModelInput>& Model::inputs() const { return contents_->inputs; }
std::int64_t Model::opset() const { return contents_->opset; }
const std::vector<UnsupportedNode>& Model::unsupported() const { return contents_->unsupported; }

std::string Model::producer() const {
  const auto& p = contents_->proto;
  return p.producer_version().empty() ? p.producer_name() : p.producer_name() + " " + p.producer_version();
}

std::vector<std::string> Model::outputs() const {
  std::vector<std::string> names;
  for (const auto& o : contents_->proto.graph().output()) names.push_back(o.name());
  return names;
}

std::optional<std::int64_t> Model::declared_batch() const {
  const auto& dims = contents_->inputs.front().dims;
  return dims.empty() ? std::nullopt : dims[0];
}

Graph Model::specialize(const Specialization& wanted) const {
  return heatproof::specialize(*this, *contents_, wanted);
}

}  // namespace heatproof
