#!/usr/bin/env python3
"""Reference values of a whole network by the method of the data folder's reference/make.py (PyTorch and
segmentation_models_pytorch 0.6, double precision, weights that are functions of their names), for any encoder.

usage: network.py REFERENCE OUT ENCODER [damped]

REFERENCE is the folder of make.py; OUT/network_ENCODER.npz is written. An encoder is named as co.model names it.
damped: the last batch norm of every bottleneck gets a quarter of its weights. Without it the values of very deep
networks grow from block to block until their gates tip over at the last bit: PyTorch itself is then 50 % off in float32.
For comparing only; nothing of the product needs this file.
"""
import os
import sys

folder, out, encoder = sys.argv[1:4]
damped = sys.argv[4:] == ["damped"]
sys.argv[1:] = []  # make.py reads a salt from there
sys.path.insert(0, folder)
import make

PUBLIC = {"efficientnet_b0": "efficientnet-b0", "efficientnet_lite0": "timm-tf_efficientnet_lite0"}


class Network(make.Cohesiv):
    """make.py's network without chance: no block is dropped in training. Parameters that the forward pass leaves out
    (the head of EfficientNet, which only its classifier reads) get a gradient, of zeros."""

    def __init__(self, encoder, widths):
        super().__init__(encoder, widths)
        self.encoder._drop_connect_rate = 0

    def forward(self, x):
        Z, Q, K = super().forward(x)
        return Z + sum(0 * p.sum() for p in self.encoder.parameters()), Q, K


def fill(name, shape, full=make.fill):
    return full(name, shape) / (4 if damped and name.endswith("bn3.weight") else 1)


make.Cohesiv, make.fill = Network, fill
public = PUBLIC.get(encoder, encoder)
make.network(out, public, (64, 32, 16, 16, 16), 2, 64, 96)
os.replace(f"{out}/network_{public}.npz", f"{out}/network_{encoder}.npz")
