# SPDX-License-Identifier: Apache-2.0
"""Speed of a training step of Pathline beside PyTorch on the same machine in the same run.

  compare  starts the contestants one after the other, round by round, in an order that turns round every time;
           ratios are taken within a round: median and 95 % interval over the rounds
  torch    one contestant: the PyTorch step of one case, in this process; prints JSON

A step is: noise, time, linear path, forward, mean square of v - (x1 - x0), backward, clip to norm 1, AdamW, moving
average. The PyTorch idioms:
  default  AdamW as it comes, clip_grad_norm_, the loop over tensors that SiT's training script uses for the average
  tuned    AdamW(fused=True), foreach clip, torch._foreach_lerp_, and a glibc that keeps freed memory
  compiled as tuned, with torch.compile
  ddp      as tuned, DistributedDataParallel over gloo: as many ranks as threads, one thread each; beside it runs
           Pathline with as many ranks
With --precision bf16 PyTorch computes under autocast, Pathline with train.precision = "bf16".
The peers' own networks are used (--peers; benchmarks/README.md says which checkouts).
"""
import argparse
import copy
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from peers import common  # noqa: E402

CASES = {
    "a": dict(what="SiT-S/2, 4x32x32, batch 8", shape=(4, 32, 32), batch=8, classes=10, label_drop=0.1,
              model='name = "SiT-S/2"'),
    "c": dict(what="torchcfm CIFAR U-Net, 3x32x32, batch 16", shape=(3, 32, 32), batch=16, classes=0, label_drop=0.0,
              model='name = "UNet-cifar10"\ndropout = 0.1'),
    "d": dict(what="SiT depth 6 hidden 256 patch 4, 3x32x32, batch 64", shape=(3, 32, 32), batch=64, classes=10,
              label_drop=0.1, model='name = "SiT"\npatch = 4\nhidden = 256\ndepth = 6\nheads = 4'),
    "e": dict(what="as d, batch 2", shape=(3, 32, 32), batch=2, classes=10, label_drop=0.1,
              model='name = "SiT"\npatch = 4\nhidden = 256\ndepth = 6\nheads = 4'),
}
IDIOMS = ("default", "tuned", "compiled", "ddp")
KEEP_FREED_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 40), "MALLOC_TOP_PAD_": str(1 << 26)}
DECAY = 0.9999


# ---- PyTorch --------------------------------------------------------------------------------------------------------
def build(case, peers):
    if case == "a":
        return common.sit(peers).SiT_S_2(input_size=32, num_classes=10, learn_sigma=False)
    if case in "de":
        return common.sit(peers).SiT(input_size=32, patch_size=4, in_channels=3, hidden_size=256, depth=6,
                                     num_heads=4, num_classes=10, learn_sigma=False)
    return common.torchcfm_unet(peers).UNetModelWrapper(  # the fields of its CIFAR-10 example
        dim=(3, 32, 32), num_res_blocks=2, num_channels=128, channel_mult=[1, 2, 2, 2], num_heads=4,
        num_head_channels=64, attention_resolutions="16", dropout=0.1)


class TorchStep:
    """One training step of `case`, called again and again."""

    def __init__(self, case, idiom, precision, peers, ranks=1):
        import torch
        self.torch, self.case, self.tuned = torch, CASES[case], idiom != "default"
        self.bf16 = precision == "bf16"
        torch.manual_seed(0)
        self.network = build(case, peers).train()
        average = copy.deepcopy(self.network).requires_grad_(False)
        pairs = [(p, q) for p, q in zip(self.network.parameters(), average.parameters()) if p.requires_grad]
        self.parameters, self.average = [p for p, _ in pairs], [q for _, q in pairs]
        self.optimizer = torch.optim.AdamW(self.parameters, lr=1e-4, weight_decay=0.0,
                                           **({"fused": True} if self.tuned else {}))
        if idiom == "compiled":
            self.network = torch.compile(self.network)
        if idiom == "ddp":
            self.network = torch.nn.parallel.DistributedDataParallel(self.network, gradient_as_bucket_view=True)
        batch = self.case["batch"] // ranks
        self.x1 = torch.rand(batch, *self.case["shape"]) * 2 - 1
        self.labels = torch.randint(0, 10, (batch,))

    def loss(self):
        torch, x1 = self.torch, self.x1
        x0, t = torch.randn_like(x1), torch.rand(len(x1))
        share = t.view(-1, 1, 1, 1)
        xt = (1 - share) * x0 + share * x1
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.bf16):
            v = self.network(xt, t, self.labels) if self.case["classes"] else self.network(t, xt)
        return torch.nn.functional.mse_loss(v.float(), x1 - x0)

    def __call__(self):
        torch = self.torch
        self.loss().backward()
        if self.tuned:
            torch.nn.utils.clip_grad_norm_(self.parameters, 1.0, foreach=True)
        else:
            torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        with torch.no_grad():
            if self.tuned:
                torch._foreach_lerp_(self.average, self.parameters, 1 - DECAY)
            else:
                for q, p in zip(self.average, self.parameters):
                    q.mul_(DECAY).add_(p, alpha=1 - DECAY)
        self.optimizer.zero_grad(set_to_none=True)


