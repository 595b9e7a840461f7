#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turns a pickled checkpoint (.pt, .pth, .pkl) of DiT, SiT, torchcfm or guided-diffusion into safetensors.

  python scripts/convert_weights.py SiT-XL-2-256x256.pt -o sit-xl-2.safetensors
  python scripts/convert_weights.py checkpoint.pt --key ema -o ema.safetensors

A pickle can run any code when it is loaded, so only tensors, numbers, text and plain containers are let through; an
argparse.Namespace, which DiT and SiT store beside the weights, is kept as an empty shell. Names stay as they are, but for
a leading "module." of DataParallel. Needs torch only.
"""
import argparse
import collections
import json
import pickle
import struct
import sys

import torch

TYPES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}
KEYS = ("ema", "ema_model", "model", "net_model", "state_dict")  # where the known trainers keep their weights


class Opaque:
    """Stands for an object whose contents are not wanted."""

    def __init__(self, *args, **kwargs):
        pass

    def __setstate__(self, state):
        pass


ALLOWED = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("argparse", "Namespace"): Opaque,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
    ("torch", "Size"): torch.Size,
}
STORAGES = ("FloatStorage", "HalfStorage", "BFloat16Storage", "DoubleStorage", "LongStorage", "IntStorage", "ByteStorage",
            "BoolStorage")


class RestrictedUnpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) in ALLOWED:
            return ALLOWED[module, name]
        if module == "torch" and name in STORAGES:
            return getattr(torch, name)
        raise pickle.UnpicklingError(f"{module}.{name} is not a tensor or plain container")


class restricted_pickle:
    """What torch.load wants as its pickle_module."""

    Unpickler = RestrictedUnpickler
    UnpicklingError = pickle.UnpicklingError

    @staticmethod
    def load(file, **options):
        return RestrictedUnpickler(file, **options).load()


def is_state(value):
    return isinstance(value, dict) and any(isinstance(tensor, torch.Tensor) for tensor in value.values())


def choose(checkpoint, key):
    """The state dict to convert, and where it lay."""
    if not isinstance(checkpoint, dict):
        raise SystemExit(f"error: the file holds a {type(checkpoint).__name__}, not a dictionary of tensors.")
    if key:
        if not is_state(checkpoint.get(key)):
            found = ", ".join(str(name) for name in checkpoint if is_state(checkpoint[name])) or "none"
            raise SystemExit(f"error: no tensors under --key {key}. Keys with tensors: {found}.")
        return checkpoint[key], key
    for name in KEYS:
        if is_state(checkpoint.get(name)):
            return checkpoint[name], name
    if is_state(checkpoint):
        return checkpoint, "the file itself"
    raise SystemExit(f"error: no weights found; the file has {', '.join(map(str, checkpoint))}. Name one with --key.")


def converted(state):
    """Contiguous tensors of a type that safetensors' readers know, under clean names."""
    tensors = {}
    for name, value in state.items():
        if not isinstance(value, torch.Tensor):
            continue
        value = value.detach().contiguous()
        if value.dtype not in TYPES:
            value = value.float()
        tensors[name.removeprefix("module.")] = value
    return tensors


def write_safetensors(path, tensors):
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, tensor in tensors.items():
        size = tensor.numel() * tensor.element_size()
        header[name] = dict(dtype=TYPES[tensor.dtype], shape=list(tensor.shape), data_offsets=[offset, offset + size])
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            file.write(bytes(tensor.reshape(-1).view(torch.uint8).numpy()))


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("checkpoint")
    arguments.add_argument("-o", "--output", required=True, help="FILE.safetensors")
    arguments.add_argument("--key", help="ema, model ...: which weights of the checkpoint; default: the first of "
                           + ", ".join(KEYS))
    options = arguments.parse_args()
    try:
        checkpoint = torch.load(options.checkpoint, map_location="cpu", weights_only=False,
                                pickle_module=restricted_pickle)
    except (pickle.UnpicklingError, OSError) as error:
        raise SystemExit(f"error: {options.checkpoint} cannot be read: {error}. Nothing of it was run.")
    state, place = choose(checkpoint, options.key)
    tensors = converted(state)
    write_safetensors(options.output, tensors)
    count = sum(tensor.numel() for tensor in tensors.values())
    print(f"{options.output}: {len(tensors)} tensors, {count / 1e6:.2f} M numbers, from {place}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
