# SPDX-License-Identifier: Apache-2.0
"""Is Pathline's trainer PyTorch's? Both train the recipe's network from one start on the same images in the same order, with
the same times, noise and dropped labels (docs/formats/random.md, computed here in NumPy). Losses and gradient norms are
printed step by step, then how far the weights and their average are apart, and the loss of both averages on the test images.

  python benchmarks/trainer_parity.py --recipe recipes/fashion-mnist/cfm-linear.toml --images DIR --store FILE.h5 --peers PEERS --work WORK
  ... --seeds 3 --steps 400    several whole runs: so what differs is the trainers, and not what they have drawn

--images is the directory of the published IDX files, --store the same as an image store. Ends with 1 where the first steps
differ by more than rounding (later ones may: Adam amplifies it), or, with several seeds, the mean held-out loss is above
PyTorch's by more than two of its standard errors.
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

ORDER, TIME, NOISE, LABEL_DROP, HOLD_OUT = 1, 3, 4, 5, 8  # purposes of core/random.h
FIRST, ROUNDING = 25, 1e-4  # steps in which losses agree to so much of themselves


# ---- keyed draws ----------------------------------------------------------------------------------------------------
def philox(c0, c1, c2, c3, seed):
    """Philox 4x32-10 of arrays of counters, all uint64."""
    k0, k1, low, half = seed, 0, np.uint64(0xFFFFFFFF), np.uint64(32)
    for _ in range(10):
        p, q = c2 * np.uint64(0xCD9E8D57), c0 * np.uint64(0xD2511F53)
        c0, c1, c2, c3 = (p >> half) ^ c1 ^ np.uint64(k0), p & low, (q >> half) ^ c3 ^ np.uint64(k1), q & low
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], -1)


def words(seed, position, purpose, count):
    """The first `count` 32-bit words for (seed, position, purpose)."""
    blocks = np.arange((count + 3) // 4, dtype=np.uint64)
    return philox(blocks, np.full_like(blocks, purpose), np.full_like(blocks, position), np.zeros_like(blocks), seed).ravel()[:count]


def uniform(seed, position, purpose):
    return float(int(words(seed, position, purpose, 1)[0]) >> 8) * 2.0 ** -24


def normals(seed, position, count):
    """Box-Muller pairs, `count` even."""
    pairs = words(seed, position, NOISE, count).astype(np.float64).reshape(-1, 2)
    radius, angle = np.sqrt(-2 * np.log((pairs[:, 0] + 0.5) * 2.0 ** -32)), 2 * np.pi * pairs[:, 1] * 2.0 ** -32
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1).ravel()


def shuffled(values, seed, purpose, count):
    """The bijection of [0, count) at index 0, of an array: a Feistel network over the next even number of bits, walked."""
    bits = 1
    while 4 ** bits < count:
        bits += 1
    mask, walking = np.uint64(2 ** bits - 1), np.ones(len(values), bool)
    values = values.astype(np.uint64)
    while walking.any():
        left, right = values[walking] >> np.uint64(bits), values[walking] & mask
        for turn in range(8):
            place = (np.uint64(turn) << np.uint64(31)) + right
            zeros = np.zeros_like(place)
            word = philox(place // np.uint64(4), np.full_like(place, purpose), zeros, zeros, seed)[np.arange(len(place)), place % np.uint64(4)]
            left, right = right, left ^ (word & mask)
        values[walking] = left << np.uint64(bits) | right
        walking = values >= count
    return values.astype(np.int64)


# ---- both sides -----------------------------------------------------------------------------------------------------
def train_ours(options, seed, decay, start):
    """(metrics by step, weights, their average)"""
    run = os.path.join(options.work, "run")
    shutil.rmtree(run, ignore_errors=True)
    sets = {"run.directory": run, "run.seed": seed, "data.path": json.dumps([options.store]), "data.validation": 0,
            "train.steps": options.steps, "model.init": start, "log.every_steps": 1, "sample.every_steps": 0}
    subprocess.run([options.pathline, "train", options.recipe] + [f"--set={k}={v}" for k, v in sets.items()],
                   check=True, stderr=subprocess.DEVNULL)
    weights = {}
    for kind in ("none", str(decay)):
        path = os.path.join(options.work, f"ours-{kind}.safetensors")
        subprocess.run([options.pathline, "checkpoint", "export", run, "--ema", kind, "-o", path], check=True, stdout=subprocess.DEVNULL)
        weights[kind] = quality.read_safetensors(path)
    with open(os.path.join(run, "metrics.jsonl")) as file:
        steps = [line for line in map(json.loads, file) if line["kind"] == "train"]
    return steps, weights["none"], weights[str(decay)]


def batch_of(seed, step, batch, images, labels, drop):
    """(x1, x0, t, labels) of a step, whose positions are step * batch ..."""
    positions = range(step * batch, (step + 1) * batch)
    if positions.stop > len(images):
        raise SystemExit("one epoch at most is compared")
    rows = shuffled(shuffled(np.array(positions), seed, ORDER, len(images)), seed, HOLD_OUT, len(images))
    x0 = torch.tensor(np.stack([normals(seed, p, images[0].numel()) for p in positions])).float().view(batch, *images.shape[1:])
    t = torch.tensor([uniform(seed, p, TIME) for p in positions])
    dropped = torch.tensor([uniform(seed, p, LABEL_DROP) for p in positions]) < drop
    return quality.to_unit(images[rows]), x0, t, torch.where(dropped, quality.CLASSES, labels[rows])


def train_theirs(network, recipe, steps, seed, decay, images, labels, ours):
    """Trains in place, printing some steps beside ours; (the average of the weights, the largest relative difference of the
    losses of the first steps)."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    average = [p.detach().clone() for p in parameters]
    optimizer, off = recipe["optimizer"], 0.0
    adamw = torch.optim.AdamW(parameters, betas=(optimizer.get("beta1", 0.9), optimizer.get("beta2", 0.999)),
                              eps=optimizer.get("epsilon", 1e-8), weight_decay=optimizer.get("weight_decay", 0.0))
    for step in range(steps):
        x1, x0, t, kinds = batch_of(seed, step, recipe["train"]["batch"], images, labels, recipe["flow"]["label_drop"])
        share = t[:, None, None, None]
        loss = F.mse_loss(network(share * x1 + (1 - share) * x0, t, kinds), x1 - x0)
        adamw.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(parameters, recipe["train"].get("clip", 1.0))
        adamw.param_groups[0]["lr"] = quality.learning_rate(step, optimizer, steps)
        adamw.step()
        with torch.no_grad():
            torch._foreach_lerp_(average, parameters, 1 - min(decay, (1 + step) / (10 + step)))
        if step < FIRST:
            off = max(off, abs(ours[step]["loss"] / loss.item() - 1))
        if step < FIRST or step % 25 == 24:
            print(f"seed {seed}, step {step + 1}: loss {ours[step]['loss']:.6f} and {loss.item():.6f}, gradient norm "
                  f"{ours[step]['gradient_norm']:.5f} and {norm.item():.5f}", flush=True)
    return average, off


