#!/usr/bin/env bash
# Joins this machine to a rendering cluster as a worker.
set -euo pipefail

usage() {
    cat <<'EOF'
Usage: ./spawn_ray_server.sh HEAD:PORT [OPTIONS] [-- RAY_START_OPTIONS]
       ./spawn_ray_server.sh --stop [HEAD:PORT]
       ./spawn_ray_server.sh --probe HEAD:PORT

Joins this machine's CPUs and GPUs to the cluster whose head runs at HEAD:PORT
(spawn_ray_head.sh prints it). Needs the pinned requirements in the active
environment, the same Ray and Python version as the head, and its token; a
checkout of the project is not needed. Says what is wrong before it joins.
A machine joins a cluster once, or its cores would count twice.

Options:
  --num-cpus N     CPU slots, one frame each        (all cores)
  --num-gpus N     GPUs                             (all found)
  --node-ip ADDR   address under which the others
                   reach this machine               (Ray's choice)
  --again          join once more, as another node of the cluster
  --probe          only look whether this machine could join
  --stop           leave again: stop what this script started
                   here, for HEAD:PORT alone if it is named;
                   no other Ray is touched
  --help           this text

Environment: RAY_AUTH_TOKEN_PATH names the token file (~/.ray/auth_token).
EOF
}

fail() { echo "spawn_ray_server.sh: $1" >&2; exit "${2:-1}"; }

# All processes of Ray that this script starts inherit the variable MANDEL_RAY. Other Rays are not touched.
started() { { grep -lsz "^MANDEL_RAY=$1\$" /proc/[0-9]*/environ || true; } | cut -d/ -f3; }

heads() { # prints the cluster heads that the processes whose MANDEL_RAY matches $1 work for
    local pid
    for pid in $(started "$1"); do
        { tr '\0' '\n' <"/proc/$pid/environ" | sed -n 's/^MANDEL_RAY=worker://p'; } 2>/dev/null || true
    done | sort -u | paste -sd ' '
}

stop() { # ends the processes whose MANDEL_RAY matches $1; fails if there are none
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

told=""
tell() { # shows text $1 and the seconds that have passed, until it is killed; on a terminal it rewrites its line
    local began=$SECONDS
    if [[ -t 2 ]]; then echo -n "$1 ... " >&2; else echo "$1 ..." >&2; fi
    while sleep 1 >/dev/null 2>&1; do # a sleep that outlives this loop must not hold our output open
        if [[ -t 2 ]]; then
            echo -ne "\r$1 ... $((SECONDS - began)) s " >&2
        elif (((SECONDS - began) % 10 == 0)); then
            echo "$1 ... $((SECONDS - began)) s" >&2
        fi
    done
}
begin() { end; tell "$1" & told=$!; }
end() {
    [[ $told ]] || return 0
    kill "$told" 2>/dev/null || true
    wait "$told" 2>/dev/null || true
    told=""
    [[ ! -t 2 ]] || echo >&2
}

stopping="" probing="" again="" head="" node_ip="" cpus="" gpus=""
while (($#)); do
    case $1 in
        --help|-h) usage; exit 0 ;;
        --stop) stopping=yes; shift ;;
        --probe) probing=yes; shift ;;
        --again) again=yes; shift ;;
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
if [[ -n $head || -z $stopping ]]; then
    [[ $head =~ ^([A-Za-z0-9]([A-Za-z0-9._-]*)|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})$ ]] \
        || fail "name the head as HEAD:PORT, e.g. ./spawn_ray_server.sh 192.168.1.10:6379" 2
    port=$((10#${BASH_REMATCH[3]}))
    ((port >= 1 && port <= 65535)) || fail "there is no port $port; ports go from 1 to 65535" 2
    host=${BASH_REMATCH[1]//[\[\]]/} head=${BASH_REMATCH[1]}:$port
fi
mark=worker:$(sed 's/[].[]/\\&/g' <<<"$head")  # escaped, for use as a pattern
[[ $head ]] || mark='worker:.*'
if [[ $stopping ]]; then
    left=$(heads "$mark")
    stop "$mark" || { echo "Nothing that this script started${head:+ for $head} runs here."; exit 0; }
    echo "This machine has left the cluster at ${left:-$head}."
    exit 0
fi
for number in ${cpus:+"$cpus"} ${gpus:+"$gpus"}; do
    [[ $number =~ ^[0-9]{1,9}$ ]] || fail "'$number' is not a number; see --help" 2
done
[[ -z $node_ip || $node_ip =~ ^([A-Za-z0-9][A-Za-z0-9._-]*|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]+)$ ]] || fail "'$node_ip' is no address; see --help" 2
if [[ -z $probing$again && -n $(started "$mark") ]]; then
    fail "this machine works for the cluster at $head already: joined once more, its cores would count twice. \
To change its options leave first (--stop $head); for another node here: --again"
fi
others=$(heads 'worker:.*')
if [[ -z $probing && -n $others ]]; then
    echo "This machine works for ${others// / and } too: its cores count for each, unless --num-cpus shares them out." >&2
fi

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [[ -z ${VIRTUAL_ENV:-} && -z ${CONDA_PREFIX:-} && -x $here/.venv/bin/ray ]]; then
    PATH=$here/.venv/bin:$PATH
fi
command -v ray >/dev/null || fail "ray is not installed here: run \`make setup\`, or activate an \
environment with the requirements (pip install -r requirements.txt -c constraints.txt)"

export RAY_AUTH_MODE=token
# Idle workers are kept, as on the head (spawn_ray_head.sh): each node reads this for itself.
export RAY_idle_worker_killing_time_threshold_ms=${RAY_idle_worker_killing_time_threshold_ms:-600000}
token=${RAY_AUTH_TOKEN_PATH:-$HOME/.ray/auth_token}
if [[ -z ${RAY_AUTH_TOKEN:-} && ! -s $token ]]; then
    fail "the cluster's token is missing; on the head: ssh WORKER 'mkdir -p -m 700 .ray', then \
scp -p ~/.ray/auth_token WORKER:.ray/auth_token (here $token, mode 0600)"
fi

if [[ -z ${RAY_AUTH_TOKEN:-} && -O $token && -n $(find -L "$token" -maxdepth 0 -perm /077) ]]; then
    chmod 600 "$token"
    echo "Other users of this machine could use the token $token; its mode is 0600 now." >&2
fi

trap end EXIT
[[ $probing ]] || begin "Looking at $head"
# shellcheck disable=SC2016  # the inner shell expands its arguments
timeout 4 bash -c 'exec 3<>"/dev/tcp/$1/$2"' - "$host" "$port" 2>/dev/null \
    || fail "nothing answers at $head: is the head up (./spawn_ray_head.sh there), the address right, the port open in its firewall?"

# Ray's own check comes after long retries and names no remedy. This one uses private API of the pinned Ray.
facts=$(timeout 30 python - "$head" "$host" "$port" <<'EOF'
import glob, json, os, platform, socket, sys

def fail(text):
    sys.exit(f"spawn_ray_server.sh: {text}")

address, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
not_ray = (f"what answers at {address} is no Ray head: is it the address and port that spawn_ray_head.sh printed?")
# The token is not sent to a program that does not speak HTTP/2, nor to another user of this machine.
try:
    with socket.create_connection((host, port), timeout=5) as connection:
        if sys.platform == "linux" and connection.getsockname()[0] == connection.getpeername()[0]:
            rows = [line.split() for table in glob.glob("/proc/net/tcp*") for line in open(table)]
            owners = {row[7] for row in rows if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port}
            if not owners <= {str(os.geteuid())}:
                fail(f"another user's program listens at {address}")
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
        if connection.recv(9, socket.MSG_WAITALL)[3:4] != b"\4":
            fail(not_ray)
except OSError:
    fail(not_ray)

import ray
from ray._raylet import GcsClient

try:
    client = GcsClient(address=address)
    kept = client.internal_kv_get(b"CLUSTER_METADATA", b"cluster", timeout=5)
except Exception as error:
    if "auth" in str(error).lower():
        fail("the head refuses this machine's token: copy it again from the head (~/.ray/auth_token)")
    fail(f"{address} does not answer as a Ray head does: {error}")
head = json.loads(kept or b"{}")
for name, own in (("ray", ray.__version__), ("python", platform.python_version())):
    theirs = head.get(f"{name}_version", own)
    if theirs != own:
        fail(f"{name} is {own} here and {theirs} on the head; install the head's version here "
             "(requirements.txt and constraints.txt pin it) and try again")
alive = [node for node in client.get_all_node_info(timeout=5).values() if node.state == 0 and node.is_head_node]
if not alive:
    fail(f"the head at {address} was begun and never came up, or has died: stop it there (./spawn_ray_head.sh "
         "--stop) and start it again")
print(f"head CPUs: {alive[0].resources_total.get('CPU', 0):.0f}")
EOF
) || { (($? == 124)) || exit 1; fail "what answers at $head does not answer as a Ray head does"; }
if [[ $probing ]]; then
    echo "This machine can join the cluster at $head."
    echo "$facts"
    exit 0
fi
if [[ -z $cpus && -n $(started "head:$port") ]]; then
    end
    echo "The head runs on this machine too: its cores count twice now, unless --num-cpus says how many are for whom." >&2
fi

if [[ -z $gpus ]]; then
    begin "Looking for devices"
    # Ray finds NVIDIA GPUs by itself. OpenCL also finds others, if a checkout is there to ask it.
    found=$(cd "$here" && python -m mandel doctor --gpus 2>/dev/null || true)
    if [[ $found =~ ^[0-9]+$ && $found -gt 0 ]]; then gpus=$found; fi
fi

log=$(mktemp)
trap 'end; rm -f "$log"' EXIT
begin "Joining $head (10 to 20 s)"
MANDEL_RAY=worker:$head ray start --address "$head" --disable-usage-stats \
    ${node_ip:+--node-ip-address "$node_ip"} ${cpus:+--num-cpus "$cpus"} ${gpus:+--num-gpus "$gpus"} \
    "$@" >"$log" 2>&1 || {
    end
    cat "$log" >&2
    [[ $again ]] || stop "$mark" || true
    fail "ray start failed, see above$([[ $again ]] || echo "; what it had started has been ended")"
}
end

cat <<EOF
This machine works for the cluster at $head${cpus:+, CPU slots: $cpus}${gpus:+, GPUs: $gpus}.

Next:
  See it listed:   RAY_AUTH_MODE=token ray status --address $head
  Leave again:     ./spawn_ray_server.sh --stop $head
EOF
