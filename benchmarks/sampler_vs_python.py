# SPDX-License-Identifier: Apache-2.0
"""Adaptive sampling of one trained network: Pathline's slots beside torchdiffeq and torchode, and beside themselves in
lockstep.

  train     a small SiT with `pathline train`, on made-up pictures or --data, and its weights for PyTorch
  compare   interleaved rounds, every contestant once a round; ratios are taken within a round: median and 95 % interval
  torch     one contestant in this process; prints JSON

All make the same samples: the same start noise (`pathline sample --pairs` writes it), labels, weights, tolerance,
threads, and Dormand-Prince with Shampine's error estimate (dopri5-shampine here, dopri5 there).

  slots      pathline sample of all ids at once: a sample that is done leaves its slot and the next takes it
  lockstep   pathline sample of S ids after S ids: a batch ends with its slowest sample
  torchode   batches of S: steps of its own for every sample, the network for the whole batch until the slowest is done
  torchdiffeq  batches of S with one step for all (its usual use; its samples depend on their batch mates)
  bf16       as slots, the network in bf16

Error is the mean distance, in grey levels, of the written pixels from those of a tolerance 100 times as small.

--cpu-time compares seconds of the processor instead of the clock, for machines that others use, too; with --threads 1. From
Pathline's the seconds of a start that makes one step are taken off; PyTorch's are those of the solve.
"""
import argparse
import contextlib
import heapq
import json
import os
import resource
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from peers import common  # noqa: E402

RECIPE = """[run]
directory = "{work}/run"
seed = 1
[data]
path = ["{data}"]
validation = 0
[model]
name = "SiT"
patch = 4
hidden = {hidden}
depth = {depth}
heads = 4
[flow]
label_drop = 0.1
[train]
steps = {steps}
batch = 64
precision = "bf16"
[optimizer]
lr = 1e-3
warmup_steps = 20
schedule = "cosine"
[ema]
decays = []
[checkpoint]
every_steps = {steps}
"""


def run(command, **more):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **more).stdout


# ---- train ----------------------------------------------------------------------------------------------------------
def train(options):
    os.makedirs(options.work, exist_ok=True)
    at = lambda name: os.path.join(options.work, name)  # noqa: E731
    if not options.data:
        options.data = at("shapes.h5")
        run([options.pathline, "data", "make", "shapes", "--count", "20000", "--size", "16", "--seed", "1", "-o", options.data])
    with open(at("run.toml"), "w") as file:
        file.write(RECIPE.format(**{key: getattr(options, key) for key in ("work", "data", "steps", "hidden", "depth")}))
    run([options.pathline, "train", at("run.toml")])
    run([options.pathline, "checkpoint", "export", at("run"), "--ema", "none", "-o", at("weights.safetensors")])


# ---- PyTorch --------------------------------------------------------------------------------------------------------
def read_safetensors(path):
    import numpy
    import torch
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        begin = file.tell()
        tensors = {}
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            first, last = entry["data_offsets"]
            file.seek(begin + first)
            data = numpy.frombuffer(file.read(last - first), dtype="<f4").reshape(entry["shape"])
            tensors[name] = torch.from_numpy(data.copy())
    return tensors


def network_of(options, shape, classes):
    _, channels, size, _ = shape
    network = common.sit(options.peers).SiT(input_size=size, patch_size=4, in_channels=channels, hidden_size=options.hidden,
                                            depth=options.depth, num_heads=4, num_classes=classes, learn_sigma=False)
    missing, unknown = network.load_state_dict(read_safetensors(os.path.join(options.work, "weights.safetensors")),
                                               strict=False)
    if [m for m in missing if m != "pos_embed"] or unknown:
        raise SystemExit(f"the weights do not fit: {missing} {unknown}")
    return network.eval()


def solve_torchdiffeq(network, x0, labels, options, count, needed):
    import torch
    from torchdiffeq import odeint

    def field(t, x):
        count[0] += 1
        return network(x, t.expand(len(x)), labels)

    before = count[0]
    end = odeint(field, x0, torch.tensor([0.0, 1.0]), method="dopri5", rtol=options.tolerance, atol=options.tolerance)[-1]
    needed.extend([count[0] - before] * len(x0))
    return end


def solve_torchode(network, x0, labels, options, count, needed):
    import torch
    import torchode

    def field(t, y):
        count[0] += 1
        return network(y.view_as(x0), t, labels).flatten(1)

    term = torchode.ODETerm(field)
    method = torchode.Dopri5(term=term)
    control = torchode.IntegralController(atol=options.tolerance, rtol=options.tolerance, term=term)
    solver = torchode.AutoDiffAdjoint(method, control)
    ones = torch.ones(len(x0))
    problem = torchode.InitialValueProblem(y0=x0.flatten(1), t_start=0 * ones, t_end=ones)
    solution = solver.solve(problem)
    if int(solution.status.max()) != 0:
        raise SystemExit("torchode failed")
    needed.extend((6 * solution.stats["n_steps"] + 2).tolist())  # of each sample: the first slope, and the first step's length
    return solution.ys[:, -1].view_as(x0)


