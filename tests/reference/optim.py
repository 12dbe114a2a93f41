#!/usr/bin/env python3
"""What PyTorch's optimisers, clipping and schedules do, for tests/optim_spec.lua, in double precision.

usage: optim.py OUT

Writes OUT/optim.npz: start (N), gradients (STEPS x N); for every optimiser NAME the parameter after each step (STEPS x
N); norms and clipped gradients; for every schedule the rates (STEPS + 1). For comparing only; nothing of the product
needs this file.
"""
import sys

import numpy
import torch
from torch.optim import lr_scheduler

N, STEPS = 12, 15
torch.manual_seed(1)
start = torch.randn(N, dtype=torch.float64)
gradients = torch.randn(STEPS, N, dtype=torch.float64)
arrays = {"start": start.numpy(), "gradients": gradients.numpy()}

OPTIMISERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
    "decay": lambda p: torch.optim.SGD(p, lr=0.1, weight_decay=0.2),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.2),
    "nesterov": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.8, weight_decay=0.1, nesterov=True),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.1, betas=(0.8, 0.99), eps=1e-6, weight_decay=0.2),
}
for name, make in OPTIMISERS.items():
    p = start.clone().requires_grad_()
    optimiser, rows = make([p]), []
    for g in gradients:
        p.grad = g.clone()
        optimiser.step()
        rows.append(p.detach().numpy().copy())
    arrays[name] = numpy.stack(rows)

norms, clipped, limited = [], [], []
for g in gradients:
    a, b = g[:5].clone().requires_grad_(), g[5:].clone().requires_grad_()
    a.grad, b.grad = g[:5].clone(), g[5:].clone()
    norms.append(float(torch.nn.utils.clip_grad_norm_([a, b], 3.0)))
    clipped.append(torch.cat([a.grad, b.grad]).numpy())
    a.grad, b.grad = g[:5].clone(), g[5:].clone()
    torch.nn.utils.clip_grad_value_([a, b], 0.5)
    limited.append(torch.cat([a.grad, b.grad]).numpy())
arrays.update(norms=numpy.array(norms), clipped=numpy.stack(clipped), limited=numpy.stack(limited))

SCHEDULES = {
    "step": lambda o: lr_scheduler.StepLR(o, step_size=4, gamma=0.3),
    "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=STEPS, eta_min=0.05),
    "warmup": lambda o: lr_scheduler.LinearLR(o, start_factor=1 / 6, total_iters=5),
    "both": lambda o: lr_scheduler.ChainedScheduler([
        lr_scheduler.LinearLR(o, start_factor=1 / 6, total_iters=5), lr_scheduler.StepLR(o, step_size=4, gamma=0.3)]),
}
for name, make in SCHEDULES.items():
    optimiser = torch.optim.SGD([start.clone().requires_grad_()], lr=0.5)
    schedule, rates = make(optimiser), [optimiser.param_groups[0]["lr"]]
    for _ in range(STEPS):
        optimiser.step()
        schedule.step()
        rates.append(optimiser.param_groups[0]["lr"])
    arrays["rate_" + name] = numpy.array(rates)

optimiser = torch.optim.SGD([start.clone().requires_grad_()], lr=0.5)
plateau, rates = lr_scheduler.ReduceLROnPlateau(optimiser, factor=0.5, patience=1, threshold=0), []
values = [3, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1]
for value in values:  # its patience is the epochs it ignores; it lowers the rate after one more
    plateau.step(value)
    rates.append(optimiser.param_groups[0]["lr"])
arrays.update(values=numpy.array(values, dtype=float), rate_plateau=numpy.array(rates))
numpy.savez(sys.argv[1] + "/optim.npz", **arrays)
