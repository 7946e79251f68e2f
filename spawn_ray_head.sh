#!/usr/bin/env bash
# Starts the Ray head of a rendering cluster on this machine.
set -euo pipefail

usage() {
    cat <<'EOF'
Usage: ./spawn_ray_head.sh [OPTIONS] [-- RAY_START_OPTIONS]
       ./spawn_ray_head.sh --stop [--port PORT]

Starts the Ray head on this machine: control store, dashboard, and a worker for
each CPU and GPU here. Activate your environment first (a virtual environment
or conda), or let the script use .venv beside it. Running it twice is harmless.

Options:
  --port PORT             port that workers and ray_head.py join at   (6379)
  --node-ip ADDRESS       address of this machine that workers reach  (Ray's choice)
  --dashboard-host HOST   where the dashboard listens; 0.0.0.0 opens
                          it to the network                           (127.0.0.1)
  --dashboard-port PORT   the dashboard's port                        (8265)
  --num-cpus N            CPU slots, one frame each                   (all cores)
  --num-gpus N            GPUs                                        (all found)
  --stop                  stop the head that this script started here at
                          PORT and all of its processes, and no other Ray
  --help                  this text

Environment: RAY_AUTH_TOKEN_PATH names the token file (~/.ray/auth_token).
EOF
}

fail() { echo "spawn_ray_head.sh: $1" >&2; exit "${2:-1}"; }

# Ray's processes are known by a variable that they all inherit; other Rays on this machine are not touched.
started() { { grep -lsz "^MANDEL_RAY=$1\$" /proc/[0-9]*/environ || true; } | cut -d/ -f3; }

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

stopping="" port=6379 node_ip="" dashboard_host=127.0.0.1 dashboard_port=8265 cpus="" gpus=""
while (($#)); do
    case $1 in
        --help|-h) usage; exit 0 ;;
        --stop) stopping=yes; shift ;;
        --port|--node-ip|--dashboard-host|--dashboard-port|--num-cpus|--num-gpus)
            (($# > 1)) || fail "$1 needs a value; see --help" 2
            case $1 in
                --port) port=$2 ;;
                --node-ip) node_ip=$2 ;;
                --dashboard-host) dashboard_host=$2 ;;
                --dashboard-port) dashboard_port=$2 ;;
                --num-cpus) cpus=$2 ;;
                --num-gpus) gpus=$2 ;;
            esac
            shift 2 ;;
        --) shift; break ;;
        *) fail "unknown option $1; see --help" 2 ;;
    esac
done
for number in "$port" "$dashboard_port" ${cpus:+"$cpus"} ${gpus:+"$gpus"}; do
    [[ $number =~ ^[0-9]+$ ]] || fail "'$number' is not a number; see --help" 2
done
for number in "$port" "$dashboard_port"; do
    ((10#$number >= 1 && 10#$number <= 65535)) || fail "there is no port $number; ports go from 1 to 65535" 2
done

if [[ $stopping ]]; then
    stop "head:$port" || { echo "No head that this script started runs here at port $port."; exit 0; }
    current=/tmp/ray/ray_current_cluster
    if [[ -f $current && $(<"$current") == *:"$port" ]]; then rm -f "$current"; fi
    echo "The Ray head at port $port has stopped; its workers leave within a minute."
    exit 0
fi

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [[ -z ${VIRTUAL_ENV:-} && -z ${CONDA_PREFIX:-} && -x $here/.venv/bin/ray ]]; then
    PATH=$here/.venv/bin:$PATH
fi
command -v ray >/dev/null || fail "ray is not installed here: run \`make setup\`, or activate an \
environment with the requirements (pip install -r requirements.txt -c constraints.txt)"

# Look often: by default Ray takes a minute to notice a worker that hangs.
export RAY_health_check_initial_delay_ms=${RAY_health_check_initial_delay_ms:-1000}
export RAY_health_check_period_ms=${RAY_health_check_period_ms:-500}
export RAY_health_check_timeout_ms=${RAY_health_check_timeout_ms:-1000}
export RAY_health_check_failure_threshold=${RAY_health_check_failure_threshold:-3}
# Of tasks that the dashboard lists, 3 KB each; Ray would keep five times as many.
export RAY_task_events_max_num_task_in_gcs=${RAY_task_events_max_num_task_in_gcs:-20000}

# Without a token Ray runs anybody's code.
export RAY_AUTH_MODE=token
token=${RAY_AUTH_TOKEN_PATH:-$HOME/.ray/auth_token}
if [[ -z ${RAY_AUTH_TOKEN:-} ]]; then
    if [[ ! -s $token ]]; then
        (umask 077; mkdir -p "$(dirname "$token")"; python -c 'import secrets; print(secrets.token_hex(32), end="")' >"$token")
        echo "Made a new cluster token: $token"
    fi
    chmod 600 "$token"
fi

address=${node_ip:-127.0.0.1}
if (exec 3<>"/dev/tcp/$address/$port") 2>/dev/null; then
    echo "Something already listens at $address:$port; if it is this cluster's head, all is well:"
    echo "  RAY_AUTH_MODE=token ray status --address $address:$port"
    exit 0
fi

if [[ -z $gpus ]]; then
    # Ray finds NVIDIA GPUs by itself; OpenCL knows the others too.
    found=$(cd "$here" && python -m mandel doctor --gpus 2>/dev/null || true)
    if [[ $found =~ ^[0-9]+$ && $found -gt 0 ]]; then gpus=$found; fi
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
MANDEL_RAY=head:$port ray start --head --port "$port" \
    --dashboard-host "$dashboard_host" --dashboard-port "$dashboard_port" \
    --disable-usage-stats \
    ${node_ip:+--node-ip-address "$node_ip"} ${cpus:+--num-cpus "$cpus"} ${gpus:+--num-gpus "$gpus"} \
    "$@" >"$log" 2>&1 \
    || { cat "$log" >&2; fail "ray start failed, see above"; }
joinable=$(grep -oE -m1 "[^ ']+:$port" "$log" || echo "THIS_MACHINE:$port")

cat <<EOF
The Ray head runs at $joinable.

Next:
  1. From here, once for     ssh WORKER 'mkdir -p -m 700 .ray'
     each worker:            scp -p $token WORKER:.ray/auth_token
     then on the worker:     ./spawn_ray_server.sh $joinable
  2. Look at the cluster:    RAY_AUTH_MODE=token ray status
     Dashboard:              http://$dashboard_host:$dashboard_port/#/cluster  (asks for the token)
  3. Start the service:      python ray_head.py   (--address $joinable, if several Rays run here)
  4. Send a payload:         python client.py
  5. Stop the head again:    ./spawn_ray_head.sh --stop$([[ $port == 6379 ]] || echo " --port $port")
EOF