def pixels_of(path):
    import h5py
    with h5py.File(path) as file:
        return file["images"][:].astype(int)


def torch_contestant(options):
    import h5py
    import numpy
    import torch
    torch.set_num_threads(options.threads)
    with h5py.File(options.set) as file:
        x0 = torch.from_numpy(file["x0"][:]).permute(0, 3, 1, 2).contiguous()
        labels = torch.from_numpy(file["labels"][:])
        ours = file["images"][:].astype(int)
        classes = int(file["labels"].attrs["classes"])
    reference = pixels_of(options.reference)
    network = network_of(options, x0.shape, classes)
    solve = {"torchode": solve_torchode, "torchdiffeq": solve_torchdiffeq}[options.name]
    count, needed, ends = [0], [], []
    with torch.no_grad():
        network(x0[:options.slots], torch.zeros(options.slots), labels[:options.slots])  # warm up
        clock = time.process_time if options.cpu_time else time.perf_counter
        started = clock()
        for begin in range(0, len(x0), options.slots):
            end = begin + options.slots
            ends.append(solve(network, x0[begin:end], labels[begin:end], options, count, needed))
        seconds = clock() - started
    pixels = ((torch.cat(ends) + 1) * 127.5).round().clamp(0, 255).permute(0, 2, 3, 1).numpy().astype(int)
    off = numpy.abs(pixels - ours)
    print(json.dumps({"seconds": seconds, "evaluations": count[0], "mean_nfe": sum(needed) / len(needed),
                      "error": float(numpy.abs(pixels - reference).mean()), "largest_difference": int(off.max()),
                      "share_different": float((off > 0).mean())}))


# ---- comparison -----------------------------------------------------------------------------------------------------
def cpu_seconds_of_children():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def timed_sample(options, slots, first, count, output, *more):
    """sample() with the seconds that are compared."""
    before = cpu_seconds_of_children()
    result = sample(options, slots, first, count, output, *more)
    if options.cpu_time:
        between = cpu_seconds_of_children()
        sample(options, slots, first, slots, output + ".start.h5", *more, solver=["--solver", "euler", "--steps", "1"])
        result["seconds"] = between - before - (cpu_seconds_of_children() - between)
    return result


def dopri5(tolerance):
    return ["--solver", "dopri5-shampine", "--rtol", str(tolerance), "--atol", str(tolerance)]


def sample(options, slots, first, count, output, *more, solver=None):
    if solver is None:
        solver = dopri5(options.tolerance)
    with contextlib.suppress(FileNotFoundError):
        os.remove(output)  # a complete set would not be made again
    return json.loads(run([
        options.pathline, "sample", "--checkpoint", os.path.join(options.work, "run"), "--ema", "none", *solver,
        "--threads", str(options.threads), "--slots", str(slots), "--seed", "3", "--first", str(first), "--count", str(count), "-o",
        output, "--json", *more], stderr=subprocess.DEVNULL))


def list_schedule(nfe, slots):
    """Evaluations that `slots` rows need when each free row takes the next sample: the ideal of what the slots do."""
    rows = [0] * slots
    for n in nfe:
        heapq.heappush(rows, heapq.heappop(rows) + int(n))
    return max(rows)


def contestant(options, name, slots, count, directory):
    path = os.path.join(directory, f"{name}-{slots}.h5")
    if name in ("slots", "bf16"):
        more = ["--precision", "bf16"] if name == "bf16" else []
        result = timed_sample(options, slots, 0, count, path, *more)
        result["error"] = float(abs(pixels_of(path) - pixels_of(options.reference)).mean())
        return {key: result.get(key) for key in ("seconds", "occupancy", "queued_occupancy", "mean_nfe", "network_seconds", "error")}
    if name == "lockstep":
        batches = [timed_sample(options, slots, first, slots, path) for first in range(0, count, slots)]
        return {"seconds": sum(b["seconds"] for b in batches), "evaluations": sum(b["max_nfe"] for b in batches)}
    command = [sys.executable, os.path.abspath(__file__), "torch", "--name", name, "--set", options.set,
               "--reference", options.reference, "--slots", str(slots)]
    for key in ("work", "peers", "tolerance", "threads", "hidden", "depth"):
        command += [f"--{key}", str(getattr(options, key))]
    command += ["--cpu-time"] if options.cpu_time else []
    return json.loads(run(command))


def ratio_text(ratios):
    middle, low, high, coverage = common.median_interval(ratios)
    return {"median": middle, "low": low, "high": high, "coverage": coverage}, \
        f"{middle:.3f} [{low:.3f}, {high:.3f}] ({100 * coverage:.0f} %)"


