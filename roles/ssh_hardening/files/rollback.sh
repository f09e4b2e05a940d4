#!/bin/sh
# Saves files in its own folder and restores them. It needs no connection.
#   rollback.sh timer SECONDS RELOAD PATH...  save these files, and owner and mode of folders, and restore them after SECONDS, by a
#                                             systemd timer whose time starts again after a reboot; RELOAD applies restored files
#   rollback.sh wait SECONDS RELOAD PATH...   the same without systemd, in a process that survives the login but no reboot
#   rollback.sh restore                       restore files that differ, reload, and remove this folder and the timer
#   rollback.sh discard                       remove this folder and the timer; fail if the files were already restored
set -eu
umask 077
cd "$(dirname "$0")"
home=$PWD unit=/etc/systemd/system/face-app-ssh-rollback

save() {
    printf '%s\n' "$1" >reload
    shift
    realpath --canonicalize-missing -- "$@" | sort -u | while read -r path; do
        if [ -e "$path" ]; then printf '%s\n' "$path"; else printf '%s\n' "$path" >&3; fi
    done >present 3>absent
    tar --create --absolute-names --no-recursion --files-from=present --file=draft.tar
    mv draft.tar saved.tar
}

start_timer() {
    cat >"$unit.service" <<END
[Unit]
Description=Restore the former settings of sshd

[Service]
Type=oneshot
ExecStart=/bin/sh $home/rollback.sh restore
END
    cat >"$unit.timer" <<END
[Unit]
Description=Restore the former settings of sshd unless an Ansible run verifies the new ones in time

[Timer]
OnActiveSec=$1
AccuracySec=1s

[Install]
WantedBy=timers.target
END
    chmod 644 "$unit.service" "$unit.timer"
    systemctl daemon-reload
    systemctl enable --quiet --now "${unit##*/}.timer"
}

wait_and_restore() {
    # A later run removes this token with the folder, so this process then does nothing.
    token=$(mktemp token.XXXXXX)
    setsid sh -c 'sleep "$1"; [ ! -e "$2" ] || exec sh "$3" restore' - "$1" "$home/$token" "$home/rollback.sh" \
        </dev/null >/dev/null 2>&1 &
}

restore() {
    changed=''
    while read -r path; do
        [ ! -f "$path" ] || { rm "$path" && changed=yes; }
    done <absent
    if ! tar --diff --absolute-names --file=saved.tar >/dev/null 2>&1; then
        tar --extract --absolute-names --preserve-permissions --file=saved.tar
        changed=yes
    fi
    # A daemon that the reload starts must not inherit the lock.
    [ -z "$changed" ] || sh reload 9<&- || true
}

remove() {
    if [ -e "$unit.timer" ]; then
        systemctl disable --quiet --now "${unit##*/}.timer"
        rm "$unit.timer" "$unit.service"
        systemctl daemon-reload
    fi
    cd / && rm -rf "$home"
}

case $1 in
timer | wait)
    method=$1 seconds=$2
    shift 2
    save "$@"
    if [ "$method" = timer ]; then start_timer "$seconds"; else wait_and_restore "$seconds"; fi
    ;;
restore | discard)
    # Serialize: the timer and a run may start at the same time.
    exec 9<. && flock 9
    if [ -e saved.tar ]; then
        [ "$1" = discard ] || restore
        remove
    elif [ "$1" = discard ]; then
        exit 1
    elif [ -e rollback.sh ]; then
        # The run was interrupted before it saved anything.
        remove
    fi
    ;;
esac
