"""Small networks with seeded random weights, one for each thing that can go wrong."""

import torch
from torch import nn


class BasicBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        from zennit.layer import Sum
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.sum = Sum()
        self.relu2 = nn.ReLU()
        self.shortcut = None
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        skip = x if self.shortcut is None else self.shortcut(x)
        return self.relu2(self.sum(torch.stack([skip, y], dim=-1)))


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        self.blocks = nn.Sequential(BasicBlock(8, 8, 1), BasicBlock(8, 12, 2))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.head = nn.Linear(12, 5)

    def forward(self, x):
        return self.head(self.flatten(self.pool(self.blocks(self.stem(x)))))


class DenseLike(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 1, 1), nn.ReLU())
        self.branch = nn.Sequential(nn.Conv2d(8, 5, 3, 1, 1), nn.ReLU())
        self.pool = nn.AvgPool2d(2)
        self.last = nn.Sequential(nn.Conv2d(13, 8, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))

    def forward(self, x):
        y = self.stem(x)
        return self.last(self.pool(torch.cat([y, self.branch(y)], 1)))


class Stacked(nn.Module):
    """A skip connection through zennit's Sum, which exports as a stack and a sum over it."""

    def __init__(self, channels):
        super().__init__()
        from zennit.layer import Sum
        self.branch = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1))
        self.add = Sum()
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(self.add(torch.stack([x, self.branch(x)], dim=-1)))


def networks():
    """Name → (network, input shape, opset, keep BatchNorm, dynamo)."""
    relu = nn.ReLU
    table = {
        "mlp": (nn.Sequential(nn.Flatten(), nn.Linear(48, 20), relu(), nn.Linear(20, 12), relu(), nn.Linear(12, 4)), (3, 4, 4), 17, False, False),
        "cnn": (nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), relu(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3), relu(), nn.MaxPool2d(2),
                              nn.Flatten(), nn.Linear(64, 16), relu(), nn.Linear(16, 5)), (3, 12, 12), 17, False, False),
        "resnet": (ResNet(), (3, 17, 17), 17, True, False),
        "resnet_dynamo": (ResNet(), (3, 16, 16), 18, False, True),
        "strided": (nn.Sequential(nn.Conv2d(4, 8, (3, 2), (2, 1), (1, 0), groups=2), relu(), nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=8), relu(),
                                  nn.Conv2d(8, 20, 1), relu(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(20, 3)), (4, 13, 11), 17, False, False),
        "pools": (nn.Sequential(nn.Conv2d(2, 17, 3), relu(), nn.AvgPool2d(3, 2, 1), nn.Conv2d(17, 6, 3, padding=1), relu(),
                                nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False), nn.MaxPool2d(2, 1), nn.Flatten(), nn.Linear(54, 4)), (2, 14, 14), 17, False, False),
        "dense": (DenseLike(), (3, 10, 10), 11, False, False),
        "mobile": (nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU6(), nn.Conv2d(8, 8, 3, 1, 1, groups=8, bias=False),
                                 nn.BatchNorm2d(8), nn.ReLU6(), nn.Conv2d(8, 4, 1, bias=False), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)),
                   (3, 14, 14), 17, True, False),
        "smooth": (nn.Sequential(nn.Conv2d(2, 6, 3), nn.Tanh(), nn.Conv2d(6, 6, 3), nn.Sigmoid(), nn.Conv2d(6, 6, 3), nn.LeakyReLU(0.1), nn.Conv2d(6, 6, 1),
                                 nn.ELU(), nn.Flatten(), nn.Linear(96, 8), nn.Hardswish(), nn.Linear(8, 3)), (2, 10, 10), 17, False, False),
        "signal": (nn.Sequential(nn.Conv1d(2, 6, 5, 2), relu(), nn.Conv1d(6, 9, 3, padding=1), relu(), nn.AvgPool1d(2), nn.Flatten(), nn.Linear(45, 3)), (2, 24), 17, False, False),
        "stacked": (nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), relu(), Stacked(8), nn.MaxPool2d(2), Stacked(8), nn.Flatten(), nn.Linear(128, 4)), (3, 16, 16), 17, False, False),
        "gates": (nn.Sequential(nn.Conv2d(2, 6, 3), nn.SiLU(), nn.Conv2d(6, 6, 3), nn.GELU(), nn.ConvTranspose2d(6, 5, 2, 2), nn.GELU(approximate="tanh"), nn.Conv2d(5, 5, 3, 2),
                                nn.Softplus(), nn.Flatten(), nn.Linear(125, 3)), (2, 10, 10), 17, False, False),
    }
    for seed, (name, entry) in enumerate(table.items()):
        generator = torch.Generator().manual_seed(100 + seed)
        for module in entry[0].modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.running_mean.normal_(generator=generator).mul_(0.3)
                module.running_var.uniform_(0.5, 1.5, generator=generator)
                module.weight.data.uniform_(0.5, 1.5, generator=generator)
                module.bias.data.normal_(generator=generator).mul_(0.3)
            elif getattr(module, "weight", None) is not None:
                fan = module.weight[0].numel()
                module.weight.data.normal_(generator=generator).mul_((2 / fan) ** 0.5)
                if module.bias is not None:
                    module.bias.data.normal_(generator=generator).mul_(0.2)
        entry[0].eval()
    return table
