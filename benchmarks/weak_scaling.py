# SPDX-License-Identifier: Apache-2.0
"""Weak scaling on one machine: one rank a core, each with its own batch, beside as many processes that know nothing of
each other and start at the same time. They share the memory bus as ranks do; what ranks lose beyond them is the exchange
of gradients and parameters.

A round: N lone processes at once (the slowest counts), then mpirun with N ranks and N times the batch, in an order that
turns round every time. Efficiency is the lone ones' time over the ranks', taken within a round.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from peers import common  # noqa: E402

RECIPE = """[run]
directory = "{directory}/run"
threads = 1
[data]
path = "made-up"
[model]
name = "SiT"
patch = 4
hidden = 256
depth = 6
heads = 4
input_size = 32
input_channels = 3
classes = 10
[train]
batch = {batch}
slices = {slices}
precision = "{precision}"
[ema]
decays = [0.9999]
"""
AS_ROOT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"} if os.geteuid() == 0 else {}


def start(options, directory, ranks, number=0):
    """A process of `ranks` ranks, each with one rank's batch."""
    path = os.path.join(directory, f"{ranks}-{number}.toml")
    with open(path, "w") as file:
        file.write(RECIPE.format(directory=directory, batch=options.batch * ranks, slices=options.slices * ranks,
                                 precision=options.precision))
    launcher = ["mpirun", "-n", str(ranks), "--bind-to", "core"] if ranks > 1 else ["taskset", "-c", str(number)]
    command = [*launcher, options.pathline, "bench", "step", path, "--steps", str(options.steps), "--warmup", "2", "--json"]
    return subprocess.Popen(command, env={**os.environ, **AS_ROOT}, stdout=subprocess.PIPE, text=True)


def result_of(process):
    out, _ = process.communicate()
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(process.args)} ended with {process.returncode}")
    return json.loads(out.strip().splitlines()[-1])


def lone(options, directory):
    processes = [start(options, directory, 1, number) for number in range(options.ranks)]
    return max(statistics.median(result_of(process)["seconds_per_step"]) for process in processes)


def together(options, directory):
    return result_of(start(options, directory, options.ranks))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pathline", required=True, help="the command, for example build/bin/pathline")
    parser.add_argument("--ranks", type=int, default=os.cpu_count())
    parser.add_argument("--batch", type=int, default=32, help="of each rank")
    parser.add_argument("--slices", type=int, default=2, help="of each rank")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    rounds = []
    with tempfile.TemporaryDirectory() as directory:
        for number in range(options.rounds):
            common.wait_for_quiet(60, 0.1)
            order = (lone, together) if number % 2 == 0 else (together, lone)
            found = {function.__name__: function(options, directory) for function in order}
            ranks = found["together"]
            seconds = statistics.median(ranks["seconds_per_step"])
            rounds.append({"lone_seconds": found["lone"], "ranks_seconds": seconds, "efficiency": found["lone"] / seconds,
                           "exposed_share": ranks["exchange_exposed_seconds"] / seconds,
                           "hidden_share": ranks["exchange_hidden_seconds"] / seconds})
            print(f"round {number + 1}: lone {found['lone']:.3f} s, ranks {seconds:.3f} s, efficiency "
                  f"{rounds[-1]['efficiency']:.3f}, exchange exposed {100 * rounds[-1]['exposed_share']:.1f} % "
                  f"hidden {100 * rounds[-1]['hidden_share']:.1f} %", file=sys.stderr)
    middle, low, high, coverage = common.median_interval([r["efficiency"] for r in rounds])
    exposed = statistics.median(r["exposed_share"] for r in rounds)
    print(f"{options.ranks} ranks, {options.precision}: efficiency {middle:.3f} [{low:.3f}, {high:.3f}] "
          f"({100 * coverage:.0f} %), exposed exchange {100 * exposed:.1f} % of a step")
    if options.json:
        common.write_json(options.json, {"ranks": options.ranks, "precision": options.precision, "efficiency": middle,
                                         "low": low, "high": high, "exposed_share": exposed, "rounds": rounds})


if __name__ == "__main__":
    main()
