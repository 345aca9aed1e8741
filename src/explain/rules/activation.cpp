// Rules of activations. Pass: relevance goes through as it is. Guided backpropagation: Springenberg et al.
// 2015, "Striving for Simplicity", sec. 3.4. Deconvnet: Zeiler and Fergus 2014, "Visualizing and
// Understanding Convolutional Networks".
#include "explain/rules/terms.h"
#include "graph/operator.h"

namespace heatproof::rules {

Value pass(Value, Value R) { return R; }

Value guided_backprop(Value node, Value R) { return masked(node.node().op->derivative(node, R)[0], step(R)); }

Value deconvnet(Value, Value R) { return positive(R); }

}  // namespace heatproof::rules
