# SPDX-License-Identifier: Apache-2.0
"""Is a training step of Pathline a step of PyTorch? Both train the recipe's network from one start on one image with the
same times, noise and dropped labels (docs/formats/random.md, computed here in NumPy); losses and gradient norms are
printed step by step, then how far the weights and their average are apart. Ends with 1 where that is more than rounding.

  python benchmarks/trainer_parity.py --recipe recipes/fashion-mnist/cfm-linear.toml --images DIR --store FILE.h5 --peers PEERS --work WORK

--images is the directory of the published IDX files, --store the same as an image store; both take its first image.
Parameters whose gradient is 0 (biases before a normalisation over one channel) move by rounding alone and count for nothing.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import fashion_quality as quality  # noqa: E402

SEED, BATCH, DECAY = 5, 16, 0.9
TIME, NOISE, LABEL_DROP = 3, 4, 5  # purposes of core/random.h
APART = 0.005  # of the distance moved: steps of Adam amplify roundings where the second moment is small


# ---- keyed draws ----------------------------------------------------------------------------------------------------
def words(position, purpose, count):
    """The first `count` 32-bit words of Philox 4x32-10 for (SEED, position, purpose)."""
    blocks = np.arange((count + 3) // 4, dtype=np.uint64)
    c0, c1, c2, c3 = blocks, np.full_like(blocks, purpose), np.full_like(blocks, position), np.zeros_like(blocks)
    k0, k1, low, half = SEED, 0, np.uint64(0xFFFFFFFF), np.uint64(32)
    for _ in range(10):
        p, q = c2 * np.uint64(0xCD9E8D57), c0 * np.uint64(0xD2511F53)
        c0, c1, c2, c3 = (p >> half) ^ c1 ^ np.uint64(k0), p & low, (q >> half) ^ c3 ^ np.uint64(k1), q & low
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], 1).ravel()[:count]


def uniform(position, purpose):
    return float(int(words(position, purpose, 1)[0]) >> 8) * 2.0 ** -24


def normals(position, count):
    """Box-Muller pairs, `count` even."""
    pairs = words(position, NOISE, count).astype(np.float64).reshape(-1, 2)
    radius, angle = np.sqrt(-2 * np.log((pairs[:, 0] + 0.5) * 2.0 ** -32)), 2 * np.pi * pairs[:, 1] * 2.0 ** -32
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1).ravel()


# ---- both sides -----------------------------------------------------------------------------------------------------
def train_ours(options, start):
    """(metrics by step, weights, their average)"""
    run = os.path.join(options.work, "run")
    shutil.rmtree(run, ignore_errors=True)
    sets = {"run.directory": run, "run.seed": SEED, "data.path": json.dumps([options.store]), "data.validation": 0,
            "train.steps": options.steps, "train.batch": BATCH, "model.init": start, "ema.decays": f"[{DECAY}]",
            "optimizer.warmup_steps": options.warmup, "log.every_steps": 1, "sample.every_steps": 0}
    subprocess.run([options.pathline, "train", options.recipe, "--overfit", "1"] + [f"--set={k}={v}" for k, v in sets.items()],
                   check=True, stderr=subprocess.DEVNULL)
    weights = {}
    for kind in ("none", str(DECAY)):
        path = os.path.join(options.work, f"ours-{kind}.safetensors")
        subprocess.run([options.pathline, "checkpoint", "export", run, "--ema", kind, "-o", path], check=True, stdout=subprocess.DEVNULL)
        weights[kind] = quality.read_safetensors(path)
    with open(os.path.join(run, "metrics.jsonl")) as file:
        steps = [line for line in map(json.loads, file) if line["kind"] == "train"]
    return steps, weights["none"], weights[str(DECAY)]


def batch_of(step, image, label, drop):
    """(x1, x0, t, labels) of a step: positions step * BATCH ..., all of one image."""
    positions = range(step * BATCH, (step + 1) * BATCH)
    x0 = torch.tensor(np.stack([normals(p, image.numel()) for p in positions])).float().view(BATCH, *image.shape)
    t = torch.tensor([uniform(p, TIME) for p in positions])
    dropped = torch.tensor([uniform(p, LABEL_DROP) for p in positions]) < drop
    return image.expand(BATCH, *image.shape), x0, t, torch.where(dropped, quality.CLASSES, label)


def train_theirs(network, recipe, options, image, label, ours):
    """Trains in place, printing each step beside ours; the average of the weights."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    average = [p.detach().clone() for p in parameters]
    optimizer = dict(recipe["optimizer"], warmup_steps=options.warmup)
    adamw = torch.optim.AdamW(parameters, betas=(optimizer.get("beta1", 0.9), optimizer.get("beta2", 0.999)),
                              eps=optimizer.get("epsilon", 1e-8), weight_decay=optimizer.get("weight_decay", 0.0))
    for step in range(options.steps):
        x1, x0, t, labels = batch_of(step, image, label, recipe["flow"]["label_drop"])
        share = t[:, None, None, None]
        loss = F.mse_loss(network(share * x1 + (1 - share) * x0, t, labels), x1 - x0)
        adamw.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(parameters, recipe["train"].get("clip", 1.0))
        adamw.param_groups[0]["lr"] = quality.learning_rate(step, optimizer, options.steps)
        adamw.step()
        with torch.no_grad():
            torch._foreach_lerp_(average, parameters, 1 - min(DECAY, (1 + step) / (10 + step)))
        print(f"step {step + 1}: loss {ours[step]['loss']:.6f} and {loss.item():.6f}, gradient norm "
              f"{ours[step]['gradient_norm']:.5f} and {norm.item():.5f}")
    return average


def apart(ours, theirs, start):
    """Distance of two sets of weights over the distance moved."""
    off = sum(((ours[name] - value) ** 2).sum().item() for name, value in theirs.items())
    moved = sum(((value - start[name]) ** 2).sum().item() for name, value in theirs.items())
    return (off / moved) ** 0.5


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pathline", default="build/bin/pathline")
    parser.add_argument("--recipe", required=True)
    parser.add_argument("--images", required=True)
    parser.add_argument("--store", required=True)
    parser.add_argument("--peers", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--warmup", type=int, default=10)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    os.makedirs(options.work, exist_ok=True)
    recipe = quality.read_recipe(options.recipe)
    images, labels = quality.read_split(options.images, "train")
    network = quality.build_network(recipe, options.peers, images.shape[-1]).eval()  # labels are dropped here, not inside
    start = {name: value.clone() for name, value in network.unet.state_dict().items()}
    path = os.path.join(options.work, "start.safetensors")
    quality.write_safetensors(path, start)
    steps, weights, average = train_ours(options, path)
    means = train_theirs(network, recipe, options, quality.to_unit(images[0]), labels[0], steps)
    names = [name for name, p in network.unet.named_parameters() if p.requires_grad]
    off = {"weights": apart(weights, dict(zip(names, (p.detach() for p in network.unet.parameters() if p.requires_grad))), start),
           "average": apart(average, dict(zip(names, means)), start)}
    for name, share in off.items():
        print(f"{name}: apart by {share:.1e} of the distance moved")
    sys.exit(max(off.values()) > APART)


if __name__ == "__main__":
    main()
