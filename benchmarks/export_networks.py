"""Exports networks of torchvision for the benchmarks, with random weights and plausible BatchNorm statistics.

    .venv-peers/bin/python benchmarks/export_networks.py FOLDER     (environment: tests/goldens/requirements.txt)
"""

import pathlib
import sys

import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests/goldens"))
import peers  # noqa: E402,F401
import torchvision  # noqa: E402

NETWORKS = ["resnet18", "resnet50", "vgg16", "mobilenet_v2", "densenet121"]


def plausible(net):
    """Random statistics, so that activations neither vanish nor explode."""
    generator = torch.Generator().manual_seed(1)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            n = module.num_features
            module.running_mean = 0.1 * torch.randn(n, generator=generator)
            module.running_var = 0.5 + torch.rand(n, generator=generator)
            module.weight.data = 0.5 + 0.5 * torch.rand(n, generator=generator)
            module.bias.data = 0.1 * torch.randn(n, generator=generator)
    return net


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    x = torch.randn(1, 3, 224, 224)
    for name in NETWORKS:
        torch.manual_seed(0)
        net = plausible(getattr(torchvision.models, name)(weights=None).eval())
        torch.onnx.export(net, x, str(folder / f"{name}.onnx"), opset_version=17, dynamo=False, input_names=["input"], output_names=["logits"])
        torch.onnx.export(net, (x,), str(folder / f"{name}_dynamo.onnx"), opset_version=18, dynamo=True)


if __name__ == "__main__":
    main()
