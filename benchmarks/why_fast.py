# SPDX-License-Identifier: Apache-2.0
"""Error against network evaluations for four ways to learn a flow: why straight paths sample fast (Lipman et al., arXiv
2210.02747, figure 7). Two moons, one network, the same number of steps; solver, seed and samples are the same for all.

  linear  recipes/seeds/cfm-linear.toml      OT     recipes/seeds/cfm-ot.toml (minibatch optimal transport)
  VP      recipes/seeds/cfm-vp.toml          score  recipes/seeds/score-vp.toml (denoising score matching)

Two errors: the RMS distance of each sample to where the same noise ends when the model is solved with tight tolerances
(the solver's error alone), and the squared energy distance to fresh data (with what the model got wrong).
The midpoint method takes two evaluations a step; where the path cannot be followed to its end (VP, score), one more denoises the
last state. Plotted is what `pathline sample` says it took, and methods are compared at equal steps, where the straight ones take
no more. Writes --json and --svg; exit code 1 if linear or OT is not below both others at 8 evaluations or fewer. Only counts
evaluations, so other work on the machine changes nothing.
"""
import argparse
import json
import math
import os
import subprocess

import numpy as np

METHODS = {"linear": "cfm-linear", "OT": "cfm-ot", "diffusion (VP)": "cfm-vp", "score (VP)": "score-vp"}
EVALUATIONS = (2, 4, 8, 16, 32, 64)
COLOURS = ("#1b6ca8", "#2a9d5c", "#d97a1d", "#b03a5b")


def run(*command):
    return subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE, text=True).stdout


def points_of(path):
    with np.load(path) as file:
        return file["arr_0"].astype(np.float64)


def errors_of(options, name, recipe):
    at = lambda file: os.path.join(options.work, file)  # noqa: E731
    here = at(recipe)
    if not os.path.exists(os.path.join(here, "summary.json")):
        run(options.pathline, "train", os.path.join(options.recipes, recipe + ".toml"), "--set", f"run.directory={here}",
            "--set", f"data.path={at('moons.h5')}", "--set", f"train.steps={options.steps}")
    sample = [options.pathline, "sample", "--checkpoint", here, "--count", options.count, "--seed", 5, "--slots", 1024, "--overwrite"]
    run(*sample, "--solver", "dopri5", "--rtol", 1e-6, "--atol", 1e-6, "-o", at("exact.npz"))
    exact, rows = points_of(at("exact.npz")), []
    for evaluations in EVALUATIONS:
        made = json.loads(run(*sample, "--solver", "midpoint", "--steps", evaluations // 2, "--json", "-o", at("few.npz")))
        distance = np.sqrt(((points_of(at("few.npz")) - exact) ** 2).sum(1).mean())
        energy = json.loads(run(options.pathline, "evaluate", "energy", at("few.npz"), at("fresh.h5"), "--json"))
        rows.append({"evaluations": made["mean_nfe"], "rms": float(distance), "energy": energy["squared_energy_distance"]})
        print(f"{name:>15}, {made['mean_nfe']:2g} evaluations: RMS to the exact solution {distance:.4f}, "
              f"energy distance {rows[-1]['energy']:.4f}", flush=True)
        for file in ("few.npz", "exact.npz") if evaluations == EVALUATIONS[-1] else ("few.npz",):
            os.remove(at(file))
    return rows


# ---- picture --------------------------------------------------------------------------------------------------------
def panel(left, title, key, results):
    """One log-log diagram of 360 x 300 whose upper left corner is at x = left."""
    values = [row[key] for rows in results.values() for row in rows]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    x = lambda n: left + 60 + 280 * math.log(n / EVALUATIONS[0]) / math.log(EVALUATIONS[-1] / EVALUATIONS[0])  # noqa: E731
    y = lambda v: 270 - 230 * (math.log10(v) - low) / (high - low)  # noqa: E731
    parts = [f'<text x="{left + 200}" y="22" text-anchor="middle" font-weight="bold">{title}</text>']
    for power in range(low, high + 1):
        parts.append(f'<path d="M{left + 60} {y(10**power):.1f}h280" stroke="#ddd"/>'
                     f'<text x="{left + 52}" y="{y(10**power) + 4:.1f}" text-anchor="end">1e{power}</text>')
    for n in EVALUATIONS:
        parts.append(f'<text x="{x(n):.1f}" y="290" text-anchor="middle">{n}</text>')
    for (name, rows), colour in zip(results.items(), COLOURS):
        line = " ".join(f"{x(row['evaluations']):.1f},{y(row[key]):.1f}" for row in rows)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"><title>{name}</title></polyline>')
    return parts


def picture(results):
    parts = ['<svg xmlns="http://www.w3.org/2000/svg" width="760" height="345" font-family="sans-serif" font-size="12">',
             '<rect width="760" height="345" fill="white"/>']
    parts += panel(0, "RMS to the exact solution", "rms", results)
    parts += panel(380, "energy distance to fresh data", "energy", results)
    parts.append('<text x="380" y="308" text-anchor="middle">network evaluations, midpoint method</text>')
    for i, (name, colour) in enumerate(zip(results, COLOURS)):
        parts.append(f'<path d="M{130 + 140 * i} 328h24" stroke="{colour}" stroke-width="2"/>'
                     f'<text x="{160 + 140 * i}" y="332">{name}</text>')
    return "\n".join(parts + ["</svg>", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pathline", default="build/bin/pathline")
    parser.add_argument("--recipes", default="recipes/seeds")
    parser.add_argument("--work", required=True, help="directory of the data and the models, which are trained once")
    parser.add_argument("--steps", type=int, default=20000, help="of training")
    parser.add_argument("--count", type=int, default=10000, help="samples")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--svg", metavar="FILE")
    options = parser.parse_args()
    os.makedirs(options.work, exist_ok=True)
    for file, count, seed in (("moons.h5", 100000, 21), ("fresh.h5", 20000, 22)):
        path = os.path.join(options.work, file)
        if not os.path.exists(path):
            run(options.pathline, "data", "make", "moons", "--count", count, "--seed", seed, "-o", path)
    results = {name: errors_of(options, name, recipe) for name, recipe in METHODS.items()}
    for path, text in ((options.json, json.dumps(results, indent=1)), (options.svg, picture(results))):
        if path:
            with open(path, "w") as file:
                file.write(text)
    few, holds = range(EVALUATIONS.index(8) + 1), True
    for key in ("rms", "energy"):
        straight = max(results[name][i][key] / min(results[other][i][key] for other in list(METHODS)[2:])
                       for name in list(METHODS)[:2] for i in few)
        holds = holds and straight < 1
        print(f"{key}: linear and OT over the better of the others at 8 evaluations or fewer: at most {straight:.2f}")
    if not holds:
        raise SystemExit("linear and OT are not below the others at 8 evaluations or fewer")


if __name__ == "__main__":
    main()
