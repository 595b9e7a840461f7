# SPDX-License-Identifier: Apache-2.0
"""Quality of generated Fashion-MNIST images beside a PyTorch reference of the same network, recipe and solver.

  classifier  trains a small CNN on the real images: the judge, and its features the space of the distances
  reference   trains the recipe's network in PyTorch (willisma/SiT or the U-Net of torchcfm, --peers) and samples it
  heldout     the loss of both on the 10,000 test images at the same times and noise, over several seeds of training
  compare     trains both with each of several seeds, then `heldout`; from the repository's root, where recipes find data
  score       class agreement, Frechet distance and per-class variance of sample files (.npz: arr_0 uint8 NHWC,
              arr_1 int64), whoever made them

--images is a directory with the four published IDX files; --work keeps the judge and the reference.
"""
import argparse
import gzip
import json
import os
import struct
import subprocess
import sys
import time
import tomllib

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from peers import common  # noqa: E402

CLASSES = 10


# ---- images ---------------------------------------------------------------------------------------------------------
def read_idx(path):
    """The array of an IDX file of unsigned bytes; the format is on the page of the MNIST database."""
    with gzip.open(path) as file:
        content = file.read()
    if content[:3] != b"\x00\x00\x08":
        raise SystemExit(f"{path} is not an IDX file of unsigned bytes")
    shape = np.frombuffer(content, ">i4", content[3], 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * content[3]).reshape(shape).copy()


def read_split(directory, split):
    """(images uint8 (N, 1, 28, 28), labels int64 (N))"""
    images = read_idx(os.path.join(directory, f"{split}-images-idx3-ubyte.gz"))
    labels = read_idx(os.path.join(directory, f"{split}-labels-idx1-ubyte.gz"))
    return torch.from_numpy(images)[:, None], torch.from_numpy(labels.astype(np.int64))


def to_unit(images):
    """uint8 to [-1, 1]"""
    return images.float() / 127.5 - 1


