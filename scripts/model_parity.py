#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proves that Pathline's networks are the originals: same names, same shapes, same numbers.

  python scripts/model_parity.py --program build/bin/pathline-model --originals DIR    compare, print relative differences
  python scripts/model_parity.py --originals DIR --golden tests/model/golden           write the unit tests' expectations

DIR holds checkouts of the original repositories: SiT (willisma), DiT (facebookresearch), conditional-flow-matching
(atong01), guided-diffusion (openai), LightningDiT (hustvl), sd3.5 (Stability-AI). Needs torch, numpy, timm and einops;
torchvision, fairscale and transformers, which they import, are stubbed where absent.
"""
import argparse
import importlib.util
import json
import os
import struct
import subprocess
import sys
import tempfile
import types

import numpy as np

os.environ["TORCHDYNAMO_DISABLE"] = "1"  # originals decorate forward passes with torch.compile
import torch  # noqa: E402


# ---------------------------------------------------------------- the originals
class StubFinder:
    """Lets the originals import what none of the classes used here needs: every attribute is an empty class."""

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torchvision", "fairscale", "transformers"):
            return importlib.util.spec_from_loader(name, self, is_package=True)

    def create_module(self, spec):
        class Meta(type):
            def __getattr__(cls, name):
                if name.startswith("__"):
                    raise AttributeError(name)
                return f"{cls.__name__}.{name}"

        class Module(types.ModuleType):
            __path__ = []

            def __getattr__(self, name):
                if name.startswith("__"):
                    raise AttributeError(name)
                setattr(self, name, Meta(name, (torch.nn.Module,), {}))
                return getattr(self, name)

        return Module(spec.name)

    def exec_module(self, module):
        pass


class Originals:
    def __init__(self, directory):
        self.directory = directory
        sys.meta_path.append(StubFinder())  # last: asked only for what is not installed

    def load(self, name, *path, package=None):
        file = os.path.join(self.directory, *path)
        if package and package not in sys.modules:  # without running the package's own __init__
            sys.modules[package] = types.ModuleType(package)
            sys.modules[package].__path__ = [os.path.dirname(file)]
        if name not in sys.modules:
            spec = importlib.util.spec_from_file_location(name, file)
            sys.modules[name] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(sys.modules[name])
        return sys.modules[name]

    def sit(self, **fields):
        return self.load("sit_models", "SiT", "models.py").SiT(**fields)

    def dit(self, **fields):
        return self.load("dit_models", "DiT", "models.py").DiT(**fields)

    def sit_with_qk_norm(self, **fields):
        """As REPA does: timm's own attention, asked for qk_norm with torch's LayerNorm."""
        net = self.sit(**fields)
        from timm.layers import Attention
        for block in net.blocks:
            block.attn = Attention(fields["hidden_size"], num_heads=fields["num_heads"], qkv_bias=True, qk_norm=True,
                                   norm_layer=torch.nn.LayerNorm)
        return net

    def lightning(self, **fields):
        return self.load("models.lightningdit", "LightningDiT", "models", "lightningdit.py", package="models").LightningDiT(
            **fields, use_swiglu=True, use_rope=True, use_rmsnorm=True)

    def torchcfm(self, **fields):
        module = self.load("cfm_unet.unet", "conditional-flow-matching", "torchcfm", "models", "unet", "unet.py",
                           package="cfm_unet")
        return module.UNetModelWrapper(**fields)

    def torchcfm_mlp(self, **fields):
        return self.load("cfm_models", "conditional-flow-matching", "torchcfm", "models", "models.py").MLP(**fields)

    def adm(self, **fields):
        module = self.load("adm.unet", "guided-diffusion", "guided_diffusion", "unet.py", package="adm")
        return module.UNetModel(**fields)

    def mm_dit(self, depth, table, width, pooled, **fields):
        """SD3's network; its table of places is a buffer that comes with the weights: here sines of places 0, 1 ..."""
        self.load("other_impls", "sd3.5", "other_impls.py")
        module = self.load("mmditx", "sd3.5", "mmditx.py")
        module.rearrange = lambda x, pattern, **sizes: (
            x.reshape(1, sizes["h"], sizes["w"], -1) if sizes else x.reshape(1, -1, x.shape[-1]))
        net = module.MMDiTX(
            input_size=None, depth=depth, pos_embed_max_size=table, num_patches=table * table, adm_in_channels=pooled,
            context_embedder_config=dict(target="torch.nn.Linear",
                                         params=dict(in_features=width, out_features=64 * depth)), **fields)
        net.pos_embed.copy_(torch.from_numpy(module.get_2d_sincos_pos_embed(64 * depth, table)).float()[None])
        for name, parameter in net.named_parameters():
            if ".ln_" in name:  # made empty
                torch.nn.init.ones_(parameter)
        return net


