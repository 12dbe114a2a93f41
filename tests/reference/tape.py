"""Layers of a network and their gradients in NumPy, double precision, images N×H×W×C: a tape of closures, written from
the layers' definitions alone. Used by golden.py; nothing of the product needs this file.
"""
import numpy as np


class Var:
    """A value, and after backward() its gradient."""

    def __init__(self, value):
        self.value, self.grad = value, np.zeros_like(value)


class Tape:
    """Records what each layer's backward pass has to do. training: batch norm takes its batch's statistics, and
    `running` gets what its running ones become."""

    def __init__(self, state, training):
        self.state = {name: Var(v) for name, v in state.items()}
        self.training, self.running, self.steps = training, {}, []

    def backward(self):
        for step in reversed(self.steps):
            step()

    def conv(self, x, name, stride=1, padding=0, groups=1):
        """weight (out, in / groups, kernel height, kernel width), bias where the state has one"""
        weight, bias = self.state[name + ".weight"], self.state.get(name + ".bias")
        n, h, w, _ = x.value.shape
        out, per, kh, kw = weight.value.shape
        ho, wo = (h + 2 * padding - kh) // stride + 1, (w + 2 * padding - kw) // stride + 1
        padded = np.pad(x.value, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
        y = Var(np.zeros((n, ho, wo, out)) + (bias.value if bias else 0))

        def taps():
            for g in range(groups):
                i, o = slice(g * per, (g + 1) * per), slice(g * (out // groups), (g + 1) * (out // groups))
                for a in range(kh):
                    for b in range(kw):
                        rows = slice(a, a + stride * (ho - 1) + 1, stride)
                        columns = slice(b, b + stride * (wo - 1) + 1, stride)
                        yield (slice(None), rows, columns, i), o, a, b

        for at, o, a, b in taps():
            y.value[..., o] += padded[at] @ weight.value[o, :, a, b].T

        def backward():
            dx = np.zeros_like(padded)
            for at, o, a, b in taps():
                dy = y.grad[..., o]
                dx[at] += dy @ weight.value[o, :, a, b]
                weight.grad[o, :, a, b] += np.einsum("nhwo,nhwi->oi", dy, padded[at], optimize=True)
            if bias:
                bias.grad += y.grad.sum((0, 1, 2))
            x.grad += dx[:, padding:padding + h, padding:padding + w]

        self.steps.append(backward)
        return y

    def batch_norm(self, x, name, eps=1e-5, momentum=0.1):
        scale, shift = self.state[name + ".weight"], self.state[name + ".bias"]
        mean, var = self.state[name + ".running_mean"].value, self.state[name + ".running_var"].value
        if self.training:
            n = x.value[..., 0].size
            old_mean, old_var, mean, var = mean, var, x.value.mean((0, 1, 2)), x.value.var((0, 1, 2))
            self.running[name + ".running_mean"] = (1 - momentum) * old_mean + momentum * mean
            self.running[name + ".running_var"] = (1 - momentum) * old_var + momentum * var * n / (n - 1)
        deviation = np.sqrt(var + eps)
        unit = (x.value - mean) / deviation
        y = Var(unit * scale.value + shift.value)

        def backward():
            scale.grad += (y.grad * unit).sum((0, 1, 2))
            shift.grad += y.grad.sum((0, 1, 2))
            d = y.grad * scale.value
            if self.training:
                d = d - d.mean((0, 1, 2)) - unit * (d * unit).mean((0, 1, 2))
            x.grad += d / deviation

        self.steps.append(backward)
        return y

    def clamp(self, x, high=np.inf):
        """ReLU, or ReLU6 with high = 6"""
        y = Var(np.clip(x.value, 0, high))

        def backward():
            x.grad += y.grad * ((x.value > 0) & (x.value < high))

        self.steps.append(backward)
        return y

    def add(self, a, b):
        y = Var(a.value + b.value)

        def backward():
            a.grad += y.grad
            b.grad += y.grad

        self.steps.append(backward)
        return y

    def max_pool(self, x):
        """3×3, stride 2, padding 1; the first of equal values gets the gradient"""
        n, h, w, c = x.value.shape
        ho, wo = (h - 1) // 2 + 1, (w - 1) // 2 + 1
        edge = ((0, 0), (1, 1), (1, 1), (0, 0))
        padded = np.pad(x.value, edge, constant_values=-np.inf)
        at = [(slice(None), slice(a, a + 2 * ho - 1, 2), slice(b, b + 2 * wo - 1, 2)) for a in range(3) for b in range(3)]
        window = np.stack([padded[s] for s in at])
        first = window.argmax(0)
        y = Var(window.max(0))

        def backward():
            dx = np.zeros_like(padded)
            for k, s in enumerate(at):
                dx[s] += y.grad * (first == k)
            x.grad += dx[:, 1:1 + h, 1:1 + w]

        self.steps.append(backward)
        return y

    def double(self, x):
        """nearest ×2 up-sampling"""
        n, h, w, c = x.value.shape
        y = Var(x.value.repeat(2, 1).repeat(2, 2))

        def backward():
            x.grad += y.grad.reshape(n, h, 2, w, 2, c).sum((2, 4))

        self.steps.append(backward)
        return y

    def concat(self, a, b):
        y = Var(np.concatenate([a.value, b.value], 3))

        def backward():
            k = a.value.shape[3]
            a.grad += y.grad[..., :k]
            b.grad += y.grad[..., k:]

        self.steps.append(backward)
        return y
