# Daemons of a development cluster: packages, ports, start, stop. Sourced by slurm and gridengine beside this file.
#
# Every daemon runs in the foreground of a session of its own and is known by a file pid/NAME. A stopped daemon may
# stay as a zombie where nobody reaps it, so the state in /proc is looked at, never `kill -0`.

say() { echo "$(basename "$0"): $*" >&2; }

give_up() {
    say "$@"
    exit 1
}

# need_packages COMMANDS PACKAGES: install the packages where one of the commands is missing.
need_packages() {
    local command missing=
    for command in $1; do
        [ -e "$command" ] || command -v "$command" >/dev/null || missing="$missing $command"
    done
    [ -n "$missing" ] || return 0
    command -v apt-get >/dev/null || give_up "missing:$missing; install the equivalents of: $2"
    say "installing $2"
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086  # a list of packages
    without_starting apt-get install -y -q --no-install-recommends $2 >"$FOLDER/apt.log" 2>&1 ||
        { apt-get update -q && without_starting apt-get install -y -q --no-install-recommends $2; } \
            >"$FOLDER/apt.log" 2>&1 || give_up "packages cannot be installed, see $FOLDER/apt.log"
}

# without_starting COMMAND...: packages that start their service when they are installed are kept from it.
without_starting() {
    local policy=/usr/sbin/policy-rc.d made= code=0
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        made=1
    fi
    "$@" || code=$?
    [ -z "$made" ] || rm -f "$policy"
    return "$code"
}

# free_ports COUNT: the first of so many neighbouring ports that nobody listens on.
free_ports() {
    local base port try
    for try in $(seq 50); do
        base=$((20000 + (RANDOM * 32768 + RANDOM + try) % 11000))
        for port in $(seq "$base" $((base + $1 - 1))); do
            ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || continue 2
        done
        echo "$base"
        return
    done
    give_up "no $1 neighbouring ports are free"
}

# launch NAME COMMAND...: start a daemon that stays in the foreground.
launch() {
    local name=$1
    shift
    setsid "$@" >>"$FOLDER/log/$name.out" 2>&1 </dev/null &
    echo $! >"$FOLDER/pid/$name"
}

# is_running PID: true for a process that is no zombie.
is_running() {
    local state
    state=$(sed 's/^.*) //' "/proc/$1/stat" 2>/dev/null) || return 1
    [ -n "$state" ] && [ "${state%% *}" != Z ]
}

# await SECONDS WHAT COMMAND...: wait until a command succeeds.
await() {
    local tries=$(($1 * 20)) what=$2
    shift 2
    while ! "$@" >/dev/null 2>&1; do
        [ $((tries -= 1)) -gt 0 ] || give_up "$what: not ready in time, see $FOLDER/log"
        sleep 0.05
    done
}

# halt NAME...: end daemons, politely, then by force.
halt() {
    local name pid tries
    for name in "$@"; do
        [ -f "$FOLDER/pid/$name" ] || continue
        pid=$(cat "$FOLDER/pid/$name")
        kill "$pid" 2>/dev/null || true
        tries=100
        while is_running "$pid"; do
            [ $((tries -= 1)) -gt 0 ] || kill -KILL "$pid" 2>/dev/null || true
            sleep 0.05
        done
        rm -f "$FOLDER/pid/$name"
    done
}

# run_command ACTION [FOLDER]: what both scripts understand.
run_command() {
    [ "$(id -u)" = 0 ] || give_up "needs root, to run a scheduler's daemons"
    FOLDER=$(readlink -f "${2:-${TMPDIR:-/tmp}/thalweg-$(basename "$0")}")
    case ${1:-} in
    start)
        mkdir -p "$FOLDER/pid" "$FOLDER/log"
        chmod 755 "$FOLDER"
        [ -f "$FOLDER/environment" ] || start
        cat "$FOLDER/environment"
        ;;
    stop)
        [ -d "$FOLDER" ] || give_up "$FOLDER: no cluster there"
        stop
        rm -rf "$FOLDER"
        ;;
    *) give_up "usage: $0 start|stop [FOLDER]; eval \"\$($0 start)\" sets this shell up" ;;
    esac
}
