"""Makes the goldens of tests/: small networks as .onnx, and what the peers compute for them as .npz.

    python3 -m venv .venv-peers && .venv-peers/bin/pip install -r tests/goldens/requirements.txt
    .venv-peers/bin/python tests/goldens/make_goldens.py

Outputs come from ONNX Runtime, gradients from torch, gradient times input from captum, relevance from zennit, generalized deep Taylor from autograd on the
formula. Everything is computed in double precision where the peer allows it.
"""

import copy
import pathlib
import sys

import numpy as np
import peers  # noqa: F401
import torch
from captum.attr import InputXGradient
from torch import nn
from networks import networks
from zennit import canonizers, composites, rules
from zennit.attribution import Gradient
from zennit.composites import LayerMapComposite, SpecialFirstLayerMapComposite
from zennit.layer import Sum
from zennit.types import Activation, AvgPool, BatchNorm, Linear

FOLDER = pathlib.Path(__file__).resolve().parent
BASE = [(Activation, rules.Pass()), (Sum, rules.Norm()), (AvgPool, rules.Norm()), (BatchNorm, rules.Pass())]


def everywhere(rule, **more):
    return LayerMapComposite(BASE + [(Linear, rule)], **more)


class DeepTaylor(rules.BasicHook):
    """a_j (w+ + gamma w-), for inputs that are not negative; biases clamped alike, or left out."""

    def __init__(self, gamma, bias=True):
        def modifier(param, name):
            if name == "bias" and not bias:
                return torch.zeros_like(param)
            return param.clamp(min=0) + gamma * param.clamp(max=0)
        super().__init__(input_modifiers=[lambda x: x], param_modifiers=[rules.ParamMod(modifier)],
                         output_modifiers=[lambda z: z],
                         gradient_mapper=(lambda R, z: R / rules.Stabilizer.ensure(1e-6)(z[0])),
                         reducer=(lambda x, g: x[0] * g[0]))


class ExactMergeBatchNorm(canonizers.SequentialMergeBatchNorm):
    """zennit leaves the emptied BatchNorm its epsilon, which scales its output by 1/sqrt(1 + epsilon)."""

    def register(self, linears, batch_norm):
        super().register(linears, batch_norm)
        self.epsilon = batch_norm.eps
        batch_norm.eps = 0.0

    def remove(self):
        self.batch_norm.eps = self.epsilon
        super().remove()


def zennit_composites():
    merge = {"canonizers": [ExactMergeBatchNorm()]}
    first = SpecialFirstLayerMapComposite
    return {
        "guided_backprop": composites.GuidedBackprop(**merge),
        "deconvnet": composites.DeconvNet(**merge),
        "excitation_backprop": composites.ExcitationBackprop(**merge),
        "lrp_epsilon_plus": composites.EpsilonPlus(**merge),
        "lrp_epsilon_plus_flat": composites.EpsilonPlusFlat(**merge),
        "lrp_epsilon_gamma_box:low=-3,high=3": composites.EpsilonGammaBox(low=-3.0, high=3.0, **merge),
        "lrp_epsilon_alpha2_beta1": composites.EpsilonAlpha2Beta1(**merge),
        "lrp_epsilon_alpha2_beta1_flat": composites.EpsilonAlpha2Beta1Flat(**merge),
        "lrp_epsilon:epsilon=0.01": everywhere(rules.Epsilon(0.01), **merge),
        "lrp_gamma": everywhere(rules.Gamma(0.25), **merge),
        "lrp_zplus": everywhere(rules.ZPlus(), **merge),
        "lrp_zplus:bias=ignore": everywhere(rules.ZPlus(zero_params="bias"), **merge),
        "lrp_alpha_beta:alpha=3,beta=2": everywhere(rules.AlphaBeta(3.0, 2.0), **merge),
        "lrp_w2": everywhere(rules.WSquare(), **merge),
        "lrp_flat": everywhere(rules.Flat(), **merge),
        "deep_taylor:gamma=0.25,input=w2": first(BASE + [(Linear, DeepTaylor(0.25))], [(Linear, rules.WSquare())], **merge),
        "deep_taylor:gamma=0.5,bias=ignore,low=-3,high=3": first(BASE + [(Linear, DeepTaylor(0.5, False))], [(Linear, rules.ZBox(-3.0, 3.0))], **merge),
        "deep_taylor:gamma=0,input=zplus": first(BASE + [(Linear, DeepTaylor(0.0))], [(Linear, rules.ZPlus())], **merge),
    }


