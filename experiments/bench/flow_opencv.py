#!/usr/bin/env python3
"""OpenCV's dense inverse search, medium preset, the peer of flow.lua. Prints `ready`, then for every line `run` on
standard input does the work once and prints the seconds that it took. Needs OpenCV 4 and NumPy. It starts from grey
pictures, flow.lua from what the files hold.

usage: flow_opencv.py [--threads N] [--size WxH] [FIRST.png SECOND.png]
"""
import argparse
import sys
import time

import cv2
import numpy as np


def picture(shift):
    """Blocks of 4x4 pixels of random grey, cut out `shift` pixels further to the right."""
    random = np.random.default_rng(1)
    blocks = random.integers(0, 256, (height // 4 + 1, width // 4 + 2), np.uint8)
    return np.ascontiguousarray(np.kron(blocks, np.ones((4, 4), np.uint8))[:height, shift : shift + width])


parser = argparse.ArgumentParser()
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--size", default="512x384")
parser.add_argument("pictures", nargs="*")
arguments = parser.parse_args()
cv2.setNumThreads(arguments.threads)
width, height = map(int, arguments.size.split("x"))
if arguments.pictures:
    first, second = (cv2.imread(path, cv2.IMREAD_GRAYSCALE) for path in arguments.pictures)
else:
    first, second = picture(3), picture(0)
dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
dis.calc(first, second, None)
print("ready", flush=True)
for line in sys.stdin:
    start = time.perf_counter()
    dis.calc(first, second, None)
    print(time.perf_counter() - start, flush=True)
