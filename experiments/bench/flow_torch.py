#!/usr/bin/env python3
"""torchvision's RAFT on the CPU, the peer of flow.lua --method raft_small. Prints `ready`, then for every line `run` on
standard input does the work once and prints the seconds that it took. Needs PyTorch and torchvision. The weights are
random: they do not change the time.

usage: flow_torch.py [--threads N] [--size WxH] [--iterations N] [--method raft_small|raft_large]
"""
import argparse
import sys
import time

import torch
from torchvision.models import optical_flow

parser = argparse.ArgumentParser()
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--size", default="512x384")
parser.add_argument("--iterations", type=int, default=20)
parser.add_argument("--method", default="raft_small", choices=["raft_small", "raft_large"])
arguments = parser.parse_args()
torch.set_num_threads(arguments.threads)
torch.manual_seed(1)
width, height = map(int, arguments.size.split("x"))
model = getattr(optical_flow, arguments.method)(weights=None).eval()
first, second = torch.rand(1, 3, height, width) * 2 - 1, torch.rand(1, 3, height, width) * 2 - 1


@torch.inference_mode()
def work():
    return model(first, second, num_flow_updates=arguments.iterations)[-1]


work()
print("ready", flush=True)
for line in sys.stdin:
    start = time.perf_counter()
    work()
    print(time.perf_counter() - start, flush=True)
