"""Modules for convert_test.c: python3 modules.py OUT_DIR. NAME.json: one input and what PyTorch answers for it.

Exit status 77: no PyTorch.
"""
import json
import os
import sys

try:
    import torch
    from torch import nn
except ImportError:
    sys.exit(77)


class Residual(nn.Module):  # a child that is no chain and has weights
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return torch.relu(x + self.conv(x))


class Net(nn.Module):
    """Children in Sequentials of two depths, a function and a view between them."""

    def __init__(self, activation, block):
        super().__init__()
        self.stem = nn.Sequential(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)),
                                  nn.ReLU(inplace=True))
        self.body = nn.Sequential(nn.Conv2d(8, 12, 3, stride=2, padding=1), activation, nn.MaxPool2d(2), block)
        self.drop = nn.Dropout(0.4)
        self.head = nn.Linear(12 * 8 * 8, 10)

    def forward(self, x):
        x = self.body(self.stem(x))
        x = x.view(x.size(0), -1)
        return self.head(self.drop(x))


class Skip(nn.Module):  # its result is a sum, so no chain
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.fc = nn.Linear(3 * 32 * 32, 10)

    def forward(self, x):
        return self.fc(torch.flatten(self.conv(x) + x, 1))


class Sly(nn.Module):  # looks like a chain, but changes a tensor on the way
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.fc = nn.Linear(3 * 32 * 32, 10)

    def forward(self, x):
        y = self.conv(x)
        y.mul_(2.0)
        return self.fc(torch.flatten(y, 1))


class Two(nn.Module):
    def forward(self, x, y):
        return x + y


out = sys.argv[1]
torch.manual_seed(3)
x = torch.arange(3 * 32 * 32, dtype=torch.float32).reshape(1, 3, 32, 32) / 1536 - 1


def save(name, module, trace=False):
    module.train()
    if not isinstance(module, (Sly, Two)):
        for _ in range(3):
            module(torch.rand(4, 3, 32, 32))
    module.eval()
    (torch.jit.trace(module, x) if trace else torch.jit.script(module)).save(os.path.join(out, name + ".pt"))
    if not isinstance(module, Two):
        with torch.no_grad(), open(os.path.join(out, name + ".json"), "w") as file:
            json.dump({"input": x.flatten().tolist(), "logits": module(x.clone()).flatten().tolist()}, file)


plain, mixed = Net(nn.ReLU(), nn.Dropout(0.1)), Net(nn.SiLU(), Residual(12))
save("plain", plain)
save("plain-traced", plain, trace=True)
save("mixed", mixed)
save("mixed-traced", mixed, trace=True)
save("skip", Skip())
save("sly", Sly())
save("two", Two())
save("flat", nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 10)))
save("idle", nn.Sequential(nn.Conv2d(3, 4, 3, stride=4), nn.Identity(), nn.Flatten(), nn.Linear(256, 10)))
save("bare", nn.Sequential(nn.Conv2d(3, 10, 32), nn.ReLU()))
