# SPDX-License-Identifier: Apache-2.0
"""Batches of an HDF5 file beside what h5py with PyTorch's DataLoader makes of the same file in the same run.

Files of made-up pictures, 8 bits, (N, H, W, 3): contiguous, one picture a chunk, one picture a gzip chunk, and 500
pictures a gzip chunk (the layout of BigGAN's files). Theirs and ours make the same thing: random batches of 256, mirrored
at random, float32 (256, 3, H, W) in [-1, 1], from the page cache.

  item   Dataset.__getitem__ reads one picture            } with 0, 1 and 2 workers;
  batch  __getitems__ reads a sorted batch in one call    } the fastest of all nine counts
  loop   __getitems__ reads the pictures of a batch one by one, sorted

Ours is `pathline bench loader`, which also measures a plain C++ loop that does the least possible, and H5Dread at random.
In every round everything is measured once; ratios are taken within a round.
"""
import argparse
import json
import os
import statistics
import subprocess
import time

import h5py
import numpy as np
import torch

BATCH = 256
LAYOUTS = {"contiguous": {}, "chunked": {"chunks": 1}, "gzip": {"chunks": 1, "compression": "gzip", "compression_opts": 1},
           "gzip-500": {"chunks": 500, "compression": "gzip", "compression_opts": 1}}


# ---- files ----------------------------------------------------------------------------------------------------------
def pictures(count, size):
    """Smooth pictures with a little noise, so that gzip has something to do, a thousand at a time."""
    random = np.random.default_rng(0)
    for first in range(0, count, 1000):
        n = min(1000, count - first)
        coarse = torch.from_numpy(random.random((n, 3, 4, 4), dtype=np.float32))
        smooth = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bicubic", align_corners=False)
        noise = random.integers(0, 6, (n, size, size, 1))
        yield first, (smooth.permute(0, 2, 3, 1).numpy() * 235 + noise).clip(0, 255).astype(np.uint8)


def write(path, count, size, layout):
    options = dict(LAYOUTS[layout])
    if "chunks" in options:
        options["chunks"] = (options["chunks"], size, size, 3)
    with h5py.File(path, "w") as file:
        images = file.create_dataset("images", (count, size, size, 3), "u1", **options)
        for first, some in pictures(count, size):
            images[first:first + len(some)] = some
        file.create_dataset("labels", data=np.arange(count, dtype=np.int64) % 10)
    read_anew(path)


def read_anew(path):
    """What lies in the page cache as it was written, chunk by chunk, is slower than what was read."""
    with open(path, "rb") as file:
        os.fsync(file)
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        while file.read(1 << 24):
            pass


# ---- theirs ---------------------------------------------------------------------------------------------------------
def to_values(images, mirrored):
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)
    return torch.where(mirrored[:, None, None, None], x.flip(3), x)


class Items(torch.utils.data.Dataset):
    """Opened in the worker that reads: files of HDF5 do not survive fork()."""

    def __init__(self, path):
        self.path, self.file = path, None
        with h5py.File(path) as file:
            self.count = len(file["labels"])

    def __len__(self):
        return self.count

    def opened(self):
        if self.file is None:
            self.file = h5py.File(self.path)
            self.images, self.labels = self.file["images"], self.file["labels"][:]

    def __getitem__(self, i):
        self.opened()
        return to_values(self.images[i][None], torch.rand(1) < 0.5)[0], int(self.labels[i])


class Batches(Items):
    def read(self, rows):
        return self.images[rows]

    def __getitems__(self, rows):
        self.opened()
        rows = np.sort(np.asarray(rows))
        return to_values(self.read(rows), torch.rand(len(rows)) < 0.5), torch.from_numpy(self.labels[rows])


class Loop(Batches):
    def read(self, rows):
        return np.stack([self.images[row] for row in rows.tolist()])


IDIOMS = {"item": Items, "batch": Batches, "loop": Loop}


class Epochs(torch.utils.data.Sampler):
    """Without end, each epoch cut to whole batches: no batch holds a row twice."""

    def __init__(self, count):
        self.count = count

    def __iter__(self):
        while True:
            yield from torch.randperm(self.count)[:self.count // BATCH * BATCH].tolist()


def rate_of(path, idiom, workers, seconds):
    """Images a second, after two batches."""
    dataset = IDIOMS[idiom](path)
    options = {} if idiom == "item" else {"collate_fn": lambda batch: batch}
    if workers:
        options |= {"persistent_workers": True, "prefetch_factor": 4}
    batches = iter(torch.utils.data.DataLoader(dataset, BATCH, sampler=Epochs(len(dataset)), num_workers=workers, drop_last=True,
                                               **options))
    next(batches), next(batches)
    start, images = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        images += len(next(batches)[1])
    return images / (time.perf_counter() - start)


# ---- both -----------------------------------------------------------------------------------------------------------
def ours(options, path, *more):
    command = [options.pathline, "bench", "loader", path, "--threads", str(options.threads), "--rounds", "1", "--seconds",
               str(options.seconds), "--json", *more]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def one_round(options, path):
    mine = ours(options, path)
    theirs = {} if "gzip-500" in path else {  # minutes a batch: H5Dread at random stands for it
        f"{idiom}, {workers} workers": rate_of(path, idiom, workers, options.seconds)
        for idiom in IDIOMS for workers in range(3)}
    return {"loader": mine["loader"][0], "bound": (mine["bound"] or [0])[0], "library": mine["library"][0], "h5py": theirs}


def report(name, rounds):
    median = lambda values: statistics.median(values)  # noqa: E731
    line = f"{name:>16}: {median([r['loader'] for r in rounds]):9,.0f} images/s"
    if all(r["bound"] for r in rounds):
        line += f", {median([r['loader'] / r['bound'] for r in rounds]):4.0%} of the least possible"
    if rounds[0]["h5py"]:
        best = max(rounds[0]["h5py"], key=lambda how: median([r["h5py"][how] for r in rounds]))
        line += (f", {median([r['loader'] / max(r['h5py'].values()) for r in rounds]):5.1f} times the best of h5py "
                 f"({median([r['h5py'][best] for r in rounds]):,.0f}: {best})")
    print(f"{line}, {median([r['loader'] / r['library'] for r in rounds]):,.1f} times H5Dread at random", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pathline", default="build/bin/pathline")
    parser.add_argument("--work", required=True, help="directory of the files, which are written once")
    parser.add_argument("--sizes", default="32,64,256")
    parser.add_argument("--bytes", type=float, default=6e8, help="of a file without compression")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of ours")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of every measurement")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    os.makedirs(options.work, exist_ok=True)
    results = {}
    for size in map(int, options.sizes.split(",")):
        for layout in LAYOUTS:
            path = os.path.join(options.work, f"{size}-{layout}.h5")
            if not os.path.exists(path):
                write(path, min(50000, int(options.bytes / (3 * size * size))) // 500 * 500, size, layout)
            results[f"{size} px, {layout}"] = rounds = [one_round(options, path) for _ in range(options.rounds)]
            report(f"{size} px, {layout}", rounds)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