# ---------------------------------------------------------------- cases
def transformer_call(net, x, t, y):
    return net(x, t, y)


def torchcfm_call(net, x, t, y):
    return net(t, x, y) if net.num_classes is not None else net(t, x)


def adm_call(net, x, t, y):
    return net(x, t, y) if net.num_classes is not None else net(x, t)


def mlp_call(net, x, t, y):
    return net(torch.cat([x, t[:, None]], 1))


def text_call(net, x, t, text):
    return net(x, t, y=text["pooled"], context=text["text"])


def case(build, call, recipe, shape, labels=None, times="unit", rows=3, text=None):
    """`labels` as the network is asked for them (None: unconditional); `times`: unit (0..1) or index (0..999);
    `text`: (tokens, numbers of a token, numbers of the whole), in place of labels."""
    return dict(build=build, call=call, recipe=recipe, shape=shape, labels=labels, times=times, rows=rows, text=text)


def real_cases(o):
    cifar = dict(dim=(3, 32, 32), num_res_blocks=2, num_channels=128, channel_mult=[1, 2, 2, 2], num_heads=4,
                 num_head_channels=64, attention_resolutions="16", dropout=0.1)
    adm = dict(image_size=32, in_channels=3, model_channels=64, out_channels=6, num_res_blocks=2,
               attention_resolutions=(2, 4), channel_mult=(1, 2, 3), num_classes=10, num_head_channels=32,
               use_scale_shift_norm=True, resblock_updown=True, use_new_attention_order=True)
    small = dict(input_size=32, patch_size=4, in_channels=3, hidden_size=256, depth=6, num_heads=4, num_classes=10)
    return {
        "SiT-S/2, labels and null": case(
            lambda: o.sit(input_size=32, patch_size=2, in_channels=4, hidden_size=384, depth=12, num_heads=6,
                          num_classes=10, learn_sigma=True),
            transformer_call, dict(name="SiT-S/2", classes=10, learn_sigma=True), (4, 32, 32), [3, 10, 0]),
        "SiT small, labels and null": case(
            lambda: o.sit(**small, learn_sigma=False), transformer_call,
            dict(name="SiT", patch=4, hidden=256, depth=6, heads=4, classes=10), (3, 32, 32), [3, 10, 0]),
        "SiT small, qk_norm": case(
            lambda: o.sit_with_qk_norm(**small, learn_sigma=False), transformer_call,
            dict(name="SiT", patch=4, hidden=256, depth=6, heads=4, qk_norm=True, classes=10), (3, 32, 32), [3, 10, 0]),
        "LightningDiT small, labels and null": case(
            lambda: o.lightning(**small), transformer_call,
            dict(name="LightningDiT", patch=4, hidden=256, depth=6, heads=4, classes=10), (3, 32, 32), [3, 10, 0]),
        "LightningDiT small, qk_norm": case(
            lambda: o.lightning(**small, use_qknorm=True), transformer_call,
            dict(name="LightningDiT", patch=4, hidden=256, depth=6, heads=4, qk_norm=True, classes=10), (3, 32, 32),
            [3, 10, 0]),
        "DiT-S/4, learned sigma, t to 999": case(
            lambda: o.dit(input_size=32, patch_size=4, in_channels=4, hidden_size=384, depth=12, num_heads=6,
                          num_classes=10),
            transformer_call, dict(name="DiT-S/4", classes=10, learn_sigma=True), (4, 32, 32), [3, 10, 0], "index"),
        "torchcfm CIFAR U-Net": case(
            lambda: o.torchcfm(**cifar), torchcfm_call, dict(name="UNet-cifar10", classes=0), (3, 32, 32)),
        "torchcfm CIFAR U-Net, labels": case(
            lambda: o.torchcfm(**cifar, class_cond=True, num_classes=10), torchcfm_call,
            dict(name="UNet-cifar10", classes=10), (3, 32, 32), [3, 9, 0]),
        "CIFAR U-Net with a null row": case(
            lambda: o.torchcfm(**cifar, class_cond=True, num_classes=11), torchcfm_call,
            dict(name="UNet-flow-matching", classes=10), (3, 32, 32), [3, 10, 0]),
        "ADM, new order, updown, scale-shift": case(
            lambda: o.adm(**adm), adm_call,
            dict(name="UNet", channels=64, multipliers=[1, 2, 3], blocks=2, attention=[16, 8], head_channels=32,
                 scale_shift_norm=True, resblock_updown=True, attention_order="new", learn_sigma=True, classes=10,
                 null_row=False), (3, 32, 32), [3, 9, 0], "index"),
        "MM-DiT depth 4, normed queries and keys": case(
            lambda: o.mm_dit(depth=4, table=24, width=96, pooled=80, in_channels=16, qk_norm="rms"), text_call,
            dict(name="MMDiT", patch=2, hidden=256, depth=4, heads=4, qk_norm=True, text_width=96, text_pooled=80,
                 pos_embed_max_size=24), (16, 32, 32), times="index", text=(77, 96, 80)),
        "torchcfm MLP": case(
            lambda: o.torchcfm_mlp(dim=2, w=64, time_varying=True), mlp_call, dict(name="MLP", classes=0), (2,), rows=7),
    }