def gradient(net, x, seed):
    x = x.clone().requires_grad_(True)
    return torch.autograd.grad((net(x) * seed).sum(), x)[0]


def attributions(name, net, x, target, dtype):
    net = copy.deepcopy(net).to(dtype)
    x = x.to(dtype)
    logits = net(x)
    one_hot = torch.nn.functional.one_hot(target, logits.shape[1]).to(dtype)
    result = {"gradient": gradient(net, x, one_hot)}
    result["gradient_x_input"] = InputXGradient(net).attribute(x.clone(), target=target).detach()
    for recipe, composite in zennit_composites().items():
        if name in ("smooth", "mobile", "gates") and recipe.startswith("deep_taylor"):
            continue  # the formula here is for activations that are not negative
        if name in ("mlp", "signal") and "box" in recipe:
            continue  # zennit's box wants a convolution over an image
        relevance = recipe not in ("guided_backprop", "deconvnet")
        seed = one_hot * logits.detach() if relevance else one_hot
        net_copy = copy.deepcopy(net)
        with Gradient(model=net_copy, composite=composite) as attributor:
            _, r = attributor(x, seed)
        result[recipe] = r
    return result


def export(name, net, x, opset, keep_bn, dynamo):
    path = FOLDER / f"{name}.onnx"
    if dynamo:
        torch.onnx.export(net, (x,), str(path), dynamo=True, opset_version=opset, external_data=True,
                          input_names=["input"], output_names=["logits"])
    else:
        mode = torch.onnx.TrainingMode.PRESERVE if keep_bn else torch.onnx.TrainingMode.EVAL
        torch.onnx.export(net, (x,), str(path), dynamo=False, opset_version=opset, training=mode,
                          do_constant_folding=not keep_bn, input_names=["input"], output_names=["logits"],
                          dynamic_axes={"input": {0: "N"}, "logits": {0: "N"}})
    return path


class Exported(nn.Module):
    """zennit's Sum stacks its operands; users' networks add them."""

    def __init__(self, net):
        super().__init__()
        self.net = copy.deepcopy(net)
        for module in self.net.modules():
            if hasattr(module, "sum") and isinstance(module.sum, Sum):
                module.sum = nn.Identity()
                module.forward = self.plain(module)

    @staticmethod
    def plain(block):
        def forward(x):
            y = block.bn2(block.conv2(block.relu1(block.bn1(block.conv1(x)))))
            return block.relu2(y + (x if block.shortcut is None else block.shortcut(x)))
        return forward

    def forward(self, x):
        return self.net(x)


def main():
    import onnxruntime
    torch.set_num_threads(1)
    wanted = sys.argv[1:]  # names; none: all
    for seed, (name, (net, shape, opset, keep_bn, dynamo)) in enumerate(networks().items()):
        if wanted and name not in wanted:
            continue
        x = torch.randn((3, *shape), generator=torch.Generator().manual_seed(seed))
        path = export(name, Exported(net).eval(), x, opset, keep_bn, dynamo)
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        output = session.run(None, {"input": x.numpy()})[0]
        assert np.abs(output - net(x).detach().numpy()).max() < 1e-4, name
        target = torch.from_numpy(output).argmax(1)
        target[0] = (target[0] + 1) % output.shape[1]
        exact = attributions(name, net, x, target, torch.float64)
        single = attributions(name, net, x, target, torch.float32)
        arrays = {k: v.detach().numpy().astype(np.float32) for k, v in exact.items()}
        # How far single precision takes the peer itself from the exact result: near-zero denominators amplify rounding.
        for k, v in single.items():
            error = (v - exact[k]).abs().max() / exact[k].abs().max()
            arrays["error " + k] = np.float32([error.item()])
        np.savez_compressed(FOLDER / f"{name}.npz", input=x.numpy(), output=output, target=target.numpy(), **arrays)
        print(name, path.stat().st_size, len(arrays))


if __name__ == "__main__":
    main()
