#!/usr/bin/env python3
"""The golden values that a checkout proves its numerics by: networks, losses, AdamW and responsibility maps in double
precision, in NumPy alone, written from the definitions and sharing nothing with the library.

usage: golden.py OUT

Writes OUT/{network_ENCODER,losses,adamw,responsibility}.npz; tests/golden_spec.lua reads those in tests/reference/golden.
Inputs and weights are functions of their names (`uniform`), which tests/network.lua computes too, or short arrays.
"""
import sys

import numpy as np

from tape import Tape, Var

M64 = (1 << 64) - 1


def uniform(name, *shape):
    """Numbers in [0, 1): FNV-1a of the name seeds splitmix64, element i uses seed + i; the top 24 bits count."""
    h = 0xCBF29CE484222325
    for b in name.encode():
        h = ((h ^ b) * 0x100000001B3) & M64
    z = (np.uint64(h) + np.arange(np.prod(shape), dtype=np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return ((z >> np.uint64(40)).astype(np.float64) / 2**24).reshape(shape)


def single(a):
    """rounded to float32, as the library is given it"""
    return a.astype(np.float32).astype(np.float64)


# ---- networks ----

def fill(name, shape):
    u = uniform(name, *shape)
    if len(shape) > 1:
        v = np.sqrt(6 / np.prod(shape[1:])) * (2 * u - 1)
    elif name.endswith("weight") or name.endswith("running_var"):
        v = 0.8 + 0.4 * u
    else:
        v = 0.2 * (2 * u - 1)
    return single(v / 4 if "_branch.3." in name else v)


class State(dict):
    """Parameters and buffers by name."""

    def conv(self, name, cin, out, kernel, groups=1, bias=False):
        self[name + ".weight"] = fill(name + ".weight", (out, cin // groups, kernel, kernel))
        if bias:
            self[name + ".bias"] = fill(name + ".bias", (out,))

    def norm(self, name, channels):
        for part in ("weight", "bias", "running_mean", "running_var"):
            self[f"{name}.{part}"] = fill(f"{name}.{part}", (channels,))


def resnet18(state):
    """→ widths of the features, and the function of tape and image that gives them"""
    state.conv("encoder.conv1", 3, 64, 7)
    state.norm("encoder.bn1", 64)
    cin = 64
    for k, planes in enumerate((64, 128, 256, 512)):
        for i in range(2):
            at = f"encoder.layer{k + 1}.{i}"
            state.conv(at + ".conv1", cin, planes, 3)
            state.norm(at + ".bn1", planes)
            state.conv(at + ".conv2", planes, planes, 3)
            state.norm(at + ".bn2", planes)
            if cin != planes:
                state.conv(at + ".downsample.0", cin, planes, 1)
                state.norm(at + ".downsample.1", planes)
            cin = planes

    def features(t, x):
        x = t.clamp(t.batch_norm(t.conv(x, "encoder.conv1", 2, 3), "encoder.bn1"))
        found = [x]
        x = t.max_pool(x)
        for k in range(4):
            for i in range(2):
                at, stride = f"encoder.layer{k + 1}.{i}", 2 if k > 0 and i == 0 else 1
                y = t.clamp(t.batch_norm(t.conv(x, at + ".conv1", stride, 1), at + ".bn1"))
                y = t.batch_norm(t.conv(y, at + ".conv2", 1, 1), at + ".bn2")
                if at + ".downsample.0.weight" in state:
                    x = t.batch_norm(t.conv(x, at + ".downsample.0", stride), at + ".downsample.1")
                x = t.clamp(t.add(y, x))
            found.append(x)
        return found

    return (64, 64, 128, 256, 512), features


def mobilenet_v2(state):
    blocks, cin = [], 32  # (name, expansion, stride, cin, out)
    state.conv("encoder.features.0.0", 3, 32, 3)
    state.norm("encoder.features.0.1", 32)
    rows = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    for t, c, n, s in rows:
        for i in range(n):
            at = f"encoder.features.{len(blocks) + 1}.conv"
            blocks.append((at, t, s if i == 0 else 1, cin, c))
            k, wide = 0, cin * t
            if t > 1:
                state.conv(at + ".0.0", cin, wide, 1)
                state.norm(at + ".0.1", wide)
                k = 1
            state.conv(f"{at}.{k}.0", wide, wide, 3, groups=wide)
            state.norm(f"{at}.{k}.1", wide)
            state.conv(f"{at}.{k + 1}", wide, c, 1)
            state.norm(f"{at}.{k + 2}", c)
            cin = c
    state.conv("encoder.features.18.0", 320, 1280, 1)
    state.norm("encoder.features.18.1", 1280)

    def features(t, x):
        def layer(x, at, **options):
            return t.clamp(t.batch_norm(t.conv(x, at + ".0", **options), at + ".1"), 6)

        found, x = [], layer(x, "encoder.features.0", stride=2, padding=1)
        for at, expansion, stride, cin, out in blocks:
            y, k = x, 0
            if expansion > 1:
                y, k = layer(x, at + ".0"), 1
            if stride == 2:  # a feature is what the last block of its stride gives
                found.append(x)
            y = layer(y, f"{at}.{k}", stride=stride, padding=1, groups=cin * expansion)
            y = t.batch_norm(t.conv(y, f"{at}.{k + 1}"), f"{at}.{k + 2}")
            x = t.add(x, y) if stride == 1 and cin == out else y
        return found + [layer(x, "encoder.features.18")]

    return (16, 24, 32, 96, 1280), features


def cohesiv(state, encoder, widths, dim, attention):
    """The whole network: (tape, image) → Z, Q, K"""
    encoded, features = encoder(state)
    cin, skips = encoded[4], encoded[3::-1] + (0,)
    for i, out in enumerate(widths):
        at = f"decoder.blocks.{i}"
        state.conv(at + ".conv1.0", cin + skips[i], out, 3)
        state.norm(at + ".conv1.1", out)
        state.conv(at + ".conv2.0", out, out, 3)
        state.norm(at + ".conv2.1", out)
        cin = out
    state.conv("segmentation_head.0", cin, dim, 3, bias=True)
    for branch in ("hand_branch", "object_branch"):
        state.conv(branch + ".0", dim, attention, 3)
        state.norm(branch + ".1", attention)
        state.conv(branch + ".3", attention, attention, 3, bias=True)

    def forward(t, image):
        found = features(t, image)
        x = found[4]
        for i in range(5):
            x, at = t.double(x), f"decoder.blocks.{i}"
            if i < 4:
                x = t.concat(x, found[3 - i])
            for part in (".conv1", ".conv2"):
                x = t.clamp(t.batch_norm(t.conv(x, at + part + ".0", 1, 1), at + part + ".1"))
        z = t.conv(x, "segmentation_head.0", 1, 1)

        def branch(at):
            y = t.clamp(t.batch_norm(t.conv(z, at + ".0", 1, 1), at + ".1"))
            return t.conv(y, at + ".3", 1, 1)

        return z, branch("hand_branch"), branch("object_branch")

    return forward


def text(names):
    return np.frombuffer("\n".join(names).encode(), np.uint8)


def network(encoder, widths, dim, attention, n, h, w, every=8, whole=()):
    """The arrays that tests/network.lua compares. every: of how many pixels a map keeps one; whole: the parameters
    whose gradients are kept, in the library's order (out, kernel height, kernel width, in)."""
    state = State()
    forward = cohesiv(state, encoder, widths, dim, attention)
    image = uniform("image", n, h, w, 3) * 4 - 2
    maps = uniform("R", n, h, w)
    i, y, x = np.mgrid[:n, :h, :w]
    label = (x // 11 + y // 7 + i) % 3 + 1
    query = np.stack([uniform("qx", n) * w, uniform("qy", n) * h], 1).astype(np.int32)
    d = dict(widths=np.array(widths), size=np.array([n, h, w]), dims=np.array([dim, attention]),
             label=label.astype(np.int32), query=query)

    def keep(v):
        return v.value[:, ::every, ::every].astype(np.float32)

    d["Z"], d["Q"], d["K"] = map(keep, forward(Tape(state, False), Var(image)))
    t = Tape(state, True)
    Z, Q, K = forward(t, Var(image))
    d["Z_train"] = keep(Z)
    d["responsibility_loss"], dQ, dK = responsibility_loss(Q.value, K.value, maps, query)
    d["embedding_loss"], dZ = embedding_loss(Z.value, label, True)
    d["embedding_loss_unnormalised"], _ = embedding_loss(Z.value, label, False)
    Z.grad += dZ
    Q.grad += 10 * dQ
    K.grad += 10 * dK
    t.backward()
    learned = [name for name in state if "running" not in name]
    d["parameters"] = sum(state[name].size for name in learned)
    d["gradient_name"] = text(learned)
    d["gradient_norm"] = np.array([np.sqrt((t.state[name].grad**2).sum()) for name in learned])
    d["running_name"] = text(t.running)
    d["running_norm"] = np.array([np.sqrt((v**2).sum()) for v in t.running.values()])
    for name in whole:
        g = t.state[name].grad
        d["gradient." + name] = (g.transpose(0, 2, 3, 1) if g.ndim == 4 else g).astype(np.float32)
    return d


# ---- losses ----

def responsibility_loss(Q, K, R, query):
    """Smooth-L1 (beta 0.5) of clamp(qᵀK, 0, 1) against R; → the mean, its gradients"""
    n = np.arange(len(Q))
    q = Q[n, query[:, 1], query[:, 0]]
    a = np.einsum("nc,nhwc->nhw", q, K)
    e = np.clip(a, 0, 1) - R
    loss = np.where(abs(e) < 0.5, e * e, abs(e) - 0.25).mean()
    da = np.clip(2 * e, -1, 1) * ((a > 0) & (a < 1)) / e.size
    dQ = np.zeros_like(Q)
    np.add.at(dQ, (n, query[:, 1], query[:, 0]), np.einsum("nhw,nhwc->nc", da, K))
    return loss, dQ, da[..., None] * q[:, None, None]


def unit(v):
    """→ rows of length 1, and the function that takes their gradient back"""
    size = np.sqrt((v * v).sum(-1, keepdims=True))
    u = v / size
    return u, lambda du: (du - u * (du * u).sum(-1, keepdims=True)) / size


def embedding_loss(Z, label, normalise, scale=10, eps=1e-3):
    """The 3-way contrastive loss; labels 1 .. 3, 0: ignored. → the mean over images of the mean over present classes
    of the mean over pixels, and the gradient"""
    total, dZ = 0, np.zeros_like(Z)
    for image in range(len(Z)):
        e, l = Z[image].reshape(-1, Z.shape[3]), label[image].reshape(-1)
        back = lambda d: d
        if normalise:
            e, back = unit(e)
        present = [c for c in (1, 2, 3) if (l == c).any()]
        m = np.stack([e[l == c].mean(0) for c in present])
        back_means = lambda d: d
        if normalise:
            m, back_means = unit(m)
            m, before = scale * m, back_means
            back_means = lambda d: before(scale * d)
        p = np.exp(e @ m.T)
        sum_ = p.sum(1) + eps
        dlogit = np.zeros_like(p)
        for j, c in enumerate(present):
            own, weight = l == c, 1 / (l == c).sum() / len(present) / len(Z)
            total += weight * (np.log(sum_[own]) - np.log(p[own, j] + eps)).sum()
            dlogit[own] += weight * p[own] / sum_[own, None]
            dlogit[own, j] -= weight * p[own, j] / (p[own, j] + eps)
        de, dm = dlogit @ m, back_means(dlogit.T @ e)
        for j, c in enumerate(present):
            de[l == c] += dm[j] / (l == c).sum()
        dZ[image] = back(de).reshape(dZ[image].shape)
    return total, dZ


def losses(n=3, h=9, w=10, c=5):
    """One image without objects, some pixels ignored, maps both within and beyond the clamp."""
    Z, Q, K = (single(3 * uniform(name, n, h, w, c) - s) for name, s in (("Z", 1.5), ("Q", 0.9), ("K", 1.3)))
    R = uniform("maps", n, h, w)
    label = (4 * uniform("labels", n, h, w)).astype(np.int32)
    label[1][label[1] == 2] = 3
    query = (uniform("queries", n, 2) * [w, h]).astype(np.int32)
    d = dict(Z=Z, Q=Q, K=K, R=R, label=label, query=query)
    d["responsibility"], d["dQ"], d["dK"] = responsibility_loss(Q, K, R, query)
    d["embedding"], d["dZ"] = embedding_loss(Z, label, True)
    d["unnormalised"], d["dZ_unnormalised"] = embedding_loss(Z, label, False)
    return d


# ---- AdamW ----

def adamw(n=300, steps=4, lr=1e-2, beta1=0.9, beta2=0.999, eps=1e-8, decay=1e-2):
    """more numbers than a block of the library's loop holds"""
    p = start = 2 * uniform("adamw", n) - 1
    gradients = 2 * uniform("adamw gradients", steps, n) - 1
    m = v = np.zeros(n)
    after = []
    for t, g in enumerate(gradients, 1):
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
        p = p * (1 - lr * decay) - lr * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps)
        after.append(p)
    return dict(parameter=start, gradients=gradients, after=np.stack(after))


# ---- responsibility maps ----

def homography(source, target):
    """least squares by the normalised DLT"""

    def normal(p):
        centre = p.mean(0)
        s = np.sqrt(2) / np.sqrt(((p - centre)**2).sum(1)).mean()
        return np.array([[s, 0, -s * centre[0]], [0, s, -s * centre[1]], [0, 0, 1]])

    T, U = normal(source), normal(target)
    one = np.ones((len(source), 1))
    rows = []
    for (x, y, _), (u, v, _) in zip(np.hstack([source, one]) @ T.T, np.hstack([target, one]) @ U.T):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y, -u], [0, 0, 0, x, y, 1, -v * x, -v * y, -v]]
    M = np.linalg.inv(U) @ np.linalg.svd(np.array(rows))[2][-1].reshape(3, 3) @ T
    return M / M[2, 2]


def bilinear(field, points):
    h, w, _ = field.shape
    x, y = np.clip(points[:, 0], 0, w - 1), np.clip(points[:, 1], 0, h - 1)
    j, i = np.minimum(x.astype(int), w - 2), np.minimum(y.astype(int), h - 2)
    b, a = (x - j)[:, None], (y - i)[:, None]
    top, low = (1 - b) * field[i, j] + b * field[i, j + 1], (1 - b) * field[i + 1, j] + b * field[i + 1, j + 1]
    return (1 - a) * top + a * low


def maps(flows, hands, temperature):
    """→ the mean over flows of each pixel's softmax of -distance / temperature, and the homographies"""
    h, w, _ = flows[0].shape
    y, x = np.mgrid[:h, :w].astype(float)
    found, total = [], 0
    for O in flows:
        score = []
        for V in hands:
            M = homography(V, V + bilinear(O, V))
            found.append(M)
            p = np.stack([x, y, np.ones_like(x)], 2) @ M.T
            front = p[..., 2] * np.sign(np.append(V.mean(0), 1) @ M[2]) > 1e-12  # on the hand's side of the horizon
            q = p[..., :2] / np.where(front, p[..., 2], 1)[..., None]
            distance = np.hypot(x + O[..., 0] - q[..., 0], y + O[..., 1] - q[..., 1])
            score.append(np.where(front, -distance / temperature, -np.inf))
        score.append(-np.hypot(O[..., 0], O[..., 1]) / temperature)
        e = np.exp(np.stack(score, 2) - np.max(score, 0)[..., None])
        total = total + e / e.sum(2, keepdims=True)
    return total / len(flows), np.array(found)


def responsibility(h=36, w=48):
    """Two hands, one of them turning so that part of the image is beyond its horizon, over two gaps."""
    y, x = np.mgrid[:h, :w].astype(float)
    centres = ((14.0, 15.0), (33.0, 22.0))
    hands = [single(np.array(c) + 15 * (uniform(f"vertices {k}", 21, 2) - 0.5)) for k, c in enumerate(centres)]
    flows = []
    for gap in (-1, 2):
        O = 0.3 * (uniform(f"noise {gap}", h, w, 2) - 0.5)
        for k, (cx, cy) in enumerate(centres):
            third = np.maximum(1 + (0.02 * gap * (x - cx) if k else 0), 0.1)  # a plane that turns away
            moved = np.stack([(x - cx + 3 * gap) / third - (x - cx), (y - cy - gap) / third - (y - cy)], 2)
            near = np.hypot(x - cx, y - cy) < 10
            O = np.where(near[..., None], moved + 0.2 * (uniform(f"own {k} {gap}", h, w, 2) - 0.5), O)
        flows.append(single(O))
    R, M = maps(flows, hands, 2)
    third = [(np.stack([x, y, np.ones_like(x)], 2) @ m[2]) * np.sign(np.append(hands[k % 2].mean(0), 1) @ m[2])
             for k, m in enumerate(M)]
    assert max((t <= 0).mean() for t in third) > 0.02, "nothing is beyond a horizon"
    return dict(flows=np.array(flows, np.float32), hands=np.array(hands, np.float32), map=R.astype(np.float32),
                map_temperature_4=maps(flows, hands, 4)[0].astype(np.float32), homographies=M)


if __name__ == "__main__":
    out = sys.argv[1]
    branch = ("encoder.conv1.weight", "encoder.bn1.bias", "hand_branch.0.weight", "segmentation_head.0.bias")
    cases = dict(
        network_resnet18=network(resnet18, (16, 16, 8, 8, 8), 12, 8, 2, 64, 64, whole=branch),
        network_mobilenet_v2=network(mobilenet_v2, (16, 16, 8, 8, 8), 8, 8, 2, 64, 64, whole=(
            "encoder.features.0.0.weight", "encoder.features.2.conv.1.0.weight", "object_branch.0.weight")),
        losses=losses(), adamw=adamw(), responsibility=responsibility())
    for name, arrays in cases.items():
        np.savez_compressed(f"{out}/{name}.npz", **arrays)
