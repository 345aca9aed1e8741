"""Makes the network and the images that heatproof ships (assets/shapes/): images of shapes on cluttered backgrounds,
their masks, and a small residual network trained to name the shapes.

    pip install torch==2.13.0 numpy opencv-python-headless onnx
    python assets/make_shapes.py            # about ten minutes on one core; deterministic for a seed
"""

import argparse
import pathlib

import cv2
import numpy as np
import torch
from torch import nn

CLASSES = ["circle", "square", "triangle", "star", "cross", "ring", "crescent", "arrow"]
SIZE = 64
MEAN = [0.45, 0.45, 0.45]
STD = [0.25, 0.25, 0.25]


def colour(rng):
    hsv = np.uint8([[[rng.integers(0, 180), rng.integers(70, 256), rng.integers(90, 256)]]])
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0].astype(np.float32)


def polygon(name):
    """Corners of a shape in the unit circle; None for shapes that are drawn otherwise."""
    if name == "square":
        return np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * 0.8
    if name == "triangle":
        angles = np.pi / 2 + np.arange(3) * 2 * np.pi / 3
        return np.stack([np.cos(angles), np.sin(angles)], 1)
    if name == "star":
        angles = np.pi / 2 + np.arange(10) * np.pi / 5
        radius = np.where(np.arange(10) % 2 == 0, 1.05, 0.42)
        return np.stack([radius * np.cos(angles), radius * np.sin(angles)], 1)
    if name == "cross":
        a, b = 0.3, 1.0
        return np.array([[-a, -b], [a, -b], [a, -a], [b, -a], [b, a], [a, a], [a, b], [-a, b], [-a, a], [-b, a],
                         [-b, -a], [-a, -a]])
    if name == "arrow":
        return np.array([[-1, -0.28], [0.1, -0.28], [0.1, -0.75], [1, 0], [0.1, 0.75], [0.1, 0.28], [-1, 0.28]])
    return None


def draw_mask(name, centre, radius, angle, scale=8):
    """Anti-aliased coverage in 0..1 of one shape."""
    big = np.zeros((SIZE * scale, SIZE * scale), np.uint8)
    c = np.asarray(centre) * scale
    r = radius * scale
    corners = polygon(name)
    if corners is not None:
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        cv2.fillPoly(big, [np.int32(corners @ turn.T * r + c)], 255)
    else:
        cv2.circle(big, tuple(np.int32(c)), int(r * 0.9), 255, -1)
        if name == "ring":
            cv2.circle(big, tuple(np.int32(c)), int(r * 0.5), 0, -1)
        if name == "crescent":
            bite = c + np.array([np.cos(angle), np.sin(angle)]) * r * 0.5
            cv2.circle(big, tuple(np.int32(bite)), int(r * 0.75), 0, -1)
    return cv2.resize(big, (SIZE, SIZE), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def background(rng):
    y, x = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32) / SIZE
    a, b = colour(rng) * 0.7, colour(rng) * 0.7
    angle = rng.uniform(0, 2 * np.pi)
    t = np.clip((x - 0.5) * np.cos(angle) + (y - 0.5) * np.sin(angle) + 0.5, 0, 1)
    image = a * (1 - t[..., None]) + b * t[..., None]
    noise = sum(cv2.resize(rng.normal(size=(n, n, 1)).astype(np.float32), (SIZE, SIZE), interpolation=cv2.INTER_CUBIC) *
                w for n, w in ((4, 14), (12, 9), (40, 7)))
    image = image + noise[..., None] * rng.uniform(0.5, 1.3)
    if rng.random() < 0.5:
        frequency = rng.uniform(4, 12)
        stripes = np.sin((x * np.cos(angle + 1) + y * np.sin(angle + 1)) * frequency * 2 * np.pi)
        image = image + stripes[..., None] * rng.uniform(6, 16)
    return image


def distract(image, rng):
    """Fragments that no class owns: line pieces, dots, arcs."""
    for _ in range(rng.integers(3, 8)):
        layer = image.copy()
        p = rng.integers(0, SIZE, 2)
        c = tuple(float(v) for v in colour(rng))
        kind = rng.integers(3)
        if kind == 0:
            q = p + rng.integers(-16, 17, 2)
            cv2.line(layer, tuple(map(int, p)), tuple(map(int, q)), c, int(rng.integers(1, 3)), cv2.LINE_AA)
        elif kind == 1:
            cv2.circle(layer, tuple(map(int, p)), int(rng.integers(1, 4)), c, -1, cv2.LINE_AA)
        else:
            start = rng.uniform(0, 360)
            cv2.ellipse(layer, tuple(map(int, p)), tuple(map(int, rng.integers(4, 10, 2))), rng.uniform(0, 180), start,
                        start + rng.uniform(40, 110), c, int(rng.integers(1, 3)), cv2.LINE_AA)
        alpha = rng.uniform(0.6, 1.0)
        image = layer * alpha + image * (1 - alpha)
    return image


