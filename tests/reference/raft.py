"""Flows of torchvision's RAFT: raft.py NAME WEIGHTS.safetensors|.pth FIRST.png SECOND.png ITERATIONS OUT.npy

WEIGHTS are under torchvision's names; NAME is raft_small or raft_large."""
import json
import struct
import sys

import numpy as np
import torch
from torchvision.io import read_image
from torchvision.models import optical_flow


def read(path):
    if path.endswith(".pth"):
        return torch.load(path, map_location="cpu")
    data = open(path, "rb").read()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    state = {}
    for name, entry in header.items():
        start, end = entry["data_offsets"]
        flat = np.frombuffer(data[8 + length + start : 8 + length + end], np.float32)
        state[name] = torch.from_numpy(flat.copy()).reshape(entry["shape"])
    return state


def picture(path):
    return read_image(path)[None, :3].float() / 255 * 2 - 1


name, weights, first, second, iterations, out = sys.argv[1:]
model = getattr(optical_flow, name)(weights=None).eval()
# A count of batches is no weight.
state = {k: v for k, v in model.state_dict().items() if k.endswith("num_batches_tracked")}
model.load_state_dict({**state, **read(weights)})
with torch.no_grad():
    flow = model(picture(first), picture(second), num_flow_updates=int(iterations))[-1]
np.save(out, flow[0].permute(1, 2, 0).contiguous().numpy())
