#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Saving a state beside PyTorch: torch.distributed.checkpoint.async_save, torch.save and safetensors, each until it is
durable, in turn with `pathline bench checkpoint` in one run.

    python benchmarks/checkpoint_vs_pytorch.py --pathline build/bin/pathline --bytes 2e9 --directory D --rounds 5 --json F
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time


def state_of(total):
    """Weights, two moments and an average of a network of 32 equal layers, as `pathline bench checkpoint` makes it."""
    import torch
    hidden = int((total / 16 / 32) ** 0.5)
    kinds = ("master", "adam_m", "adam_v", "ema-0.999")
    state = {f"{kind}/net.{layer}.weight": torch.randn(hidden, hidden) for kind in kinds for layer in range(32)}
    return state, sum(t.numel() * 4 for t in state.values())


def sync_file(path):
    with open(path, "rb") as file:
        os.fsync(file.fileno())
    directory = os.open(path.parent, os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)


def contestants(directory):
    """name -> function of the state that returns (seconds that the caller is blocked, seconds until it is durable)."""
    import torch
    import torch.distributed as dist
    import torch.distributed.checkpoint as dcp
    from torch.distributed.checkpoint import FileSystemWriter
    dist.init_process_group("gloo", init_method=f"file://{directory}/rendezvous", rank=0, world_size=1)

    def asynchronous(state):
        start = time.monotonic()
        future = dcp.async_save(state, storage_writer=FileSystemWriter(str(directory / "dcp"), sync_files=True))
        blocked = time.monotonic() - start
        future.result()
        return blocked, time.monotonic() - start

    def saved_by(write):
        def save(state):
            start = time.monotonic()
            write(state, directory / "state")
            sync_file(directory / "state")
            seconds = time.monotonic() - start
            return seconds, seconds
        return save

    found = {"dcp.async_save": asynchronous, "torch.save + fsync": saved_by(torch.save)}
    try:
        from safetensors.torch import save_file
        found["safetensors + fsync"] = saved_by(save_file)
    except ImportError:
        print("safetensors is not installed and left out", file=sys.stderr)
    return found


def measure_torch(options):
    """One process: every contestant once without being counted, then `--repeats` times."""
    import torch
    torch.set_num_threads(1)
    directory = pathlib.Path(options.directory)
    state, total = state_of(options.bytes)
    result = {"bytes": total, "seconds": {}}
    for name, save in contestants(directory).items():
        times = []
        for _ in range(options.repeats + 1):
            times.append(save(state))
            for path in (directory / "dcp", directory / "state"):
                shutil.rmtree(path, ignore_errors=True)
                path.unlink(missing_ok=True)
        result["seconds"][name] = {"blocked": [t[0] for t in times[1:]], "durable": [t[1] for t in times[1:]]}
    print(json.dumps(result))


def run_json(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed with {done.returncode}:\n{done.stderr}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def compare(options):
    ours, theirs = [], []
    for number in range(options.rounds):
        work = pathlib.Path(options.directory) / f"pathline-vs-torch-{os.getpid()}"
        work.mkdir(parents=True)
        try:
            turns = [
                lambda: ours.append(run_json([options.pathline, "bench", "checkpoint", "--bytes", str(int(options.bytes)),
                                              "--rounds", str(options.repeats), "--directory", str(work), "--json"])),
                lambda: theirs.append(run_json([sys.executable, __file__, "--torch-only", "--bytes", str(options.bytes),
                                                "--repeats", str(options.repeats), "--directory", str(work)]))]
            for turn in turns if number % 2 == 0 else reversed(turns):
                turn()
        finally:
            shutil.rmtree(work, ignore_errors=True)
    report(options, ours, theirs)


def report(options, ours, theirs):
    """Medians over all repeats of all rounds."""
    total = ours[0]["bytes_per_rank"]
    rows = {}
    gathered = {what: [s for one in ours for s in one["seconds"][what]] for what in ours[0]["seconds"]}
    middle = {what: statistics.median(values) for what, values in gathered.items()}
    rows["Pathline"] = (middle["save_blocks_training"], middle["save_until_committed"], total)
    for what in ("write_o_direct_fsync", "write_buffered_fsync"):
        if what in middle:
            rows["plain " + what] = (middle[what], middle[what], total)
    for name in theirs[0]["seconds"]:
        both = [statistics.median(s for one in theirs for s in one["seconds"][name][kind]) for kind in ("blocked", "durable")]
        rows[name] = (*both, theirs[0]["bytes"])
    print(f"{'':32} {'blocked':>9} {'durable':>9} {'rate':>11}   copy in memory {middle.get('copy_in_memory', float('nan')):.3f} s")
    for name, (blocked, durable, size) in rows.items():
        print(f"{name:32} {blocked:7.3f} s {durable:7.3f} s {size / durable / 1e9:6.2f} GB/s")
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps({"pathline": ours, "torch": theirs}, indent=1))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pathline", help="the command")
    parser.add_argument("--bytes", type=float, default=2e9, help="of state")
    parser.add_argument("--directory", default=".", help="on the storage that is to be measured")
    parser.add_argument("--rounds", type=int, default=3, help="pairs of processes, in turning order")
    parser.add_argument("--repeats", type=int, default=3, help="within each process")
    parser.add_argument("--json", help="where all figures go")
    parser.add_argument("--torch-only", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.torch_only:
        measure_torch(options)
    elif options.pathline:
        compare(options)
    else:
        parser.error("--pathline is missing")


if __name__ == "__main__":
    main()
