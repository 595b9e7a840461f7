# Sourced by the scripts that start a pool: its processes, by the ids that they were given here.
declare -A pids=()

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# start NAME COMMAND...: its output goes to NAME.log
start() {
  local name=$1; shift
  "$@" >>"$name.log" 2>&1 &
  pids[$name]=$!
}
# stop NAME SIGNAL: returns its exit code
stop() {
  local code=0
  kill "-$2" "${pids[$1]}" 2>/dev/null || true
  wait "${pids[$1]}" 2>/dev/null || code=$?
  unset "pids[$1]"
  return $code
}
kill_all() {
  local name
  for name in "${!pids[@]}"; do kill -CONT "${pids[$name]}" 2>/dev/null || true; kill -9 "${pids[$name]}" 2>/dev/null || true; done
}
serve() { start dispatcher "$pathline" pool serve --pool pool --lease "${lease:-2}" --listen "127.0.0.1:${port:-0}"; }
worker() { local name=$1; shift; start "$name" "$pathline" pool worker --pool pool --threads 1 --patience 60 "$@"; }
pool() { local command=$1; shift; "$pathline" pool "$command" --pool pool "$@"; }
wait_until() { # COMMAND...: for at most a minute
  local end=$((SECONDS + 60))
  until "$@"; do
    [ $SECONDS -lt $end ] || { tail -n 20 ./*.log >&2; fail "not within a minute: $*"; }
    sleep 0.1
  done
}
served() { pool status >/dev/null 2>&1; }

# A model that is trained for a moment: small pictures with labels.
make_model() {
  $pathline data make shapes --count 200 --size 16 --seed 1 -o shapes.h5 >/dev/null
  small_recipe model "$small_dit"
  $pathline train model.toml 2>>log.txt
  model=$PWD/model
}