def torch_contestant(options):
    """Under torch.distributed.run one of several ranks: rank 0 speaks for all, whose steps end together."""
    import torch
    ranks = int(os.environ.get("WORLD_SIZE", "1"))
    torch.set_num_threads(options.threads // ranks)
    if ranks > 1:
        torch.distributed.init_process_group("gloo")
    step, seconds = TorchStep(options.case, options.idiom, options.precision, options.peers, ranks), []
    for i in range(options.warmup + options.steps):
        started = time.perf_counter()
        step()
        if i >= options.warmup:
            seconds.append(time.perf_counter() - started)
    if ranks > 1:
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()
    if int(os.environ.get("RANK", "0")) > 0:
        return
    print(json.dumps({"seconds_per_step": seconds, "peak_rss_bytes": common.peak_rss_bytes(),
                      "samples_per_second": CASES[options.case]["batch"] / statistics.median(seconds),
                      "torch": torch.__version__, "parameters": sum(p.numel() for p in step.parameters)}))


# ---- comparison -----------------------------------------------------------------------------------------------------
def recipe_text(case, slices, threads, precision, directory):
    c = CASES[case]
    return "\n".join([
        "[run]", f'directory = "{directory}/run"', f"threads = {threads}",
        "[data]", 'path = "made-up"',  # the step is measured without reading images
        "[model]", c["model"], f"input_size = {c['shape'][1]}", f"input_channels = {c['shape'][0]}",
        f"classes = {c['classes']}",
        "[flow]", 'path = "linear"', 'time = "uniform"', f"label_drop = {c['label_drop']}",
        "[train]", f"batch = {c['batch']}", *([f"slices = {slices}"] if slices != "default" else []), "clip = 1.0", f'precision = "{precision}"',
        "[optimizer]", "lr = 1e-4",
        "[ema]", f"decays = [{DECAY}]", ""])


def contestants(options, case, directory):
    """name -> (command, additional environment)"""
    shared = ["--steps", str(options.steps), "--warmup", str(options.warmup)]
    found = {}
    for slices in options.slices:
        path = os.path.join(directory, f"{case}-{slices}.toml")
        with open(path, "w") as file:
            file.write(recipe_text(case, slices, options.threads, options.precision, directory))
        command = [options.pathline, "bench", "step", path, *shared, "--json"]
        found[f"pathline slices={slices}"] = (command, {})
        if "ddp" in options.idioms and slices == "default":
            found["pathline ranks"] = (["mpirun", "-n", str(options.threads), "--bind-to", "none", "--oversubscribe",
                                        *command, "--set", "run.threads=1"], {})
    for idiom in options.idioms:
        launcher = [] if idiom != "ddp" else ["-m", "torch.distributed.run", "--nproc-per-node", str(options.threads)]
        command = [sys.executable, *launcher, os.path.abspath(__file__), "torch", "--case", case, "--idiom", idiom,
                   "--precision", options.precision, "--peers", options.peers, "--threads", str(options.threads), *shared]
        found[f"pytorch {idiom}"] = (command, KEEP_FREED_MEMORY if idiom != "default" else {})
    return found


def run_contestant(command, environment):
    """The JSON object a contestant printed, with the cores that others used meanwhile."""
    others = common.OtherLoad()
    done = subprocess.run(command, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}")
    result = json.loads(done.stdout)
    return {"seconds": statistics.median(result["seconds_per_step"]), "peak_rss_bytes": result["peak_rss_bytes"],
            "others": round(others.cores(), 3)}


def run_round(field, backwards, options):
    """name -> result, each contestant once, started when the machine is quiet"""
    round_ = {}
    for name in reversed(field) if backwards else field:
        common.wait_for_quiet(options.patience_left, options.most_others)
        round_[name] = run_contestant(*field[name])
    return round_


def measure(case, options, directory):
    """(rounds, number of noisy ones, whether noisy ones had to be accepted). A round in which others used the machine
    is run again until the patience of the case ends."""
    field, rounds, noisy = contestants(options, case, directory), [], []
    options.patience_left = options.patience
    while len(rounds) < options.rounds:
        started = time.time()
        round_ = run_round(field, len(rounds) % 2 == 1, options)
        quiet = max(r["others"] for r in round_.values()) <= options.most_others
        (rounds if quiet else noisy).append(round_)
        print(f"{case} round {len(rounds)}{'' if quiet else ' (noisy, again)'}: "
              + ", ".join(f"{name} {r['seconds']:.3f} s" for name, r in round_.items()), file=sys.stderr)
        if not quiet:
            options.patience_left = max(0.0, options.patience_left - (time.time() - started))
            if options.patience_left == 0:
                return (rounds + noisy)[:options.rounds], len(noisy), True
    return rounds, len(noisy), False


def compare_case(case, options, directory):
    rounds, discarded, contended = measure(case, options, directory)
    batch, record = CASES[case]["batch"], {"case": case, "what": CASES[case]["what"], "threads": options.threads,
                                           "precision": options.precision,
                                           "rounds": rounds, "discarded": discarded, "contended": contended}
    print(f"\ncase {case}: {CASES[case]['what']}, {options.precision}, {options.threads} thread(s), {len(rounds)} rounds, "
          f"{discarded} discarded" + (", CONTENDED: others used the machine" if contended else ""))
    for name in rounds[0]:
        seconds = statistics.median(r[name]["seconds"] for r in rounds)
        memory = statistics.median(r[name]["peak_rss_bytes"] for r in rounds)
        print(f"  {name:24} {seconds:8.3f} s/step {batch / seconds:8.2f} images/s {memory / 1e6:8.0f} MB")
    record["speed_ratios"] = {}
    for ours in (n for n in rounds[0] if n.startswith("pathline")):
        for theirs in (n for n in rounds[0] if n.startswith("pytorch")):
            ratios = [r[theirs]["seconds"] / r[ours]["seconds"] for r in rounds]
            middle, low, high, coverage = common.median_interval(ratios)
            record["speed_ratios"][f"{ours} / {theirs}"] = {
                "median": middle, "low": low, "high": high, "coverage": coverage, "ratios": ratios}
            print(f"  speed of {ours} over {theirs}: {middle:.3f}  [{low:.3f}, {high:.3f}] ({100 * coverage:.1f} %)")
    return record


def compare(options):
    records = []
    with tempfile.TemporaryDirectory() as directory:
        for case in options.cases:
            records.append(compare_case(case, options, directory))
    if options.json:
        common.write_json(options.json, {"machine": platform.machine(), "cpus": os.cpu_count(), "steps": options.steps,
                                         "warmup": options.warmup, "cases": records})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)

    def command(name, function, text):
        sub = commands.add_parser(name, help=text)
        sub.set_defaults(run=function)
        sub.add_argument("--peers", required=True, help="directory of the peers' checkouts")
        sub.add_argument("--threads", type=int, default=2)
        sub.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
        sub.add_argument("--steps", type=int, default=5, help="timed steps of a process")
        sub.add_argument("--warmup", type=int, default=2)
        return sub

    def words(allowed):
        return lambda text: [w if w in allowed or w.isdigit() and "default" in allowed else
                             parser.error(f"{w} is none of {', '.join(allowed)}") for w in text.split(",")]

    sub = command("compare", compare, "compare Pathline with PyTorch")
    sub.add_argument("--pathline", required=True, help="the command, for example build/bin/pathline")
    sub.add_argument("--cases", type=words(CASES), default=list(CASES))
    sub.add_argument("--slices", type=words(("default", "NUMBER")), default=["default", "1"])
    sub.add_argument("--idioms", type=words(IDIOMS), default=["default", "tuned"])
    sub.add_argument("--rounds", type=int, default=9)
    sub.add_argument("--patience", type=float, default=600, help="seconds lost to noise before a case is CONTENDED")
    sub.add_argument("--most-others", type=float, default=0.1, help="cores that others may use")
    sub.add_argument("--json", metavar="FILE")
    sub = command("torch", torch_contestant, "one PyTorch process")
    sub.add_argument("--case", choices=CASES, required=True)
    sub.add_argument("--idiom", choices=IDIOMS, default="default")
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
