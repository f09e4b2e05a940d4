#!/bin/sh
# Control the engine's daemon:
#   status                    exit 0 if systemd or this script started it
#   running                   exit 0 if it runs, whatever started it
#   live-restore              let containers survive a restart, as the settings in the file must say
#   log FILE                  print the end of its log
#   started | restarted FILE  start or restart it, on a host without systemd; it logs to FILE
set -eu

program=$(command -v dockerd)
daemon() { start-stop-daemon --pidfile=/run/face-app-dockerd.pid --exec="$program" "$@"; }
running() { start-stop-daemon --status --exec="$program"; }
survive() { timeout 10 docker info --format '{{.LiveRestoreEnabled}}'; }

if [ -d /run/systemd/system ]; then
    status() { systemctl is-active --quiet docker; }
    reload() { systemctl reload docker; }
    log() { journalctl --unit=docker --identifier=dockerd --lines=5 --output=cat; }
else
    status() { daemon --status; }
    reload() { daemon --stop --signal=HUP; }
    log() { tail --lines=5 "$1"; }
fi

start() {
    # Do not start a second daemon: a running one may not answer yet.
    ! running || exit 0
    # A killed daemon leaves its PID files; the PIDs may belong to other processes by now.
    rm -f /run/docker.pid /run/docker/containerd/containerd.pid
    daemon --start --background --make-pidfile --output="$1"
}

case $1 in
status) status ;;
running) running ;;
live-restore)
    # An engine that does not answer is restarted without it.
    [ "$(survive)" = false ] || exit 0
    reload
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        [ "$(survive)" != true ] || exit 0
        sleep 1
    done
    echo "live-restore is not in force" >&2
    exit 1
    ;;
log) log "$2" ;;
started) start "$2" ;;
restarted)
    daemon --stop --oknodo --retry=TERM/60/KILL/5
    start "$2"
    ;;
esac
