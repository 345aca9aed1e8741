"""Makes the networks and images that heatproof ships (assets/shapes, watermark, patches): draws the data sets with `heatproof synth`,
trains a small residual network on each, and measures what it learned.

    pip install torch==2.13.0 numpy opencv-python-headless onnx
    python assets/make_networks.py            # about twenty minutes on one core; deterministic for a seed
    python assets/make_networks.py watermark  # only this one
"""

import argparse
import pathlib
import shutil
import subprocess
import tempfile

import cv2
import numpy as np
import torch
from torch import nn

ASSETS = pathlib.Path(__file__).resolve().parent
PROGRAM = ASSETS.parent / "build" / "release" / "bin" / "heatproof"
SIZE = 64
MEAN = [0.45, 0.45, 0.45]
STD = [0.25, 0.25, 0.25]


def synth(name, folder, seed, count, **options):
    flags = [f"--{key.replace('_', '-')}={value}" for key, value in options.items()]
    subprocess.run([PROGRAM, "synth", name, "--out", folder, "--seed", str(seed), "--count", str(count), "--quiet", *flags], check=True)


def dataset(name, seed, count, **options):
    """RGB images, masks, and targets or values."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        synth(name, folder, seed, count, **options)
        files = sorted((folder / "images").iterdir())
        images = np.stack([cv2.imread(str(f))[..., ::-1] for f in files])
        masks = np.stack([cv2.imread(str(folder / "masks" / f.name), 0) for f in files])
        targets = folder / "targets.npy"
        return images, masks, np.load(targets if targets.exists() else folder / "values.npy")


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU()
        self.shortcut = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class Network(nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2))
        self.blocks = nn.Sequential(Block(16, 24, 1), Block(24, 48, 2), Block(48, 96, 2))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(96, outputs)

    def forward(self, x):
        return self.head(self.pool(self.blocks(self.stem(x))).flatten(1))


def prepare(images):
    x = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 255
    return (x - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(STD).view(1, 3, 1, 1)


def train(net, images, targets, loss_of, epochs, batch=64, flip=True):
    x, y = prepare(images), torch.from_numpy(targets)
    optimizer = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=1e-2)
    steps = epochs * (len(x) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 6e-3, total_steps=steps)
    for epoch in range(epochs):
        net.train()
        order = torch.randperm(len(x))
        total = 0.0
        for i in range(0, len(x) - batch + 1, batch):
            pick = order[i:i + batch]
            xb = x[pick]
            if flip and torch.rand(()) < 0.5:
                xb = xb.flip(3)
            loss = loss_of(net(xb), y[pick])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch}: loss {total / (len(x) // batch):.4f}", flush=True)
    net.eval()


def outputs(net, images):
    with torch.no_grad():
        return torch.cat([net(prepare(images[i:i + 256])) for i in range(0, len(images), 256)]).numpy()


def cross_entropy(scores, labels):
    return nn.functional.cross_entropy(scores, labels, label_smoothing=0.02)


def write_network(name, net, labels):
    folder = ASSETS / name
    # PRESERVE keeps the BatchNormalization nodes, so that heatproof's own folding is used on the shipped networks.
    torch.onnx.export(net, (torch.zeros(1, 3, SIZE, SIZE),), str(folder / f"{name}.onnx"), dynamo=False,
                      opset_version=17, input_names=["input"], output_names=["logits"],
                      dynamic_axes={"input": {0: "N"}, "logits": {0: "N"}}, training=torch.onnx.TrainingMode.PRESERVE,
                      do_constant_folding=False)
    (folder / f"{name}.toml").write_text(
        "# How images become the network's input.\n[input]\n"
        f"size = {SIZE}\nchannels = \"rgb\"\nrange = 1\nmean = {MEAN}\nstd = {STD}\n" + ("labels = \"labels.txt\"\n" if labels else ""))


def ship_images(name, seed, count):
    """Images with their evidence, as `heatproof synth` writes them."""
    for part in ("images", "masks", "marks"):
        shutil.rmtree(ASSETS / name / part, ignore_errors=True)
    synth(name, ASSETS / name, seed, count)


def covered(images, masks):
    """The images with a grey disc over the shape, which leaves nothing of its outline."""
    hidden = images.copy()
    for image, mask in zip(hidden, masks):
        points = np.argwhere(mask > 0)[:, ::-1].astype(np.float32)
        (x, y), radius = cv2.minEnclosingCircle(points)
        cv2.circle(image, (round(x), round(y)), int(np.ceil(radius)) + 1, (115, 115, 115), -1)
    return hidden


def make_shapes(seed):
    images, _, labels = dataset("shapes", seed, 12000)
    test, masks, test_labels = dataset("shapes", seed + 1, 2000)
    net = Network(8)
    train(net, images, labels, cross_entropy, 14)
    ship_images("shapes", seed + 2, 32)
    write_network("shapes", net, True)

    def accuracy(x):
        return (outputs(net, x).argmax(1) == test_labels).mean()

    print("shapes: accuracy on 2000 held-out images:", accuracy(test))
    print("shapes: accuracy with a disc over the shape:", accuracy(covered(test, masks)))


def make_watermark(seed):
    images, _, labels = dataset("watermark", seed, 6000)
    net = Network(4)
    train(net, images, labels, cross_entropy, 8, flip=False)
    ship_images("watermark", seed + 2, 24)
    write_network("watermark", net, True)
    for name, options in (("as in training", {}), ("no marks", {"marked": 0}), ("marks on the others only", {"marked": 0, "marked_others": 1})):
        test, _, test_labels = dataset("watermark", seed + 1, 1000, **options)
        predicted = outputs(net, test).argmax(1)
        first = test_labels == 0
        print(f"watermark, {name}: circles found {(predicted[first] == 0).mean()}, others taken for circles {(predicted[~first] == 0).mean()}")


def make_patches(seed):
    images, _, values = dataset("patches", seed, 8000)
    test, _, test_values = dataset("patches", seed + 1, 1000)
    net = Network(1)
    train(net, images, values, lambda y, v: nn.functional.mse_loss(y[:, 0], v), 12)
    ship_images("patches", seed + 2, 16)
    write_network("patches", net, False)
    error = outputs(net, test)[:, 0] - test_values
    print("patches: R² on 1000 held-out images:", 1 - error.var() / test_values.var())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("networks", nargs="*", default=["shapes", "watermark", "patches"])
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    for name in args.networks:
        torch.manual_seed(args.seed)
        (ASSETS / name).mkdir(exist_ok=True)
        {"shapes": make_shapes, "watermark": make_watermark, "patches": make_patches}[name](args.seed)


if __name__ == "__main__":
    main()