def golden_cases(o):
    """Tiny networks; tests/model/golden_test.cc has the same list."""
    adm = dict(image_size=8, in_channels=3, model_channels=32, out_channels=3, num_res_blocks=1,
               attention_resolutions=(2,), channel_mult=(1, 2))
    tiny = dict(input_size=8, in_channels=3, hidden_size=32, depth=2, num_heads=2, num_classes=4)
    text = dict(table=6, width=24, pooled=20, in_channels=3)
    return {
        "mm_dit": case(lambda: o.mm_dit(depth=2, **text), text_call, {}, (3, 8, 8), times="index", text=(5, 24, 20)),
        "mm_dit_qk_norm": case(lambda: o.mm_dit(depth=2, **text, qk_norm="rms"), text_call, {}, (3, 8, 8),
                               times="index", text=(5, 24, 20)),
        "sit": case(lambda: o.sit(**tiny, patch_size=2, learn_sigma=False), transformer_call, {}, (3, 8, 8), [1, 4, 0]),
        "sit_qk_norm": case(lambda: o.sit_with_qk_norm(**tiny, patch_size=2, learn_sigma=False), transformer_call, {},
                            (3, 8, 8), [1, 4, 0]),
        "lightning": case(lambda: o.lightning(**tiny, patch_size=2, use_qknorm=True), transformer_call, {}, (3, 8, 8),
                          [1, 4, 0]),
        "dit": case(lambda: o.dit(**tiny, patch_size=4), transformer_call, {}, (3, 8, 8), [1, 4, 0], "index"),
        "unet_legacy": case(
            lambda: o.adm(**adm, num_classes=4, num_heads=2), adm_call, {}, (3, 8, 8), [1, 3, 0]),
        "unet_new": case(
            lambda: o.adm(**dict(adm, out_channels=6), num_head_channels=16, use_scale_shift_norm=True,
                          resblock_updown=True, use_new_attention_order=True), adm_call, {}, (3, 8, 8), None, "index"),
        "unet_plain_resize": case(
            lambda: o.adm(**adm, num_classes=4, num_heads=2, conv_resample=False), adm_call, {}, (3, 8, 8), [1, 3, 0]),
        "mlp": case(lambda: o.torchcfm_mlp(dim=2, w=32, time_varying=True), mlp_call, {}, (2,)),
    }


def inputs_of(case, generator):
    n = case["rows"]
    x = torch.randn(n, *case["shape"], generator=generator)
    unit = torch.rand(n, generator=generator)
    t = unit if case["times"] == "unit" else (unit * 999).round()
    if case["text"]:
        tokens, width, pooled = case["text"]
        return x, t, dict(text=torch.randn(n, tokens, width, generator=generator),
                          pooled=torch.randn(n, pooled, generator=generator))
    return x, t, None if case["labels"] is None else torch.tensor(case["labels"])


def arrays_of(x, t, condition):
    if isinstance(condition, dict):
        return dict(x=x.numpy(), t=t.numpy(), **{name: tensor.numpy() for name, tensor in condition.items()})
    return dict(x=x.numpy(), t=t.numpy(), **({} if condition is None else {"y": condition.numpy()}))


