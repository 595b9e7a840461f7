#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes a described set of a labelled one, to try training and sampling by text before there is a real encoder.

  OUT.h5            the same images and labels with /tokens: the bytes of each image's prompt, the name of its class
  OUT.prompts.h5    the prompts alone, one a class, for `pathline sample --text`
  OUT.encoder.ts    a stand-in for a text encoder: fixed random rows for bytes and places; it understands nothing, but
                    tells prompts apart

`pathline data encode --text OUT.encoder.ts` makes embeddings of both sets (docs/data.md). Wants numpy, h5py and torch.
"""
import argparse
import os

import h5py
import numpy as np
import torch
from torch import nn

NAMES = {"fashion-mnist": "t-shirt,trousers,pullover,dress,coat,sandal,shirt,sneaker,bag,ankle boot",
         "cifar10": "airplane,automobile,bird,cat,deer,dog,frog,horse,ship,truck"}


class Encoder(nn.Module):
    """ids (N, L) -> a row a token (N, L, width), the whole prompt (N, width)."""

    def __init__(self, length: int, width: int):
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.register_buffer("bytes", torch.randn(256, width, generator=generator))
        self.register_buffer("places", torch.randn(length, width, generator=generator))

    def forward(self, ids: torch.Tensor):
        rows = (self.bytes[ids] + self.places) / 1.5
        return rows, torch.tanh(rows * self.places).mean(1) * self.places.shape[0]**0.5


def tokens_of(prompts, length):
    """The bytes of each prompt, zeros behind: int32 (len(prompts), length)"""
    return np.stack([np.frombuffer(prompt.encode().ljust(length, b"\0"), np.uint8) for prompt in prompts]).astype("<i4")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", help="a labelled image store")
    parser.add_argument("--names", required=True, help=f"of the classes, with commas between, or one of: {', '.join(NAMES)}")
    parser.add_argument("--width", type=int, default=32, help="numbers a token")
    parser.add_argument("-o", "--output", required=True, metavar="OUT.h5")
    options = parser.parse_args()
    names = NAMES.get(options.names, options.names).split(",")
    length = max(len(name.encode()) for name in names)
    prompts, null = tokens_of(names, length), np.zeros(length, "<i4")
    stem = os.path.splitext(options.output)[0]
    with h5py.File(options.store) as store, h5py.File(options.output, "w") as out:
        labels = store["labels"][:]
        if labels.max() >= len(names):
            raise SystemExit(f"{options.store} has label {labels.max()}, but {len(names)} names are given")
        out.attrs.update({"format": "pathline-images", "version": 1})
        out["images"], out["labels"] = store["images"][:], labels
        out["tokens"], out["null_tokens"] = prompts[labels], null
    with h5py.File(f"{stem}.prompts.h5", "w") as out:
        out["tokens"], out["null_tokens"] = prompts, null
    torch.jit.script(Encoder(length, options.width).eval()).save(f"{stem}.encoder.ts")


if __name__ == "__main__":
    main()
