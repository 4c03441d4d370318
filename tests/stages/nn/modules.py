"""Parts of a network for mixed_test.c: python3 modules.py OUT_DIR. Exit status 77: no PyTorch."""
import os
import sys

try:
    import torch
    from torch import nn
except ImportError:
    sys.exit(77)


class Residual(nn.Module):  # its result is a sum, so no chain of layers
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(12, 12, 3, padding=1)

    def forward(self, x):
        return torch.relu(x + self.conv(x))


class Sly(nn.Module):  # looks like a chain, but changes a tensor on the way
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(12, 12, 3, padding=1)

    def forward(self, x):
        y = self.conv(x)
        y.mul_(2.0)
        return torch.relu(y)


def warm(module, x):  # batch norms get statistics of their own
    module.train()
    for _ in range(3):
        module(torch.rand(4, *x.shape[1:]) * 2 - 0.7)
    return module.eval()


out = sys.argv[1]
torch.manual_seed(3)
x = torch.rand(1, 12, 16, 16)
chain = nn.Sequential(nn.Conv2d(12, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True),
                      nn.Sequential(nn.Identity(), nn.MaxPool2d(3, 1, 1), nn.Dropout(0.3)), nn.Conv2d(16, 12, 1))
head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 20), nn.ReLU(), nn.Linear(20, 10))
torch.jit.script(Residual().eval()).save(os.path.join(out, "residual.pt"))
torch.jit.script(Sly().eval()).save(os.path.join(out, "sly.pt"))
torch.jit.script(warm(chain, x)).save(os.path.join(out, "chain.pt"))
torch.jit.trace(warm(head, x), x).save(os.path.join(out, "head.pt"))