def apart(ours, theirs, start):
    """Distance of two sets of weights over the distance moved."""
    off = sum(((ours[name] - value) ** 2).sum().item() for name, value in theirs.items())
    moved = sum(((value - start[name]) ** 2).sum().item() for name, value in theirs.items())
    return (off / moved) ** 0.5


def compare(options, recipe, seed, train, test):
    """{"steps": relative difference of first losses, "weights", "average": distances, "ours", "theirs": held-out losses}"""
    torch.manual_seed(seed)
    decay = recipe["ema"]["decays"][0]
    network = quality.build_network(recipe, options.peers, train[0].shape[-1]).eval()  # labels are dropped here, not inside
    start = {name: value.clone() for name, value in network.unet.state_dict().items()}
    path = os.path.join(options.work, "start.safetensors")
    quality.write_safetensors(path, start)
    steps, weights, average = train_ours(options, seed, decay, path)
    means, off = train_theirs(network, recipe, options.steps, seed, decay, *train, steps)
    trained = {name: p.detach() for name, p in network.unet.named_parameters() if p.requires_grad}
    found = {"steps": off, "weights": apart(weights, trained, start), "average": apart(average, dict(zip(trained, means)), start)}
    theirs = dict(start, **dict(zip(trained, means)))
    for who, tensors in (("ours", average), ("theirs", theirs)):
        network.unet.load_state_dict(tensors)
        found[who] = quality.held_out_loss(network, *test, seed=1)
    print(f"seed {seed}: losses of the first steps apart by {found['steps']:.1e}, weights by {found['weights']:.1e} and averages by "
          f"{found['average']:.1e} of the distance moved; held out {found['ours']:.5f} and {found['theirs']:.5f}", flush=True)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pathline", default="build/bin/pathline")
    parser.add_argument("--recipe", required=True)
    parser.add_argument("--images", required=True)
    parser.add_argument("--store", required=True)
    parser.add_argument("--peers", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--steps", type=int, default=FIRST)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    os.makedirs(options.work, exist_ok=True)
    recipe = quality.read_recipe(options.recipe)
    train, (images, labels) = quality.read_split(options.images, "train"), quality.read_split(options.images, "t10k")
    test = quality.to_unit(images), labels
    runs = [compare(options, recipe, options.first_seed + i, train, test) for i in range(options.seeds)]
    good = all(run["steps"] <= ROUNDING for run in runs)
    if len(runs) > 1:
        ours, theirs = (np.array([run[who] for run in runs]) for who in ("ours", "theirs"))
        bound = theirs.mean() + 2 * theirs.std(ddof=1) / np.sqrt(len(theirs))
        good = good and ours.mean() <= bound
        print(f"held out: {ours.mean():.5f} and {theirs.mean():.5f} (with two standard errors {bound:.5f}); of pairs apart by "
              f"{(ours - theirs).mean():.5f} on average, {np.abs(ours - theirs).max():.5f} at most")
    if options.json:
        with open(options.json, "w") as file:
            json.dump(runs, file, indent=1)
    sys.exit(not good)


if __name__ == "__main__":
    main()
