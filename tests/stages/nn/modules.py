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


class InPlace(nn.Module):  # a sum in place is no chain either
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(12, 12, 3, padding=1)

    def forward(self, x):
        y = self.conv(x)
        y += x
        return y


# Near relatives of known layers. Those that compute what the layer of a bundle computes become it, the others must not.
conv = nn.Conv2d(12, 12, 3, padding=1)
known = {"plain_norm": nn.Sequential(nn.Conv2d(12, 12, 1, bias=False), nn.BatchNorm2d(12, affine=False)),
         "norm_alone": nn.Sequential(nn.ReLU(), nn.BatchNorm2d(12), nn.ReLU(inplace=True)),
         "ceil_pool": nn.MaxPool2d(3, 1, 1, ceil_mode=True),
         "mean_with_padding": nn.AvgPool2d(3, 1, 1),
         "dropped": nn.Sequential(nn.Dropout(0.4), conv, nn.Dropout(0.4), nn.Identity())}
unknown = {"mean_without_padding": nn.AvgPool2d(3, 1, 1, count_include_pad=False),
           "mean_of_five": nn.AvgPool2d(3, 1, 1, divisor_override=5),
           "grouped": nn.Conv2d(12, 12, 3, padding=1, groups=3),
           "depthwise": nn.Conv2d(12, 12, 3, padding=1, groups=12),
           "dilated": nn.Conv2d(12, 12, 3, padding=2, dilation=2),
           "oblong": nn.Conv2d(12, 12, (1, 3), padding=(0, 1)),
           "reflecting": nn.Conv2d(12, 12, 3, padding=1, padding_mode="reflect"),
           "padded_by_name": nn.Conv2d(12, 12, 3, padding="same"),
           "transposed": nn.Sequential(nn.ConvTranspose2d(12, 12, 3, padding=1)),
           "dilated_pool": nn.Sequential(nn.ZeroPad2d(2), nn.MaxPool2d(3, 1, dilation=2)),
           "norm_of_the_batch": nn.BatchNorm2d(12, track_running_stats=False),
           "even_lrn": nn.LocalResponseNorm(4, 0.1),
           "leaky": nn.LeakyReLU(0.1),
           "in_place": InPlace()}
with open(os.path.join(out, "relatives.txt"), "w", encoding="utf-8") as names:
    for is_known, modules in ((1, known), (0, unknown)):
        for name, module in modules.items():
            warm(module, x)
            torch.jit.script(module).save(os.path.join(out, f"{name}.pt"))
            torch.jit.trace(module, x).save(os.path.join(out, f"{name}_traced.pt"))
            print(f"{name}.pt {is_known}\n{name}_traced.pt {is_known}", file=names)