def to_bytes(x):
    """[-1, 1] to uint8, the rule of docs/formats"""
    return ((x + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


# ---- the judge ------------------------------------------------------------------------------------------------------
class Judge(nn.Module):
    """x (N, 1, 28, 28) -> logits (N, 10); features (N, 128) are what enters the last layer."""

    def __init__(self):
        super().__init__()

        def conv(c_in, c_out):
            return [nn.Conv2d(c_in, c_out, 3, padding=1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU()]
        self.body = nn.Sequential(*conv(1, 24), nn.MaxPool2d(2), *conv(24, 48), nn.MaxPool2d(2), *conv(48, 96),
                                  nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.2), nn.Linear(96 * 9, 128), nn.ReLU())
        self.head = nn.Linear(128, CLASSES)

    def forward(self, x):
        return self.head(self.body(x))


def shifted(x, most):
    """Every image of x moved by up to `most` pixels, edges filled with the background."""
    size = x.shape[-1]
    padded = F.pad(x, (most,) * 4, value=-1.0)
    dy, dx = torch.randint(0, 2 * most + 1, (2, len(x)))
    rows, columns = dy[:, None] + torch.arange(size), dx[:, None] + torch.arange(size)
    return padded[torch.arange(len(x))[:, None, None], 0, rows[:, :, None], columns[:, None, :]][:, None]


@torch.inference_mode()
def judged(judge, images):
    """(features float64 (N, 128), predicted class (N)) of uint8 images (N, 1, 28, 28)"""
    judge.eval()
    features = torch.cat([judge.body(to_unit(part)) for part in images.split(500)])
    return features.double().numpy(), judge.head(features).argmax(1)


def train_judge(images, labels, epochs, batch=100):
    judge = Judge().train()
    steps = epochs * (len(images) // batch)
    optimizer = torch.optim.AdamW(judge.parameters(), lr=3e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps, pct_start=0.2)
    started = time.time()
    for epoch in range(epochs):
        for rows in torch.randperm(len(images)).split(batch):
            loss = F.cross_entropy(judge(shifted(to_unit(images[rows]), 1)), labels[rows], label_smoothing=0.05)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
        print(f"epoch {epoch + 1}/{epochs}: loss {loss.item():.3f}, {time.time() - started:.0f} s", file=sys.stderr)
    return judge


def classifier(options):
    torch.manual_seed(options.seed)
    judge = train_judge(*read_split(options.images, "train"), options.epochs)
    images, labels = read_split(options.images, "t10k")
    accuracy = (judged(judge, images)[1] == labels).float().mean().item()
    os.makedirs(options.work, exist_ok=True)
    torch.save(judge.state_dict(), os.path.join(options.work, "judge.pt"))
    print(f"judge: accuracy on the 10,000 real test images {accuracy:.4f}")


def load_judge(work):
    path = os.path.join(work, "judge.pt")
    if not os.path.exists(path):
        raise SystemExit(f"{path} is missing: run the sub-command classifier with the same --work first")
    judge = Judge()
    judge.load_state_dict(torch.load(path))
    return judge


# ---- scores ---------------------------------------------------------------------------------------------------------
def moments(features):
    return features.mean(0), np.cov(features, rowvar=False)


def root(matrix):
    """The symmetric root of a positive semi-definite matrix; rounding may have left tiny negative eigenvalues."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(values.clip(min=0))) @ vectors.T


def frechet(a, b):
    """|mean_a - mean_b|^2 + tr(A + B - 2 (A^1/2 B A^1/2)^1/2), Dowson & Landau 1982, in float64."""
    (mean_a, cov_a), (mean_b, cov_b) = a, b
    half = root(cov_a)
    cross = np.sqrt(np.linalg.eigvalsh(half @ cov_b @ half).clip(min=0)).sum()
    return float(((mean_a - mean_b) ** 2).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * cross)


def class_variances(features, labels):
    """trace of the features' covariance within each class"""
    return np.array([features[labels == c].var(axis=0, ddof=1).sum() for c in range(CLASSES)])


def read_samples(path):
    """(images uint8 (N, 1, 28, 28), labels int64 (N)); a frame around 28 x 28 is cut away."""
    with np.load(path) as file:
        images, labels = file["arr_0"], file["arr_1"]
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 1 or len(labels) != len(images):
        raise SystemExit(f"{path}: expected arr_0 uint8 (N, H, W, 1) and arr_1 (N), found {images.shape} and "
                         f"{labels.shape}")
    frame = (images.shape[1] - 28) // 2
    images = images[:, frame:frame + 28, frame:frame + 28]
    return torch.from_numpy(images.transpose(0, 3, 1, 2).copy()), torch.from_numpy(labels.astype(np.int64))


def score_set(judge, images, labels, real):
    features, predicted = judged(judge, images)
    right = (predicted == labels).numpy()
    variances = class_variances(features, labels.numpy()) / real["variances"]
    return {"count": len(images), "agreement": float(right.mean()),
            "agreement_by_class": [float(right[labels.numpy() == c].mean()) for c in range(CLASSES)],
            "frechet": frechet(moments(features), real["moments"]), "variance_ratio": [float(v) for v in variances]}


def score(options):
    judge = load_judge(options.work)
    images, labels = read_split(options.images, "train")
    features = judged(judge, images)[0]
    real = {"moments": moments(features), "variances": class_variances(features, labels.numpy())}
    sets = {"real test images": score_set(judge, *read_split(options.images, "t10k"), real)}
    for path in options.samples:
        sets[path] = score_set(judge, *read_samples(path), real)
    if options.reference:
        sets[options.reference] = score_set(judge, *read_samples(options.reference), real)
    for name, s in sets.items():
        ratios = s["variance_ratio"]
        print(f"{name}: {s['count']} images, seen as the class asked for {100 * s['agreement']:.1f} % "
              f"(lowest class {100 * min(s['agreement_by_class']):.1f} %), Frechet distance to the training images "
              f"{s['frechet']:.3f}, variance over the real one's {min(ratios):.2f} to {max(ratios):.2f}")
        if options.reference:
            s["frechet_over_reference"] = s["frechet"] / sets[options.reference]["frechet"]
            print(f"    Frechet distance over the reference's: {s['frechet_over_reference']:.3f}")
        print("    variance by class: " + " ".join(f"{v:.2f}" for v in ratios))
    if options.json:
        common.write_json(options.json, sets)


# ---- the reference --------------------------------------------------------------------------------------------------
SUPPORTED = {  # what the recipe may say without the reference becoming another computation
    ("flow", "path"): "linear", ("flow", "time"): "uniform", ("flow", "objective"): "flow",
    ("flow", "predict"): "velocity", ("flow", "coupling"): "independent", ("train", "precision"): "fp32",
    ("optimizer", "name"): "adamw", ("data", "flip"): False, ("ema", "warmup"): "ratio"}


def read_recipe(path):
    with open(path, "rb") as file:
        recipe = tomllib.load(file)
    for (section, key), value in SUPPORTED.items():
        if recipe.get(section, {}).get(key, value) != value:
            raise SystemExit(f"{path}: the reference knows {section}.{key} = {value!r} only")
    return recipe


def build_network(recipe, peers, size):
    model = recipe["model"]
    if model["name"] == "UNet":
        return ConditionalUnet(model, peers, size, recipe["flow"]["label_drop"])
    if model["name"] not in ("SiT", "DiT"):  # one network
        raise SystemExit(f"the reference knows model.name SiT, DiT or UNet with fields, not {model['name']}")
    return common.sit(peers).SiT(
        input_size=size, patch_size=model["patch"], in_channels=1, hidden_size=model["hidden"], depth=model["depth"],
        num_heads=model["heads"], mlp_ratio=model.get("mlp_ratio", 4.0), num_classes=CLASSES, learn_sigma=False,
        class_dropout_prob=recipe["flow"]["label_drop"])


class ConditionalUnet(nn.Module):
    """torchcfm's U-Net called as SiT's network is: with a row of zeros for the null label, labels dropped inside."""

    def __init__(self, model, peers, size, label_drop):
        super().__init__()
        self.label_drop = label_drop
        self.unet = common.torchcfm_unet(peers).UNetModelWrapper(
            dim=(1, size, size), num_channels=model["channels"], channel_mult=model["multipliers"],
            num_res_blocks=model["blocks"], attention_resolutions=",".join(map(str, model["attention"])),
            num_heads=model.get("heads", 6), num_head_channels=model.get("head_channels", 64) or -1,
            dropout=model.get("dropout", 0.0), num_classes=CLASSES + 1, class_cond=True)
        self.unet.label_emb = nn.Embedding(CLASSES + 1, 4 * model["channels"], padding_idx=CLASSES)

    def forward(self, x, t, labels):
        if self.training:
            labels = torch.where(torch.rand(len(labels)) < self.label_drop, CLASSES, labels)
        return self.unet(t, x, labels)


def learning_rate(step, optimizer, steps):
    """Rate of optimizer step 0, 1, ...: linear warm-up, then constant or a half cosine to 0."""
    warmup = optimizer.get("warmup_steps", 0)
    if step < warmup:
        return optimizer["lr"] * (step + 1) / warmup
    schedule = optimizer.get("schedule", "constant")
    if schedule == "constant":
        return optimizer["lr"]
    if schedule != "cosine":
        raise SystemExit(f"the reference knows optimizer.schedule constant and cosine, not {schedule}")
    horizon = optimizer.get("schedule_steps", steps)
    done = min(1.0, (step - warmup) / max(1, horizon - warmup))
    return optimizer["lr"] * 0.5 * (1 + np.cos(np.pi * done))


def epochs_of(count, batch):
    """Rows of batches without end; every epoch visits every row once, batches straddle epochs."""
    rows = torch.empty(0, dtype=torch.long)
    while True:
        while len(rows) < batch:
            rows = torch.cat([rows, torch.randperm(count)])
        yield rows[:batch]
        rows = rows[batch:]


def flow_loss(network, x1, labels):
    """Mean of (v - (x1 - x0))^2 at x_t = t x1 + (1 - t) x0; the network drops labels itself."""
    x0, t = torch.randn_like(x1), torch.rand(len(x1))
    share = t[:, None, None, None]
    return F.mse_loss(network(share * x1 + (1 - share) * x0, t, labels), x1 - x0)


def train_reference(network, recipe, images, labels, steps):
    """Trains in place; returns the state of the moving average of the recipe's first decay."""
    optimizer = recipe["optimizer"]
    parameters = [p for p in network.parameters() if p.requires_grad]
    average = [p.detach().clone() for p in parameters]
    betas = (optimizer.get("beta1", 0.9), optimizer.get("beta2", 0.999))
    adamw = torch.optim.AdamW(parameters, betas=betas, eps=optimizer.get("epsilon", 1e-8), fused=True,
                              weight_decay=optimizer.get("weight_decay", 0.0))
    rows, started, shown = epochs_of(len(images), recipe["train"]["batch"]), time.time(), []
    network.train()
    for step in range(steps):
        batch = next(rows)
        loss = flow_loss(network, to_unit(images[batch]), labels[batch])
        adamw.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, recipe["train"].get("clip", 1.0))
        adamw.param_groups[0]["lr"] = learning_rate(step, optimizer, steps)
        adamw.step()
        decay = min(recipe["ema"]["decays"][0], (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(average, parameters, 1 - decay)
        shown.append(loss.item())
        if (step + 1) % 100 == 0 or step + 1 == steps:
            print(f"step {step + 1}/{steps}: loss {np.mean(shown):.4f}, {time.time() - started:.0f} s",
                  file=sys.stderr)
            shown = []
    with torch.no_grad():
        for parameter, mean in zip(parameters, average):
            parameter.copy_(mean)
    return network.eval()


def guided(network, x, t, labels, guidance):
    """v_null + W (v_cond - v_null); W = 1 costs one evaluation."""
    time_of_each = torch.full((len(x),), t)
    if guidance == 1:
        return network(x, time_of_each, labels)
    null = torch.full_like(labels, CLASSES)
    both = network(torch.cat([x, x]), time_of_each.repeat(2), torch.cat([labels, null]))
    conditional, unconditional = both.chunk(2)
    return unconditional + guidance * (conditional - unconditional)


@torch.inference_mode()
def sample(network, count, shape, solver, steps, guidance, batch=100):
    """(uint8 (count, H, W, 1), labels): classes in turn, fixed steps from t = 0 (noise) to 1."""
    labels, parts = torch.arange(count) % CLASSES, []
    for y in labels.split(batch):
        x, dt = torch.randn(len(y), *shape), 1 / steps
        for i in range(steps):
            slope = guided(network, x, i * dt, y, guidance)
            if solver == "heun":
                slope = (slope + guided(network, x + dt * slope, (i + 1) * dt, y, guidance)) / 2
            x = x + dt * slope
        parts.append(to_bytes(x))
    return torch.cat(parts).permute(0, 2, 3, 1).numpy(), labels.numpy()


def trained_network(options):
    """The network of --recipe in evaluation mode, averaged weights: trained, or with --trained as left in --work."""
    recipe = read_recipe(options.recipe)
    images, labels = read_split(options.images, "train")
    network = build_network(recipe, options.peers, images.shape[-1])
    path = os.path.join(options.work, f"{options.name}.pt")
    if options.trained:
        network.load_state_dict(torch.load(path))
        return network.eval()
    rows = torch.randperm(len(images))[:round(len(images) * (1 - recipe["data"].get("validation", 0)))]
    steps, started = options.steps or recipe["train"]["steps"], time.time()
    train_reference(network, recipe, images[rows], labels[rows], steps)
    print(f"reference: {steps} steps of {recipe['train']['batch']} in {time.time() - started:.0f} s")
    os.makedirs(options.work, exist_ok=True)
    torch.save(network.state_dict(), path)
    return network


def reference(options):
    torch.manual_seed(options.seed)
    network = trained_network(options)
    for guidance, count in ((1.0, options.count), (2.0, options.guided_count)):
        if count == 0:
            continue
        path = os.path.join(options.work, f"{options.name}-guidance{guidance:.0f}.npz")
        started = time.time()
        made = sample(network, count, (1, 28, 28), options.solver, options.solver_steps, guidance)
        np.savez(path, *made)
        print(f"{path}: {count} samples in {time.time() - started:.0f} s", flush=True)


# ---- held-out losses ------------------------------------------------------------------------------------------------
def read_safetensors(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        begin, tensors = file.tell(), {}
        for name, entry in header.items():
            if name != "__metadata__":
                first, last = entry["data_offsets"]
                file.seek(begin + first)
                tensors[name] = torch.from_numpy(np.frombuffer(file.read(last - first), "<f4").reshape(entry["shape"]).copy())
    return tensors


def write_safetensors(path, tensors):
    header, offset = {}, 0
    for name, tensor in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [offset, offset + 4 * tensor.numel()]}
        offset += 4 * tensor.numel()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            file.write(tensor.contiguous().numpy().astype("<f4").tobytes())


@torch.inference_mode()
def held_out_loss(network, x1, labels, seed, batch=250):
    """Mean over the images of |v - (x1 - x0)|^2 per pixel, each image at one time of an even grid."""
    generator = torch.Generator().manual_seed(seed)
    x0 = torch.randn(x1.shape, generator=generator)
    t = (torch.randperm(len(x1), generator=generator) + 0.5) / len(x1)
    share, total = t[:, None, None, None], 0.0
    for rows in torch.arange(len(x1)).split(batch):
        x = share[rows] * x1[rows] + (1 - share[rows]) * x0[rows]
        total += F.mse_loss(network(x, t[rows], labels[rows]), x1[rows] - x0[rows]).item() * len(rows)
    return total / len(x1)


def heldout(options):
    images, labels = read_split(options.images, "t10k")
    network = build_network(read_recipe(options.recipe), options.peers, images.shape[-1]).eval()
    losses = {"ours": [], "reference": []}
    for who, paths in (("ours", options.ours), ("reference", options.reference)):
        for path in paths:
            weights = read_safetensors(path) if path.endswith(".safetensors") else torch.load(path)
            (network.unet if who == "ours" else network).load_state_dict(weights)
            losses[who].append(held_out_loss(network, to_unit(images), labels, options.seed))
            print(f"{path}: {losses[who][-1]:.5f}", flush=True)
    ours, reference = (np.array(losses[who]) for who in losses)
    bound = reference.mean() + 2 * reference.std(ddof=1) / np.sqrt(len(reference))
    print(f"ours {ours.mean():.5f}, reference {reference.mean():.5f} (with two standard errors {bound:.5f}): "
          f"{'not above' if ours.mean() <= bound else 'above'}")
    if options.json:
        common.write_json(options.json, losses)


def compare(options):
    decay = read_recipe(options.recipe)["ema"]["decays"][0]
    options.ours, options.reference = [], []
    for seed in range(1, options.seeds + 1):
        run = os.path.join(options.work, f"ours-{seed}")
        sets = {"train.steps": options.steps, "run.seed": seed, "run.directory": run}
        subprocess.run([options.pathline, "train", options.recipe] + [f"--set={key}={value}" for key, value in sets.items()], check=True)
        subprocess.run([options.pathline, "checkpoint", "export", run, "--ema", str(decay), "-o", run + ".safetensors"], check=True)
        torch.manual_seed(seed)
        options.name = f"reference-{seed}"
        trained_network(options)
        options.ours.append(run + ".safetensors")
        options.reference.append(os.path.join(options.work, options.name + ".pt"))
    heldout(options)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)

    def command(function, text):
        sub = commands.add_parser(function.__name__, help=text)
        sub.set_defaults(run=function)
        sub.add_argument("--images", required=True, help="directory of the four published .gz files")
        sub.add_argument("--work", required=True, help="directory of the judge and of the reference")
        sub.add_argument("--threads", type=int, default=1)
        return sub

    sub = command(classifier, "train the judge")
    sub.add_argument("--epochs", type=int, default=6)
    sub.add_argument("--seed", type=int, default=1)
    sub = command(reference, "train and sample the PyTorch reference")
    sub.add_argument("--recipe", required=True)
    sub.add_argument("--peers", required=True, help="directory that holds the checkout SiT/")
    sub.add_argument("--name", default="reference", help="stem of the files written to --work")
    sub.add_argument("--trained", action="store_true", help="only sample the network that an earlier start trained")
    sub.add_argument("--steps", type=int, help="training steps in place of the recipe's")
    sub.add_argument("--solver", choices=("euler", "heun"), default="heun")
    sub.add_argument("--solver-steps", type=int, default=10)
    sub.add_argument("--count", type=int, default=5000, help="samples without guidance")
    sub.add_argument("--guided-count", type=int, default=1000, help="samples at guidance 2")
    sub.add_argument("--seed", type=int, default=1)
    sub = command(score, "score sample files")
    sub.add_argument("samples", nargs="*", metavar="FILE.npz")
    sub.add_argument("--reference", metavar="FILE.npz", help="Frechet distances are printed over this one's as well")
    sub.add_argument("--json", metavar="FILE")
    sub = command(heldout, "held-out losses of weights of the U-Net")
    sub.add_argument("--recipe", required=True)
    sub.add_argument("--peers", required=True)
    sub.add_argument("--ours", nargs="+", required=True, metavar="FILE.safetensors", help="of `pathline checkpoint export`")
    sub.add_argument("--reference", nargs="+", required=True, metavar="WORK/NAME.pt", help="of `reference`, at least two")
    sub.add_argument("--seed", type=int, default=1, help="of times and noise")
    sub.add_argument("--json", metavar="FILE")
    sub = command(compare, "train both sides with several seeds and compare their held-out losses")
    sub.add_argument("--pathline", default="build/bin/pathline")
    sub.add_argument("--recipe", required=True)
    sub.add_argument("--peers", required=True)
    sub.add_argument("--seeds", type=int, default=3, help="1 to this many")
    sub.add_argument("--steps", type=int, default=400, help="of training")
    sub.add_argument("--seed", type=int, default=1, help="of times and noise")
    sub.add_argument("--json", metavar="FILE")
    sub.set_defaults(trained=False)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.run(options)


if __name__ == "__main__":
    main()
