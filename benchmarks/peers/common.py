# SPDX-License-Identifier: Apache-2.0
"""What the comparisons with other systems share: loading the original networks, quiet measurement, order statistics.

The networks of the peers are imported from checkouts of their own repositories (--peers DIR holds SiT/ and
conditional-flow-matching/); nothing of them is copied here. No module at this level imports torch, so that a
program which only starts and compares processes stays small.
"""
import importlib.util
import json
import math
import os
import resource
import statistics
import sys
import time
import types


# ---- the original networks ------------------------------------------------------------------------------------------
class _StubFinder:
    """Lets timm import without packages that its transformer layers do not use (torchvision, huggingface_hub, PIL)."""

    def __init__(self, roots):
        self.roots = roots

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.roots:
            return importlib.util.spec_from_loader(name, self, is_package=True)
        return None

    def create_module(self, spec):
        return _Stub(spec.name)

    def exec_module(self, module):
        pass


class _StubClass(type):
    def __getattr__(cls, name):  # a member of an enumeration, or an enumeration inside a module
        if name.startswith("__"):
            raise AttributeError(name)
        return _StubClass(name, (), {})


class _Stub(types.ModuleType):
    __path__ = []
    __version__ = "0.0"

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        import torch
        return _StubClass(name, (torch.nn.Module,), {})


def _import_timm():
    absent = [m for m in ("torchvision", "huggingface_hub", "PIL") if importlib.util.find_spec(m) is None]
    finder = _StubFinder(absent)
    sys.meta_path.insert(0, finder)
    try:
        import timm.models.vision_transformer  # noqa: F401
    finally:
        sys.meta_path.remove(finder)
        for name in [n for n in sys.modules if n.split(".")[0] in absent]:
            del sys.modules[name]


def _load(name, path):
    if not os.path.exists(path):
        raise SystemExit(f"{path} is missing: --peers must hold checkouts of the peers' repositories "
                         "(see benchmarks/README.md)")
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def sit(peers):
    """models.py of willisma/SiT; network(x, t, y) with x (N, C, H, W), t (N) in [0, 1], y (N)."""
    _import_timm()
    return _load("peer_sit", os.path.join(peers, "SiT", "models.py"))


def torchcfm_unet(peers):
    """The U-Net of atong01/conditional-flow-matching, without its package's __init__ (which wants POT)."""
    base = os.path.join(peers, "conditional-flow-matching", "torchcfm", "models", "unet")
    package = types.ModuleType("peer_cfm_unet")
    package.__path__ = [base]
    sys.modules["peer_cfm_unet"] = package
    return _load("peer_cfm_unet.unet", os.path.join(base, "unet.py"))


# ---- measuring ------------------------------------------------------------------------------------------------------
def peak_rss_bytes():
    """VmHWM of this process."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


class OtherLoad:
    """Cores that everybody but this process and its finished children used since the object was made."""

    def __init__(self):
        self.start = (time.perf_counter(), self._machine(), self._own())

    @staticmethod
    def _machine():
        with open("/proc/stat") as stat:
            ticks = [int(word) for word in stat.readline().split()[1:9]]
        return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")  # without idle and iowait, with steal

    @staticmethod
    def _own():
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(u.ru_utime + u.ru_stime for u in used)

    def cores(self):
        wall, machine, own = self.start
        seconds = time.perf_counter() - wall
        return max(0.0, (self._machine() - machine) - (self._own() - own)) / max(seconds, 1e-6)


def wait_for_quiet(limit_s, most_cores):
    """Waits, at most limit_s, for a second in which the others use at most most_cores; returns what they used last."""
    deadline = time.time() + limit_s
    while True:
        others = OtherLoad()
        time.sleep(1.0)
        cores = others.cores()
        if cores <= most_cores or time.time() >= deadline:
            return cores


def median_interval(values, level=0.95):
    """(median, low, high, coverage): the tightest symmetric pair of order statistics that holds the median of the
    population with at least `level` probability, whatever its distribution (David & Nagaraja, Order Statistics, 7.1).
    From fewer than 6 values 95 % cannot be had: the extremes are returned with the coverage they have."""
    ordered, n = sorted(values), len(values)
    best = (ordered[0], ordered[-1], 1 - 2 * 0.5 ** n)
    for k in range(1, (n + 1) // 2):  # k values left out at each end
        coverage = 1 - 2 * sum(math.comb(n, i) for i in range(k + 1)) * 0.5 ** n
        if coverage < level:
            break
        best = (ordered[k], ordered[n - 1 - k], coverage)
    return (statistics.median(ordered), *best)


def write_json(path, record):
    with open(path, "w") as out:
        json.dump(record, out, indent=2)
        out.write("\n")
