#!/usr/bin/env python3
"""Files of weights as PyTorch, torchvision, segmentation_models.pytorch, safetensors and (if it is there) timm write them,
from random weights, and what is in them. For comparing only; nothing of the product needs this file.

usage: weights.py OUT [small]

OUT/values.npz: the tensors of dtypes*.pth under their names, an image x, and the last feature of every encoder saved
(out_NAME), channels last. small: only the files that are small. Ends with status 77 where a library is missing.
"""
import collections
import os
import sys

out, small = sys.argv[1], sys.argv[2:] == ["small"]
try:
    import numpy
    import torch

    if not small:
        import safetensors.torch
        import segmentation_models_pytorch as smp
        import torchvision
except ImportError as missing:
    print(missing)
    sys.exit(77)
torch.manual_seed(0)
values = {}


def save(what, name, **options):
    torch.save(what, f"{out}/{name}", **options)


def as_numpy(t):
    """what the project's dtypes make of a tensor"""
    t = t.detach()
    widened = {torch.bfloat16: torch.float32, torch.bool: torch.uint8, torch.int8: torch.int32, torch.int16: torch.int32,
               torch.uint16: torch.int32, torch.uint32: torch.int64}
    return t.to(widened.get(t.dtype, t.dtype)).contiguous().numpy()


# ---- tensors of all kinds ----

base = torch.randn(2, 3, 4)
kinds = {
    "plain": base, "transposed": base.permute(2, 0, 1), "row": base[1, 1:, 2], "expanded": base[:, :1].expand(2, 5, 4),
    "channels_last": torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last), "scalar": torch.tensor(-7),
    "none": torch.zeros(0, 3), "parameter": torch.nn.Parameter(torch.randn(2, 2)), "float64": base.double(),
    "float16": base.half(), "bfloat16": base.bfloat16(), "int32": torch.tensor([-5, 6], dtype=torch.int32),
    "int16": torch.tensor([-300, 2], dtype=torch.int16), "int8": torch.tensor([-128, 2], dtype=torch.int8),
    "uint8": torch.tensor([255, 0], dtype=torch.uint8), "bool": torch.tensor([True, False]),
    "uint16": torch.tensor([65535], dtype=torch.uint16), "uint32": torch.tensor([4294967295], dtype=torch.uint32),
}
for protocol in 2, 3, 4, 5:
    save(kinds, f"dtypes{protocol}.pth", pickle_protocol=protocol)
save(kinds, "dtypes_old.pth", _use_new_zipfile_serialization=False)
values.update({name: as_numpy(t) for name, t in kinds.items()})

# ---- checkpoints around weights ----

layer = torch.nn.Sequential(collections.OrderedDict(conv1=torch.nn.Conv2d(3, 2, 3), bn1=torch.nn.BatchNorm2d(2)))
state = layer.state_dict()
values["conv1.weight"] = as_numpy(state["conv1.weight"])
optimiser = torch.optim.Adam(layer.parameters())
layer(torch.randn(1, 3, 8, 8)).sum().backward()
optimiser.step()
state = {name: t.clone() for name, t in layer.state_dict().items()}
values["conv1.weight"] = as_numpy(state["conv1.weight"])
extra = {"epoch": 3, "best": 0.5, "who": "me", "big": 2**70, "set": {1, 2}, "size": torch.Size([2]), "none": None,
         "device": torch.device("cpu"), "lists": [1, (2, [True])], "bytes": b"ab"}
save(layer.state_dict(), "bare.pth")
save({"state_dict": layer.state_dict(), "optimizer": optimiser.state_dict(), **extra}, "state_dict.pth")
save({"model": {"module." + name: t for name, t in state.items()}, **extra}, "model.pt")
save({"model_state_dict": collections.OrderedDict(state), "optimizer_state_dict": optimiser.state_dict()}, "model_state_dict.pth")
save({"module." + name: t for name, t in state.items()}, "module.pth")
save({"state_dict": layer.state_dict(), "optimizer": optimiser.state_dict(), **extra}, "old.pth",
     _use_new_zipfile_serialization=False)
