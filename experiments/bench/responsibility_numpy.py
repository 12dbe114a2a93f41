#!/usr/bin/env python3
"""Responsibility maps in vectorised NumPy (float32), the peer of responsibility.lua: 1280x720, two hands, six given
flows, static background. Prints `ready`, then for every line `run` on standard input does the work once and prints
the seconds that it took. Needs NumPy.

usage: responsibility_numpy.py [--temperature] [--size WxH]
"""
import argparse
import sys
import time

import numpy as np


def normalisation(p):
    c = p.mean(0)
    s = np.sqrt(2) / np.hypot(*(p - c).T).mean()
    return np.array([[s, 0, -s * c[0]], [0, s, -s * c[1]], [0, 0, 1]])


def fit(source, target):
    """The homography by the normalised DLT; all rows at once."""
    t, u = normalisation(source), normalisation(target)
    one = np.ones((len(source), 1))
    a, b = np.hstack([source, one]) @ t.T, np.hstack([target, one]) @ u.T
    zero = np.zeros_like(a)
    rows = np.vstack([np.hstack([-a, zero, a * b[:, :1]]), np.hstack([zero, -a, a * b[:, 1:2]])])
    m = np.linalg.inv(u) @ np.linalg.svd(rows)[2][-1].reshape(3, 3) @ t
    return m / m[2, 2]


def sample(flow, p):
    """Bilinear, clamped to the image."""
    h, w = flow.shape[:2]
    x, y = np.clip(p[:, 0], 0, w - 1), np.clip(p[:, 1], 0, h - 1)
    j, i = np.minimum(x.astype(int), w - 2), np.minimum(y.astype(int), h - 2)
    b, a = (x - j)[:, None], (y - i)[:, None]
    return (1 - a) * ((1 - b) * flow[i, j] + b * flow[i, j + 1]) + a * ((1 - b) * flow[i + 1, j] + b * flow[i + 1, j + 1])


def distances(flows, hands):
    """G x (N+1) x H x W, background last."""
    h, w = flows[0].shape[:2]
    gx, gy = np.meshgrid(np.arange(w, dtype=np.float32), np.arange(h, dtype=np.float32))
    d = np.empty((len(flows), len(hands) + 1, h, w), np.float32)
    for g, flow in enumerate(flows):
        tx, ty = gx + flow[..., 0], gy + flow[..., 1]
        for k, v in enumerate(hands):
            m = fit(v, v + sample(flow, v))
            side = np.sign(m[2] @ np.append(v.mean(0), 1))
            m = m.astype(np.float32)
            z = m[2, 0] * gx + m[2, 1] * gy + m[2, 2]
            front = z * np.float32(side) > 1e-12
            z = np.where(front, z, 1)
            e = np.hypot(tx - (m[0, 0] * gx + m[0, 1] * gy + m[0, 2]) / z, ty - (m[1, 0] * gx + m[1, 1] * gy + m[1, 2]) / z)
            d[g, k] = np.where(front, e, np.inf)
        d[g, -1] = np.hypot(flow[..., 0], flow[..., 1])
    return d


def softmax(d, temperature):
    e = np.exp((d.min(1, keepdims=True) - d) / np.float32(temperature))
    return np.moveaxis((e / e.sum(1, keepdims=True)).mean(0), 0, -1)


parser = argparse.ArgumentParser()
parser.add_argument("--temperature", action="store_true", help="time a new temperature of distances that exist")
parser.add_argument("--size", default="1280x720")
arguments = parser.parse_args()
width, height = map(int, arguments.size.split("x"))
random = np.random.default_rng(1)
flows = [(3 * random.standard_normal((height, width, 2))).astype(np.float32) for _ in range(6)]
hands = [random.uniform(0, height / 3, (21, 2)) + 100 * (k + 1) for k in range(2)]
kept = distances(flows, hands)
work = (lambda: softmax(kept, 4)) if arguments.temperature else (lambda: softmax(distances(flows, hands), 2))
work()
print("ready", flush=True)
for line in sys.stdin:
    start = time.perf_counter()
    work()
    print(time.perf_counter() - start, flush=True)