def compare_slots(options, slots, directory):
    import h5py
    count = slots * options.batches
    options.set = os.path.join(directory, f"set-{slots}.h5")
    options.reference = os.path.join(directory, f"reference-{slots}.h5")
    sample(options, slots, 0, count, options.set, "--pairs")
    sample(options, slots, 0, count, options.reference, solver=dopri5(options.tolerance / 100))
    with h5py.File(options.set) as file:
        nfe = file["nfe"][:].tolist()
    ideal = sum(nfe) / (list_schedule(nfe, slots) * slots)
    lockstep = sum(max(nfe[i:i + slots]) for i in range(0, count, slots)) * slots
    spread = lockstep / sum(nfe)
    rounds, begun = [], time.time()
    for number in range(options.rounds):
        if number > 0 and time.time() - begun > options.at_most:
            break
        names = options.contestants if number % 2 == 0 else options.contestants[::-1]
        others = common.OtherLoad()
        rounds.append({name: contestant(options, name, slots, count, directory) for name in names})
        rounds[-1]["others"] = others.cores()
        print(f"S = {slots} round {number + 1}: " + ", ".join(
            f"{name} {rounds[-1][name]['seconds']:.2f} s" for name in options.contestants)
            + f"; others used {rounds[-1]['others']:.2f} cores", file=sys.stderr)
    ours = [r["slots"] for r in rounds]
    record = {"slots": slots, "count": count, "mean_nfe": sum(nfe) / count, "max_nfe": max(nfe),
              "lockstep_over_sum": spread, "ideal_occupancy": ideal, "occupancy": ours[0]["occupancy"],
              "queued_occupancy": ours[0]["queued_occupancy"], "rounds": rounds, "speed": {}}
    print(f"\nS = {slots}, {count} samples, tolerance {options.tolerance}, {options.threads} threads, {len(rounds)} rounds")
    print(f"  evaluations a sample: mean {record['mean_nfe']:.1f}, most {record['max_nfe']}; lockstep needs {spread:.2f} times as many")
    print(f"  occupancy {record['occupancy']:.4f} (ideal list scheduling {ideal:.4f}); while the queue is not empty {record['queued_occupancy']:.4f}")
    network = [] if options.cpu_time else [r["network_seconds"] / r["seconds"] for r in ours if r.get("network_seconds")]
    if network:
        record["outside_network"] = 1 - sorted(network)[len(network) // 2]
        print(f"  outside the network: {100 * record['outside_network']:.2f} % of the time")
    for name in options.contestants:
        seconds = sorted(r[name]["seconds"] for r in rounds)[len(rounds) // 2]
        line = f"  {name:12} {count / seconds:8.2f} samples/s"
        if name != "slots":
            record["speed"][name], text = ratio_text([r[name]["seconds"] / r["slots"]["seconds"] for r in rounds])
            line += f"; slots are {text} times as fast"
        if "error" in rounds[0][name]:
            line += f"; {rounds[0][name]['mean_nfe']:.1f} evaluations a sample, error {rounds[0][name]['error']:.4f}"
        if "largest_difference" in rounds[0][name]:
            line += f"; pixels differ by at most {rounds[0][name]['largest_difference']} ({100 * rounds[0][name]['share_different']:.2f} % differ)"
        print(line)
    print(f"  wanted over lockstep: 0.95 x {spread:.2f} x {ideal:.3f} = {0.95 * spread * ideal:.2f}")
    return record


def compare(options):
    with tempfile.TemporaryDirectory() as directory:
        records = [compare_slots(options, slots, directory) for slots in options.slots]
    if options.json:
        common.write_json(options.json, {"tolerance": options.tolerance, "threads": options.threads, "cases": records})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)

    def command(name, function, text):
        sub = commands.add_parser(name, help=text)
        sub.set_defaults(run=function)
        sub.add_argument("--work", required=True, help="directory of the trained network")
        sub.add_argument("--hidden", type=int, default=256)
        sub.add_argument("--depth", type=int, default=6)
        return sub

    def ours(sub):
        sub.add_argument("--pathline", required=True, help="the command, for example build/bin/pathline")

    def both(sub):
        sub.add_argument("--peers", required=True, help="directory of the peers' checkouts")
        sub.add_argument("--tolerance", type=float, default=1e-3, help="relative and absolute")
        sub.add_argument("--threads", type=int, default=2)
        sub.add_argument("--cpu-time", action="store_true", help="seconds of the processor, not of the clock")

    sub = command("train", train, "train the network")
    ours(sub)
    sub.add_argument("--data", help="image store of square pictures, as `pathline data import` makes it (default: made-up shapes of 16x16)")
    sub.add_argument("--steps", type=int, default=300)
    sub = command("compare", compare, "all contestants")
    ours(sub)
    both(sub)
    sub.add_argument("--slots", type=lambda text: [int(word) for word in text.split(",")], default=[16, 64])
    sub.add_argument("--batches", type=int, default=6, help="samples are this times the slots")
    sub.add_argument("--rounds", type=int, default=6)
    sub.add_argument("--at-most", type=float, default=1e9, help="seconds after which no round is begun")
    sub.add_argument("--contestants", type=lambda text: text.split(","),
                     default=["slots", "lockstep", "torchode", "torchdiffeq", "bf16"])
    sub.add_argument("--json", metavar="FILE")
    sub = command("torch", torch_contestant, "one PyTorch process")
    both(sub)
    sub.add_argument("--name", choices=("torchode", "torchdiffeq"), required=True)
    sub.add_argument("--set", required=True)
    sub.add_argument("--reference", required=True)
    sub.add_argument("--slots", type=int, required=True)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