save({"conv1": {"weight": state["conv1.weight"]}, "lists": [torch.ones(1), torch.zeros(2)]}, "tree.pth")
save(state["conv1.weight"], "tensor.pt")

# ---- what is refused ----

save(layer, "whole.pth")
save({"c": torch.ones(2, dtype=torch.complex64)}, "complex.pth")
save({"s": torch.eye(3).to_sparse()}, "sparse.pth")


class Call:
    def __init__(self, *reduced):
        self.reduced = reduced

    def __reduce__(self):
        return self.reduced


for protocol in 2, 4:
    save({"w": torch.ones(1), "x": Call(os.system, ("false",))}, f"system{protocol}.pth", pickle_protocol=protocol)
    save({"w": torch.ones(1), "x": Call(eval, ("1",))}, f"eval{protocol}.pth", pickle_protocol=protocol)

# ---- networks ----

x = torch.randn(1, 3, 64, 64)
values["x"] = as_numpy(x.permute(0, 2, 3, 1))


def randomised(network):
    """running statistics that are not 0 and 1"""
    for name, t in network.state_dict().items():
        if name.endswith("running_mean"):
            t.uniform_(-0.1, 0.1)
        elif name.endswith("running_var"):
            t.uniform_(0.8, 1.2)
    return network.eval()


def keep(name, feature):
    values["out_" + name] = as_numpy(feature.permute(0, 2, 3, 1))


if not small:
    with torch.no_grad():
        net = randomised(torchvision.models.resnet18(weights=None))
        save(net.state_dict(), "resnet18.pth")
        save({name: t.half() if t.is_floating_point() else t for name, t in net.state_dict().items()}, "resnet18_half.pth")
        numpy.savez(f"{out}/resnet18.npz", **{name: t.numpy() for name, t in net.state_dict().items()})
        safetensors.torch.save_file(net.state_dict(), f"{out}/resnet18.safetensors")
        part = {name: t for name, t in net.state_dict().items() if not name.startswith("layer4.1.conv2")}
        save(part, "resnet18_part.pth")
        keep("resnet18", net.layer4(net.layer3(net.layer2(net.layer1(net.maxpool(net.relu(net.bn1(net.conv1(x)))))))))
        net = randomised(torchvision.models.mobilenet_v2(weights=None))
        save({"state_dict": net.state_dict()}, "mobilenet_v2.pth")
        keep("mobilenet_v2", net.features(x))
        unet = randomised(smp.Unet("resnet18", encoder_weights=None, decoder_channels=(8, 8, 8, 8, 8), classes=4))
        save(unet.state_dict(), "unet.pth")
        save({"state_dict": {"model." + name: t for name, t in unet.state_dict().items()}}, "unet.ckpt")
        save(unet.encoder.state_dict(), "unet_encoder.pth")
        keep("unet", unet.encoder(x)[-1])
        values["z_unet"] = as_numpy(unet(x).permute(0, 2, 3, 1))
        # Cadene's names are those of segmentation_models.pytorch's encoder, with a classifier
        net = randomised(smp.encoders.get_encoder("se_resnext50_32x4d", weights=None))
        save({**net.state_dict(), "last_linear.weight": torch.randn(10, 2048)}, "se_resnext50_32x4d.pth")
        keep("se_resnext50_32x4d", net(x)[-1])
        try:
            import timm
        except ImportError:
            timm = None
        for name in ("mobilenetv2_100", "seresnext50_32x4d") if timm else ():
            net = randomised(timm.create_model(name, pretrained=False))
            save(net.state_dict(), f"timm_{name}.pth")
            keep("timm_" + name, net.forward_features(x))

numpy.savez(f"{out}/values.npz", **values)
