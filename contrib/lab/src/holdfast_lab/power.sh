#!/bin/sh
# The chassis of one host of the lab: power FOLDER NAMESPACE PYTHON WORD...
#
#   get power        print power:1 while anything of the host lives, else power:0
#   set power 1      power on
#   set power 0      cut: every process of the host is gone when this returns
#   set reset 1      cut, then on; its firmware takes a while before anything of it runs
#   set shutdown 1   press the power button
#
# The words are those of ipmi_sim's chassis_control. They are also what the Redfish emulator and the faults call.
set -u
folder=$1 namespace=$2 python=$3
shift 3

outer() { # the process that made the host's namespaces: it ends when the last process of the host has
    [ -f "$folder/outer.pid" ] || return 1
    read -r pid <"$folder/outer.pid" || return 1
    [ "$(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | cut -c 1-9)" = "unshare -" ] || return 1
    printf '%s\n' "$pid"
}

first() { # the first process of the host
    child=
    read -r child rest 2>/dev/null <"/proc/$1/task/$1/children" # no newline ends it, so `read` reports an end of file
    [ -n "$child" ] && printf '%s\n' "$child"
}

cut_power() {
    pid=$(outer) || return 0
    if child=$(first "$pid"); then kill -KILL "$child" 2>/dev/null; else kill -KILL "$pid" 2>/dev/null; fi
    while outer >/dev/null; do sleep 0.01; done
}

power_on() { # how many seconds its firmware takes; the chassis is on meanwhile
    outer >/dev/null && return 0
    setsid ip netns exec "$namespace" unshare --pid --mount --uts --ipc --fork --kill-child=SIGKILL --mount-proc \
        tini -g -- "$python" -m holdfast_lab.machine "$folder" "$1" \
        </dev/null >>"$folder/logs/machine.log" 2>&1 9>&- &
    echo $! >"$folder/outer.pid"
    tries=0
    until pid=$(outer) && first "$pid" >/dev/null; do
        tries=$((tries + 1))
        [ $tries -lt 500 ] || exit 1
        sleep 0.01
    done
}

case "$1 $2" in
    "get power")
        if outer >/dev/null; then echo power:1; else echo power:0; fi
        exit 0
        ;;
esac
exec 9>"$folder/power.lock"
flock 9
case "$1 $2 ${3:-}" in
    "set power 0") cut_power ;;
    "set power 1") power_on 0 ;; # nobody tries what happens while somebody waits for it
    "set reset 1") cut_power; power_on 20 ;; # servers take longer; this outlasts every way to fence one that hangs
    "set shutdown 1") pid=$(outer) && child=$(first "$pid") && kill -TERM "$child" ;;
    *) echo "power: unknown words: $*" >&2; exit 2 ;;
esac
exit 0