# ---------------------------------------------------------------- files
def write_safetensors(path, tensors):
    header, offset = {}, 0
    for name, tensor in tensors.items():
        size = tensor.numel() * 4
        header[name] = dict(dtype="F32", shape=list(tensor.shape), data_offsets=[offset, offset + size])
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            file.write(tensor.detach().float().contiguous().numpy().tobytes())


def write_recipe(path, fields):
    with open(path, "w") as file:
        file.write("[model]\n")
        for key, value in fields.items():
            file.write(f"{key} = {json.dumps(value)}\n")


# ---------------------------------------------------------------- comparison
def randomise(net, generator):
    """Every parameter moves away from its initial value; those that start at zero would hide what lies behind them."""
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if parameter.requires_grad:
                parameter += 0.05 * torch.randn(parameter.shape, generator=generator)


def relative_difference(ours, theirs):
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def compare(program, name, case, directory):
    generator = torch.Generator().manual_seed(7)
    net = case["build"]().eval()
    randomise(net, generator)
    x, t, y = inputs_of(case, generator)
    with torch.no_grad():
        theirs = case["call"](net, x, t, y).numpy()
    paths = {key: os.path.join(directory, key) for key in ("recipe.toml", "w.safetensors", "in.npz", "out.npz")}
    write_recipe(paths["recipe.toml"], case["recipe"])
    write_safetensors(paths["w.safetensors"], net.state_dict())
    np.savez(paths["in.npz"], **arrays_of(x, t, y))
    subprocess.run([program, "eval", "--recipe", paths["recipe.toml"], "--weights", paths["w.safetensors"], "--inputs",
                    paths["in.npz"], "-o", paths["out.npz"], "--as-original"], check=True)
    ours = np.load(paths["out.npz"])["v"]
    if ours.shape != theirs.shape:
        print(f"{name}: shape {ours.shape} instead of {theirs.shape}")
        return False
    difference = relative_difference(ours, theirs)
    count = sum(p.numel() for p in net.parameters() if p.requires_grad)
    print(f"{name}: {count / 1e6:.2f} M parameters, largest difference {difference:.1e} of the largest output")
    return difference < 1e-5


# ---------------------------------------------------------------- expectations for the unit tests
def fnv1a(name):
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = ((value ^ byte) * 0x100000001B3) % 2**64
    return value


def formula_weights(name, shape):
    """The tests' weights: splitmix64 of (hash of the name + element number), as a uniform number in [-1/4, 1/4)."""
    count = int(np.prod(shape))
    with np.errstate(over="ignore"):
        z = np.uint64(fnv1a(name)) + np.arange(count, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    uniform = (z >> np.uint64(40)).astype(np.float64) * 2.0**-24
    return ((uniform - 0.5) * 0.5).astype(np.float32).reshape(shape)


def write_golden(directory, name, case):
    net = case["build"]().eval()
    with torch.no_grad():
        for key, parameter in net.named_parameters():
            if parameter.requires_grad:
                parameter.copy_(torch.from_numpy(formula_weights(key, tuple(parameter.shape))))
        x, t, y = inputs_of(case, torch.Generator().manual_seed(7))
        v = case["call"](net, x, t, y)
    labels = torch.zeros(len(x), dtype=torch.int64) if y is None else y
    np.savez(os.path.join(directory, name + ".npz"), **arrays_of(x, t, labels), v=v.numpy())
    if case["text"]:
        with open(os.path.join(directory, name + ".shapes"), "w") as file:
            for key, tensor in net.state_dict().items():
                file.write(" ".join([key, *map(str, tensor.shape)]) + "\n")
    print(f"{name}: output up to {float(v.abs().max()):.3g}")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--originals", required=True, help="directory with the original repositories' checkouts")
    arguments.add_argument("--program", default="build/bin/pathline-model")
    arguments.add_argument("--only", default="", help="cases whose name contains this")
    arguments.add_argument("--golden", help="write the unit tests' expectations into this directory")
    options = arguments.parse_args()
    originals = Originals(options.originals)
    if options.golden:
        for name, each in golden_cases(originals).items():
            if options.only in name:
                write_golden(options.golden, name, each)
        return 0
    results = []
    for name, each in real_cases(originals).items():
        if options.only in name:
            with tempfile.TemporaryDirectory() as directory:
                results.append(compare(options.program, name, each, directory))
    return 0 if results and all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