def sample(rng, label):
    image = distract(background(rng), rng)
    radius = rng.uniform(9, 17)
    centre = rng.uniform(radius + 1, SIZE - radius - 1, 2)
    mask = draw_mask(CLASSES[label], centre, radius, rng.uniform(0, 2 * np.pi))
    fill = colour(rng)
    inside = image[mask > 0.5].mean(0)
    while np.abs(fill - inside).mean() < 55:
        fill = colour(rng)
    shade = fill + cv2.resize(rng.normal(size=(8, 8)).astype(np.float32), (SIZE, SIZE))[..., None] * 12
    alpha = mask[..., None] * rng.uniform(0.85, 1.0)
    image = image * (1 - alpha) + shade * alpha + rng.normal(size=image.shape) * 4
    return np.clip(image, 0, 255).astype(np.uint8), (mask > 0.5).astype(np.uint8) * 255


def dataset(seed, count):
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % len(CLASSES)
    pairs = [sample(rng, label) for label in labels]
    return np.stack([p[0] for p in pairs]), np.stack([p[1] for p in pairs]), labels


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
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2))
        self.blocks = nn.Sequential(Block(16, 24, 1), Block(24, 48, 2), Block(48, 96, 2))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(96, len(CLASSES))

    def forward(self, x):
        return self.head(self.pool(self.blocks(self.stem(x))).flatten(1))


def prepare(images):
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    return (x - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(STD).view(1, 3, 1, 1)


def train(net, images, labels, epochs, batch=64):
    x, y = prepare(images), torch.from_numpy(labels)
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
            if torch.rand(()) < 0.5:
                xb = xb.flip(3)
            loss = nn.functional.cross_entropy(net(xb), y[pick], label_smoothing=0.02)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch}: loss {total / (len(x) // batch):.3f}", flush=True)


def accuracy(net, images, labels):
    net.eval()
    with torch.no_grad():
        outputs = torch.cat([net(prepare(images[i:i + 256])) for i in range(0, len(images), 256)])
    return (outputs.argmax(1).numpy() == labels).mean()


def covered(images, masks):
    """The images with a grey disc over the shape, which leaves nothing of its outline."""
    hidden = images.copy()
    for image, mask in zip(hidden, masks):
        points = np.argwhere(mask > 0)[:, ::-1].astype(np.float32)
        (x, y), radius = cv2.minEnclosingCircle(points)
        cv2.circle(image, (round(x), round(y)), int(np.ceil(radius)) + 1, (115, 115, 115), -1)
    return hidden


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--train", type=int, default=12000)
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--shipped", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    folder = pathlib.Path(__file__).resolve().parent / "shapes"
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)

    images, masks, labels = dataset(args.seed + 2, args.shipped)
    for i, (image, mask, label) in enumerate(zip(images, masks, labels)):
        name = f"{CLASSES[label]}_{i // len(CLASSES):02d}.png"
        cv2.imwrite(str(folder / "images" / name), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        cv2.imwrite(str(folder / "masks" / name), mask)
    (folder / "labels.txt").write_text("\n".join(CLASSES) + "\n")

    train_images, _, train_labels = dataset(args.seed, args.train)
    test_images, test_masks, test_labels = dataset(args.seed + 1, 2000)
    net = Network()
    train(net, train_images, train_labels, args.epochs)
    print("parameters:", sum(p.numel() for p in net.parameters()))
    print("accuracy on 2000 held-out images:", accuracy(net, test_images, test_labels))
    print("accuracy on the shipped images:", accuracy(net, images, labels))
    print("accuracy with a disc over the shape:", accuracy(net, covered(test_images, test_masks), test_labels))

    net.eval()
    # PRESERVE keeps the BatchNormalization nodes, so that heatproof's own folding is used on the shipped network.
    torch.onnx.export(net, (torch.zeros(1, 3, SIZE, SIZE),), str(folder / "shapes.onnx"), dynamo=False,
                      opset_version=17, input_names=["input"], output_names=["logits"],
                      dynamic_axes={"input": {0: "N"}, "logits": {0: "N"}}, training=torch.onnx.TrainingMode.PRESERVE,
                      do_constant_folding=False)
    (folder / "shapes.toml").write_text(
        "# How images become the network's input.\n[input]\n"
        f"size = {SIZE}\nchannels = \"rgb\"\nrange = 1\nmean = {MEAN}\nstd = {STD}\nlabels = \"labels.txt\"\n")


if __name__ == "__main__":
    main()
