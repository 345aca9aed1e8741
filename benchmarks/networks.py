"""The networks of the benchmarks: torchvision's, with random weights (times do not depend on them) and plausible BatchNorm statistics.

    python -m benchmarks.networks FOLDER [NAME ...]     exports NAME.onnx with an open batch size (NAME_any.onnx: any image size, too)

`build(name)` gives the same weights in every process.
"""

import pathlib
import sys

import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests/goldens"))
import peers  # noqa: E402,F401
import torchvision  # noqa: E402

NAMES = ["resnet18", "resnet50", "vgg16", "mobilenet_v2", "densenet121", "squeezenet1_1"]


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


def tiny():
    """Of the smoke test."""
    nn = torch.nn
    return nn.Sequential(nn.Conv2d(3, 8, 3, 1, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3, 1, 1), nn.ReLU(),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))


def chain(depth):
    """3×3 convolutions of 64 channels on quarter-size images, for cost against depth."""
    nn = torch.nn
    layers = [nn.Conv2d(3, 64, 4, 4), nn.ReLU()]
    for _ in range(depth):
        layers += [nn.Conv2d(64, 64, 3, 1, 1), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def build(name):
    torch.manual_seed(0)
    if name == "tiny":
        net = tiny()
    elif name.startswith("chain"):
        net = chain(int(name[5:]))
    else:
        net = getattr(torchvision.models, name)(weights=None)
    return plausible(net.eval())


def export(name, path):
    any_size = name.endswith("_any")
    net = build(name.removesuffix("_any"))
    side = 32 if name.startswith("tiny") else 224
    axes = {0: "N", 2: "H", 3: "W"} if any_size else {0: "N"}
    part = path.with_suffix(".part")
    torch.onnx.export(net, torch.randn(1, 3, side, side), str(part), opset_version=17, dynamo=False, input_names=["input"],
                      output_names=["logits"], dynamic_axes={"input": axes, "logits": {0: "N"}})
    part.rename(path)


def main():
    import warnings
    warnings.filterwarnings("ignore")
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[2:] or NAMES:
        export(name, folder / f"{name}.onnx")


if __name__ == "__main__":
    main()
