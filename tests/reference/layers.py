#!/usr/bin/env python3
"""What PyTorch's layers compute, for tests/nn_spec.lua: values and input gradients on random data.

usage: layers.py OUT

Writes OUT/cases.json (name, the layer in Lua) and OUT/NAME.npz: state.*, x, weights, y, dx, channels-last, where
dx is the gradient of sum(y * weights). For comparing only; nothing of the product needs this file.
"""
import json
import sys

import numpy
import torch
from torch import nn

IMAGE, ROWS = (2, 9, 7, 4), (5, 6)
CASES = [  # name, in Lua, in PyTorch, shape of the input
    ("conv", "nn.Conv2d { 4, 6, 3, stride = 2, padding = 1, groups = 2 }",
     nn.Conv2d(4, 6, 3, 2, 1, groups=2), IMAGE),
    ("conv_same", 'nn.Conv2d { 4, 3, 5, padding = "same", bias = false }',
     nn.Conv2d(4, 3, 5, padding="same", bias=False), IMAGE),
    ("batch_norm", "nn.BatchNorm2d(4)", nn.BatchNorm2d(4), IMAGE),
    ("layer_norm", "nn.LayerNorm(6)", nn.LayerNorm(6), ROWS),
    ("linear", "nn.Linear { 6, 3 }", nn.Linear(6, 3), ROWS),
    ("relu6", "nn.ReLU6()", nn.ReLU6(), ROWS),
    ("silu", "nn.SiLU()", nn.SiLU(), ROWS),
    ("tanh", "nn.Tanh()", nn.Tanh(), ROWS),
    ("leaky_relu", "nn.LeakyReLU(0.2)", nn.LeakyReLU(0.2), ROWS),
    ("softmax", "nn.Softmax()", nn.Softmax(-1), ROWS),
    ("log_softmax", "nn.LogSoftmax()", nn.LogSoftmax(-1), ROWS),
    ("max_pool", "nn.MaxPool2d { 3, stride = 2, padding = 1 }", nn.MaxPool2d(3, 2, 1), IMAGE),
    ("max_pool_ceil", "nn.MaxPool2d { 2, ceil = true }", nn.MaxPool2d(2, ceil_mode=True), IMAGE),
    ("avg_pool", "nn.AvgPool2d { 3, stride = 2, padding = 1 }", nn.AvgPool2d(3, 2, 1), IMAGE),
    ("global_pool", "nn.GlobalAvgPool()", nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), IMAGE),
    ("upsample", "nn.Upsample(4)", nn.Upsample(scale_factor=4), IMAGE),
]

out = sys.argv[1]
torch.manual_seed(1)
for name, _, layer, shape in CASES:
    for p in layer.parameters():
        nn.init.normal_(p)
    x = torch.randn(shape)
    if len(shape) == 4:
        x = x.permute(0, 3, 1, 2).contiguous()
    x.requires_grad_()
    y = layer(x)
    weights = torch.randn_like(y)
    (y * weights).sum().backward()

    def last(t):
        t = t.detach()
        return (t.permute(0, 2, 3, 1) if t.dim() == 4 else t).contiguous().numpy()

    arrays = {"x": last(x), "y": last(y), "dx": last(x.grad), "weights": last(weights)}
    for key, p in layer.named_parameters():
        arrays["state." + key] = p.detach().numpy()
    numpy.savez(f"{out}/{name}.npz", **arrays)
with open(f"{out}/cases.json", "w") as file:
    json.dump([{"name": c[0], "lua": c[1]} for c in CASES], file)
