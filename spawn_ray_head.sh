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
  --dashboard-port PORT   the dashboard's port, or the next free one  (8265)
  --num-cpus N            CPU slots, one frame each                   (all cores)
  --num-gpus N            GPUs                                        (all found)
  --stop                  stop the head that this script started here at
                          PORT and all of its processes, and no other Ray
  --help                  this text

Environment: RAY_AUTH_TOKEN_PATH names the token file (~/.ray/auth_token).
EOF
}

fail() { echo "spawn_ray_head.sh: $1" >&2; exit "${2:-1}"; }

# All processes of Ray that this script starts inherit the variable MANDEL_RAY. Other Rays are not touched.
started() { { grep -lsz "^MANDEL_RAY=$1\$" /proc/[0-9]*/environ || true; } | cut -d/ -f3; }

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
    [[ $number =~ ^[0-9]{1,9}$ ]] || fail "'$number' is not a number; see --help" 2
done
for number in "$port" "$dashboard_port"; do
    ((10#$number >= 1 && 10#$number <= 65535)) || fail "there is no port $number; ports go from 1 to 65535" 2
done
port=$((10#$port)) dashboard_port=$((10#$dashboard_port))
for host in "$dashboard_host" ${node_ip:+"$node_ip"}; do
    [[ $host =~ ^([A-Za-z0-9][A-Za-z0-9._-]*|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]+)$ ]] || fail "'$host' is no address; see --help" 2
done

if [[ $stopping ]]; then
    stop "head:$port" || { echo "No head that this script started runs here at port $port."; exit 0; }
    # The file in which Ray notes the running cluster. All users may write into its folder, so it must be a file of ours.
    current=${RAY_TMPDIR:-${TMPDIR:-/tmp}}/ray/ray_current_cluster
    if [[ -f $current && ! -L $current && -O $current ]] && [[ $(head -c 300 "$current" | tr -d '\0\n') == *:"$port" ]]; then
        rm -f "$current"
    fi
    echo "The Ray head at port $port has stopped; its workers leave within a minute."
    exit 0
fi

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [[ -z ${VIRTUAL_ENV:-} && -z ${CONDA_PREFIX:-} && -x $here/.venv/bin/ray ]]; then
    PATH=$here/.venv/bin:$PATH
fi
command -v ray >/dev/null || fail "ray is not installed here: run \`make setup\`, or activate an \
environment with the requirements (pip install -r requirements.txt -c constraints.txt)"

# Ray checks its nodes often: by default it takes a minute to notice one that hangs.
export RAY_health_check_initial_delay_ms=${RAY_health_check_initial_delay_ms:-1000}
export RAY_health_check_period_ms=${RAY_health_check_period_ms:-500}
export RAY_health_check_timeout_ms=${RAY_health_check_timeout_ms:-1000}
export RAY_health_check_failure_threshold=${RAY_health_check_failure_threshold:-3}
# Idle workers are kept: those beside the slots, for clients that wait (mandel/driver/jobs/express.py), start slowly.
export RAY_idle_worker_killing_time_threshold_ms=${RAY_idle_worker_killing_time_threshold_ms:-600000}
# The number of tasks that the dashboard lists. Each takes 3 KB; by default Ray keeps five times as many.
export RAY_task_events_max_num_task_in_gcs=${RAY_task_events_max_num_task_in_gcs:-20000}

# Without a token Ray runs code from anybody.
export RAY_AUTH_MODE=token
token=${RAY_AUTH_TOKEN_PATH:-$HOME/.ray/auth_token}
if [[ -z ${RAY_AUTH_TOKEN:-} ]]; then
    if [[ ! -s $token ]]; then
        (umask 077; mkdir -p "$(dirname "$token")" \
            && python -c 'import secrets; print(secrets.token_hex(32), end="")' >"$token") \
            || fail "the token $token cannot be made; make its folder writable, or name another file in RAY_AUTH_TOKEN_PATH"
        echo "Made a new cluster token: $token"
    fi
    [[ -f $token && -O $token ]] || fail "the token $token is no file of yours; copy it to one, and name that in RAY_AUTH_TOKEN_PATH"
    if [[ -n $(find -L "$token" -maxdepth 0 -perm /077) ]]; then
        echo "Other users could use the token $token; its mode is 0600 now. If there are such users, replace it: \
--stop, remove the file, start again, copy it to the workers." >&2
    fi
    chmod 600 "$token"
fi

trap end EXIT
address=${node_ip:-127.0.0.1}
if (exec 3<>"/dev/tcp/$address/$port") 2>/dev/null; then
    begin "Something listens at $address:$port already; looking whether it is this cluster's head"
    facts=$("$here/spawn_ray_server.sh" --probe "$address:$port" 2>&1) || {
        end
        fail "$(sed -n 's/^spawn_ray_server.sh: //p' <<<"$facts")
What listens at $address:$port is not this cluster's head. Choose another port (--port), or end what listens there$(
            [[ -z $(started "head:$port") ]] || echo " (this script started it: --stop --port $port)")."
    }
    end
    echo "The Ray head runs at $address:$port already, with your token: all is well."
    slots=$(sed -n 's/^head CPUs: //p' <<<"$facts")
    if [[ -n $cpus && $slots != "$((10#$cpus))" ]]; then
        echo "It keeps the ${slots:-0} CPU slots that it was started with. For --num-cpus $cpus stop it first: \
./spawn_ray_head.sh --stop --port $port"
    elif [[ -n $gpus$node_ip ]] || (($#)); then
        echo "It keeps the options that it was started with. For others stop it first: ./spawn_ray_head.sh --stop --port $port"
    fi
    echo "  RAY_AUTH_MODE=token ray status --address $address:$port"
    exit 0
fi

if [[ -z $gpus ]]; then
    begin "Looking for devices"
    # Ray finds NVIDIA GPUs by itself. OpenCL also finds others.
    found=$(cd "$here" && python -m mandel doctor --gpus 2>/dev/null || true)
    if [[ $found =~ ^[0-9]+$ && $found -gt 0 ]]; then gpus=$found; fi
    end
fi

# If another program has the dashboard's port, Ray goes on without a dashboard. So look for a free port.
free=$(python - "$dashboard_host" "$dashboard_port" <<'EOF' || true
import socket, sys

host, first = sys.argv[1], int(sys.argv[2])
for port in range(first, min(first + 50, 65536)):
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            continue
        print(port)
        break
EOF
)
if [[ -n $free && $free != "$dashboard_port" ]]; then
    echo "Port $dashboard_port of $dashboard_host is taken; the dashboard takes $free."
    dashboard_port=$free
fi

log=$(mktemp)
trap 'end; rm -f "$log"' EXIT
begin "Starting Ray (10 to 40 s)"
# If anything ends this script before Ray runs, all that it started ends too.
trap 'end; stop "head:$port" || true; rm -f "$log"; exit 130' INT TERM
MANDEL_RAY=head:$port ray start --head --port "$port" \
    --dashboard-host "$dashboard_host" --dashboard-port "$dashboard_port" \
    --disable-usage-stats \
    ${node_ip:+--node-ip-address "$node_ip"} ${cpus:+--num-cpus "$cpus"} ${gpus:+--num-gpus "$gpus"} \
    "$@" >"$log" 2>&1 || {
    end
    cat "$log" >&2
    stop "head:$port" || true
    fail "ray start failed, see above; what it had started has been ended. On a busy machine try again"
}
trap - INT TERM
end
joinable=$(grep -oE -m1 "[^ ']+:$port" "$log" || echo "THIS_MACHINE:$port")
# Ray prints a dashboard address only if there is a dashboard.
if grep -q 'view the dashboard at' "$log"; then
    dashboard="http://$dashboard_host:$dashboard_port/#/cluster  (asks for the token)"
else
    dashboard="none: it did not start ($(grep -im1 -E 'dashboard.*(fail|error|occupied)|failed to bind' "$log" | tr -d '\033' | cut -c1-200 || true)); all else works"
fi

echo "The Ray head runs at $joinable."
if [[ $joinable == 127.* ]]; then
    echo "Machines beside this one cannot reach 127.0.0.1$([[ $node_ip ]] || echo ": Ray found no route out of here"). \
For workers elsewhere stop it and give this machine's address: --node-ip ADDRESS"
    addresses=$(hostname -I 2>/dev/null | xargs || true)
    [[ -z $addresses ]] || echo "It has: $addresses"
fi
cat <<EOF

Next:
  1. From here, once for     ssh WORKER 'mkdir -p -m 700 .ray'
     each worker:            scp -p $token WORKER:.ray/auth_token
     then on the worker:     ./spawn_ray_server.sh $joinable
  2. Look at the cluster:    RAY_AUTH_MODE=token ray status --address $joinable
     Dashboard:              $dashboard
  3. Start the service:      python ray_head.py   (--address $joinable, if several Rays run here)
  4. Send a payload:         python client.py
  5. Stop the head again:    ./spawn_ray_head.sh --stop$([[ $port == 6379 ]] || echo " --port $port")
EOF
