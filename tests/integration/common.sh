# Sourced by the integration scripts: a scratch directory, the programs, mpirun, and checks that say what failed.
set -Eeuo pipefail
pathline=$1/pathline
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'echo "FAILED at line $LINENO: $BASH_COMMAND" >&2; cat log.txt >&2 2>/dev/null || true' ERR
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH
PYTHONPATH=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)  # npz.py
cd "$scratch"
if [ "$(id -u)" -eq 0 ]; then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi

fail() { echo "FAILED: $*" >&2; exit 1; }
ranks() { local n=$1; shift; mpirun -n "$n" --oversubscribe --bind-to none "$@"; }
same_file() { cmp "$1" "$2" || fail "$1 and $2 differ"; }

# expect_exit CODE TEXT COMMAND...: the command ends with CODE and says TEXT (an extended regular expression),
# in one paragraph without a stack trace.
expect_exit() {
  local code=$1 text=$2 got=0; shift 2
  "$@" >out.txt 2>err.txt || got=$?
  [ "$got" -eq "$code" ] || { cat err.txt >&2; fail "exit code $got instead of $code: $*"; }
  cat out.txt err.txt | grep -qE "$text" || { cat err.txt >&2; fail "no \"$text\" in what it said: $*"; }
  ! grep -qE 'frame #|terminate called|Exception raised' err.txt || { cat err.txt >&2; fail "a stack trace: $*"; }
}

# small_recipe NAME MODEL_TOML: a run of 12 steps on made-up pictures in NAME.toml
small_recipe() {
  cat >"$1.toml" <<RECIPE
[run]
directory = "$1"
seed = 3
[data]
path = ["shapes.h5"]
flip = true
validation = 0.05
validation_samples = 32
[model]
$2
[train]
steps = 12
batch = 40
slices = 5
[optimizer]
lr = 1e-3
warmup_steps = 4
schedule = "cosine"
[ema]
decays = [0.9, 0.99]
[checkpoint]
every_steps = 4
keep_last = 10
RECIPE
}
small_dit='name = "DiT"
patch = 4
hidden = 48
depth = 2
heads = 3'
small_unet='name = "UNet"
channels = 32
multipliers = [1, 2]
blocks = 1
attention = [8]
head_channels = 16
dropout = 0.1'
