#!/usr/bin/env python3
"""A training step of the same network and losses in PyTorch, its time by kind of layer: what shapes.lua prints beside
its own. Prints one JSON object: seconds by kind, "step" the whole, of the median of several steps.

usage: shapes_torch.py [-n N] [--height H] [--width W] [--encoder E] [--widths W,W,W,W,W] [--threads T] [--rounds R]

Needs torch and segmentation_models_pytorch 0.6. Eager, channels-last. Time is torch.profiler's: an operation counts for
the module that called it, its backward pass for the module of its forward pass. For comparing only.
"""
import argparse
import collections
import json
import os

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # or the profiler tells of GPUs that it did not find

import segmentation_models_pytorch as smp
import torch
import torch.nn.functional as F
from torch import nn
from torch.profiler import ProfilerActivity, profile, record_function

NORM, UP, REST = "batch norm, activation, gate", "up-sampling 3x3", "pooling, rest"
LOSSES, OPTIMISER, STEP = "losses", "optimiser", "step"
KINDS = ["stem", "1x1", "grouped, depthwise", "dense 3x3", UP, NORM, REST, LOSSES, OPTIMISER]
SCOPE = "kind: "


class Network(nn.Module):
    """U-Net with an embedding of 64 channels, and two branches of two 3 x 3 convolutions on top."""

    def __init__(self, encoder, widths):
        super().__init__()
        unet = smp.Unet(encoder, encoder_weights=None, decoder_channels=widths, classes=64)
        self.encoder, self.decoder, self.segmentation_head = unet.encoder, unet.decoder, unet.segmentation_head
        self.encoder._drop_connect_rate = 0
        self.hand_branch, self.object_branch = self.branch(), self.branch()

    @staticmethod
    def branch():
        return nn.Sequential(nn.Conv2d(64, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
                             nn.Conv2d(64, 64, 3, padding=1))

    def forward(self, x):
        z = self.segmentation_head(self.decoder(self.encoder(x)))
        return z, self.hand_branch(z), self.object_branch(z)


def kind_of(name, module):
    """The kind of a module's own operations; None: its parent's."""
    owner = type(module).__name__
    if owner.startswith("SE") or "_se_" in name or owner == "MBConvBlock":
        return NORM  # an MBConvBlock's own operations are its gate
    if isinstance(module, nn.Conv2d):
        if "decoder" in name and ".conv1." in name:
            return UP
        if module.in_channels == 3:
            return "stem"
        if module.groups > 1:
            return "grouped, depthwise"
        return "1x1" if module.kernel_size == (1, 1) else "dense 3x3"
    if owner.endswith("DecoderBlock"):
        return UP  # up-sampling and joining
    if "Norm" in owner or "ReLU" in owner or owner in ("SiLU", "Swish", "MemoryEfficientSwish") or \
            owner.startswith(("Bottleneck", "BasicBlock", "SEResN", "InvertedResidual")):
        return NORM  # a block's own operation is the addition of its shortcut
    return None


def mark(network):
    """From now on every module's operations run inside a scope that tells its kind."""
    inside_gate = [n for n, m in network.named_modules() if type(m).__name__ == "SEModule"]
    for name, module in network.named_modules():
        gate = any(name == g or name.startswith(g + ".") for g in inside_gate)
        kind = NORM if gate else kind_of(name, module)
        if kind is None:
            continue
        open_scopes = []

        def enter(_, __, kind=kind, scopes=open_scopes):
            scopes.append(record_function(SCOPE + kind))
            scopes[-1].__enter__()

        def leave(_, __, ___, scopes=open_scopes):
            scopes.pop().__exit__(None, None, None)

        module.register_forward_pre_hook(enter)
        module.register_forward_hook(leave)


def loss(outputs, hands, label, query):
    z, q, k = outputs
    b = torch.arange(z.shape[0])
    attention = torch.einsum("bc,bchw->bhw", q[b, :, query[:, 1], query[:, 0]], k).clamp(0, 1)
    responsibility = F.smooth_l1_loss(attention, hands, beta=0.5)
    share = F.one_hot(label, 3).flatten(1, 2).transpose(1, 2).float()  # B, 3, HW
    share = share / share.sum(2, keepdim=True)
    e = F.normalize(z.flatten(2), dim=1, eps=1e-8)
    mean = 10 * F.normalize(torch.bmm(share, e.transpose(1, 2)), dim=2, eps=1e-8)
    logit = torch.bmm(mean, e)
    tiny = logit.new_tensor(1e-3).log()
    each = torch.logaddexp(torch.logsumexp(logit, 1, keepdim=True), tiny) - torch.logaddexp(logit, tiny)
    return 10 * responsibility + (each * share).sum((1, 2)).mean() / 3


def ancestor_kind(event):
    while event is not None:
        if event.name.startswith(SCOPE):
            return event.name[len(SCOPE):]
        event = event.cpu_parent
    return None


def sums_of(events):
    """Seconds by kind. An operation of the backward pass carries the sequence number of its forward operation."""
    of_sequence = {}
    for e in events:
        kind = ancestor_kind(e)
        if kind and e.sequence_nr >= 0:
            of_sequence[e.sequence_nr] = kind
    sums = collections.Counter()
    for e in events:
        if e.name.startswith("ProfilerStep"):
            continue
        kind, at = ancestor_kind(e), e
        while kind is None and at is not None:
            if at.name.startswith("autograd::engine"):
                kind = of_sequence.get(at.sequence_nr)
            at = at.cpu_parent
        sums[kind or REST] += e.self_cpu_time_total * 1e-6
    return sums


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", type=int, default=1)
    parser.add_argument("--height", type=int, default=256)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--encoder", default="se_resnext50_32x4d")
    parser.add_argument("--widths", default="256,128,64,32,16")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    encoder = {"efficientnet_b0": "efficientnet-b0"}.get(a.encoder, a.encoder)
    network = Network(encoder, tuple(int(w) for w in a.widths.split(","))).train()
    network = network.to(memory_format=torch.channels_last)
    mark(network)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, foreach=True)
    x = torch.randn(a.n, 3, a.height, a.width).contiguous(memory_format=torch.channels_last)
    hands, label = torch.rand(a.n, a.height, a.width), torch.randint(0, 3, (a.n, a.height, a.width))
    query = torch.stack([torch.randint(0, a.width, (a.n,)), torch.randint(0, a.height, (a.n,))], 1)

    def step():
        with record_function(SCOPE + OPTIMISER):
            optimiser.zero_grad(set_to_none=True)
        outputs = network(x)
        with record_function(SCOPE + LOSSES):
            total = loss(outputs, hands, label, query)
        total.backward()
        with record_function(SCOPE + OPTIMISER):
            optimiser.step()

    for _ in range(2):
        step()
    rounds = []
    for _ in range(a.rounds):
        with profile(activities=[ProfilerActivity.CPU]) as record:
            step()
        sums = sums_of(record.events())
        rounds.append({STEP: sum(sums.values()), **{kind: sums[kind] for kind in KINDS}})
    rounds.sort(key=lambda r: r[STEP])
    print(json.dumps(rounds[a.rounds // 2]))


main()
