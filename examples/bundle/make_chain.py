#!/usr/bin/env python3
"""A single-exit CNN from PyTorch for `einet convert --script`: python3 make_chain.py OUT.pt [--trace] [--swish]

Any module will do whose forward is a chain of its children; train yours before saving it. --trace records one run where
torch.jit.script would compile the source; --swish puts in an activation that EINet-RT does not know as a layer, so that
it stays a TorchScript part. OUT.pt.json holds what PyTorch answers for one input.
"""
import json
import sys

import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, activation):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True),
            nn.Conv2d(16, 24, 3, padding=1), activation, nn.MaxPool2d(2),
            nn.Conv2d(24, 32, 3, stride=2, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.AvgPool2d(2))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.drop = nn.Dropout(0.3)
        self.classifier = nn.Linear(32, 10)

    def forward(self, x):
        x = self.features(x)
        x = self.pool(x)
        x = torch.flatten(x, 1)
        return self.classifier(self.drop(x))


torch.manual_seed(2)
net = Net(nn.SiLU() if "--swish" in sys.argv else nn.ReLU())
net.train()
for _ in range(3):  # statistics for the batch normalisation
    net(torch.rand(8, 3, 32, 32))
net.eval()
x = torch.arange(3 * 32 * 32, dtype=torch.float32).reshape(1, 3, 32, 32) / 1536 - 1
module = torch.jit.trace(net, x) if "--trace" in sys.argv else torch.jit.script(net)
module.save(sys.argv[1])
with torch.no_grad(), open(sys.argv[1] + ".json", "w") as file:
    json.dump({"input": x.flatten().tolist(), "logits": [net(x.clone()).flatten().tolist()]}, file)
