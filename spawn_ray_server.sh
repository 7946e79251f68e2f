#!/usr/bin/env bash
# Joins this machine to a rendering cluster as a worker.
set -euo pipefail

usage() {
    cat <<'EOF'
Usage: ./spawn_ray_server.sh HEAD:PORT [OPTIONS] [-- RAY_START_OPTIONS]
       ./spawn_ray_server.sh --stop [HEAD:PORT]

Joins this machine's CPUs and GPUs to the cluster whose head runs at HEAD:PORT
(spawn_ray_head.sh prints it). Needs the pinned requirements in the active
environment, the same Ray and Python version as the head, and its token; a
checkout of the project is not needed. Says what is wrong before it joins.

Options:
  --num-cpus N     CPU slots, one frame each        (all cores)
  --num-gpus N     GPUs                             (all found)
  --node-ip ADDR   address under which the others
                   reach this machine               (Ray's choice)
  --stop           leave again: stop what this script started
                   here, for HEAD:PORT alone if it is named;
                   no other Ray is touched
  --help           this text

Environment: RAY_AUTH_TOKEN_PATH names the token file (~/.ray/auth_token).
EOF
}

fail() { echo "spawn_ray_server.sh: $1" >&2; exit "${2:-1}"; }

# Ray's processes are known by a variable that they all inherit; other Rays on this machine are not touched.
started() { { grep -lsz "^MANDEL_RAY=$1\$" /proc/[0-9]*/environ || true; } | cut -d/ -f3; }

heads() { # the heads of the processes whose MANDEL_RAY matches $1
    local pid
    for pid in $(started "$1"); do
        { tr '\0' '\n' <"/proc/$pid/environ" | sed -n 's/^MANDEL_RAY=worker://p'; } 2>/dev/null || true
    done | sort -u | paste -sd ' '
}

stop() { # ends the processes whose MANDEL_RAY matches $1; fails when there are none
    local pids deadline=$((SECONDS + 10))
    pids=$(started "$1")
    [[ -n $pids ]] || return 1
    # shellcheck disable=SC2086  # several words
    kill $pids 2>/dev/null || true
    while ((SECONDS < deadline)); do
        sleep 0.2
        pids=$(started "$1")
        [[ -n $pids ]] || return 0
    done
    # shellcheck disable=SC2086
    kill -KILL $pids 2>/dev/null || true
}

stopping="" head="" node_ip="" cpus="" gpus=""
while (($#)); do
    case $1 in
        --help|-h) usage; exit 0 ;;
        --stop) stopping=yes; shift ;;
        --node-ip|--num-cpus|--num-gpus)
            (($# > 1)) || fail "$1 needs a value; see --help" 2
            case $1 in
                --node-ip) node_ip=$2 ;;
                --num-cpus) cpus=$2 ;;
                --num-gpus) gpus=$2 ;;
            esac
            shift 2 ;;
        --) shift; break ;;
        -*) fail "unknown option $1; see --help" 2 ;;
        *) [[ -z $head ]] || fail "only one HEAD:PORT, please; see --help" 2; head=$1; shift ;;
    esac
done
if [[ $stopping ]]; then
    left=$(heads "worker:${head:-.*}")
    stop "worker:${head:-.*}" || { echo "Nothing that this script started${head:+ for $head} runs here."; exit 0; }
    echo "This machine has left the cluster at ${left:-$head}."
    exit 0
fi
[[ $head =~ ^[^:]+:[0-9]+$ ]] || fail "name the head as HEAD:PORT, e.g. ./spawn_ray_server.sh 192.168.1.10:6379" 2
for number in ${cpus:+"$cpus"} ${gpus:+"$gpus"}; do
    [[ $number =~ ^[0-9]+$ ]] || fail "'$number' is not a number; see --help" 2
done

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [[ -z ${VIRTUAL_ENV:-} && -z ${CONDA_PREFIX:-} && -x $here/.venv/bin/ray ]]; then
    PATH=$here/.venv/bin:$PATH
fi
command -v ray >/dev/null || fail "ray is not installed here: run \`make setup\`, or activate an \
environment with the requirements (pip install -r requirements.txt -c constraints.txt)"

export RAY_AUTH_MODE=token
token=${RAY_AUTH_TOKEN_PATH:-$HOME/.ray/auth_token}
if [[ -z ${RAY_AUTH_TOKEN:-} && ! -s $token ]]; then
    fail "the cluster's token is missing; on the head: ssh WORKER 'mkdir -p -m 700 .ray', then \
scp -p ~/.ray/auth_token WORKER:.ray/auth_token (here $token, mode 0600)"
fi

timeout 4 bash -c "exec 3<>/dev/tcp/${head%:*}/${head##*:}" 2>/dev/null \
    || fail "nothing answers at $head: is the head up (./spawn_ray_head.sh there), the address right, the port open in its firewall?"

not_ray="what answers at $head is no Ray head: is it the address and port that spawn_ray_head.sh printed?"
# Ray's own check comes after long retries and names no remedy. Private API of the pinned Ray.
timeout 20 python - "$head" <<'EOF' || { (($? == 124)) || exit 1; fail "$not_ray"; }
import json, platform, sys
import ray
from ray._raylet import GcsClient

def fail(text):
    sys.exit(f"spawn_ray_server.sh: {text}")

try:
    kept = GcsClient(address=sys.argv[1]).internal_kv_get(b"CLUSTER_METADATA", b"cluster", timeout=3)
except Exception as error:
    if "auth" in str(error).lower():
        fail("the head refuses this machine's token: copy it again from the head (~/.ray/auth_token)")
    fail(f"{sys.argv[1]} does not answer as a Ray head does: {error}")
head = json.loads(kept or b"{}")
for name, own in (("ray", ray.__version__), ("python", platform.python_version())):
    theirs = head.get(f"{name}_version", own)
    if theirs != own:
        fail(f"{name} is {own} here and {theirs} on the head; install the head's version here "
             "(requirements.txt and constraints.txt pin it) and try again")
EOF

if [[ -z $gpus ]]; then
    # Ray finds NVIDIA GPUs by itself; OpenCL, where there is a checkout, knows the others too.
    found=$(cd "$here" && python -m mandel doctor --gpus 2>/dev/null || true)
    if [[ $found =~ ^[0-9]+$ && $found -gt 0 ]]; then gpus=$found; fi
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
MANDEL_RAY=worker:$head ray start --address "$head" --disable-usage-stats \
    ${node_ip:+--node-ip-address "$node_ip"} ${cpus:+--num-cpus "$cpus"} ${gpus:+--num-gpus "$gpus"} \
    "$@" >"$log" 2>&1 || { cat "$log" >&2; fail "ray start failed, see above"; }

cat <<EOF
This machine works for the cluster at $head${cpus:+, CPU slots: $cpus}${gpus:+, GPUs: $gpus}.

Next:
  See it listed:   RAY_AUTH_MODE=token ray status --address $head
  Leave again:     ./spawn_ray_server.sh --stop $head
EOF
