#!/usr/bin/env python3
"""A three-exit CNN from PyTorch as a bundle for EINet-RT: python3 make_bundle.py OUT_DIR

The weights are random; train yours before scripting the parts. expected.json holds what PyTorch answers for one input,
so that you can check what EINet-RT makes of the bundle.
"""
import json
import os
import sys

import torch
from torch import nn

CLASSES = 10


def conv(channels_in, channels_out):
    return nn.Sequential(nn.Conv2d(channels_in, channels_out, 3, padding=1), nn.BatchNorm2d(channels_out),
                         nn.ReLU(inplace=True), nn.MaxPool2d(2))


def branch(channels):
    return nn.Sequential(nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * channels, CLASSES))


# Each block is a part of the trunk and an exit on it; every part is one module with one tensor in and one out.
torch.manual_seed(1)
blocks = [(conv(3, 16), branch(16)), (conv(16, 32), branch(32)), (conv(32, 32), branch(32))]

out = sys.argv[1]
os.makedirs(out, exist_ok=True)
entries = []
x = torch.arange(3 * 32 * 32, dtype=torch.float32).reshape(1, 3, 32, 32) / 1536 - 1
input_values, logits = x.flatten().tolist(), []
for number, parts in enumerate(blocks, 1):
    entry = {}
    for kind, part in zip(("conv", "branch"), parts):
        entry[kind] = {"script": f"block{number}_{kind}.pt"}
        torch.jit.script(part.eval()).save(os.path.join(out, entry[kind]["script"]))
    entries.append(entry)
    with torch.no_grad():
        x = parts[0](x)
        logits.append(parts[1](x.clone()).flatten().tolist())

manifest = {
    "schema": 1,
    "name": "three-exits",
    "dataset": "generated",  # what it was trained on
    "classes": CLASSES,
    "input": {"channels": 3, "height_px": 32, "width_px": 32},
    "norm_mean": [0.5, 0.5, 0.5],  # what its inputs were normalized with, on the 0..1 scale
    "norm_std": [0.25, 0.25, 0.25],
    "blocks": entries,
}
with open(os.path.join(out, "manifest.json"), "w") as file:
    json.dump(manifest, file, indent=1)
with open(os.path.join(out, "expected.json"), "w") as file:
    json.dump({"input": input_values, "logits": logits}, file)
