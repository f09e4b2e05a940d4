"""Test the role ssh_hardening against a real sshd: keys get in, passwords do not, and no run locks its operator out."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.playbook import FIRST, SECOND
from support.ssh_host import PASSWORD, SshHost, ssh_host, wait_until

MATCH_BOB = r"printf 'Match User bob\n    PasswordAuthentication yes\n' >> /etc/ssh/sshd_config"
DROP_IN = "/etc/ssh/sshd_config.d/00-face-app.conf"
ADMIN = "face-admin"

pytestmark = [pytest.mark.host, pytest.mark.timeout(1800)]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[SshHost]:
    with ssh_host(f"ssh-hardening-{os.getpid()}", tmp_path) as each:
        yield each


def rollback_parts(host: SshHost) -> str:
    """List what the rollback has on the host while it is armed."""
    return host.sh(
        "ls /var/lib /etc/systemd/system /etc/systemd/system/timers.target.wants 2>/dev/null | grep face-app || true"
    )


@contextmanager
def left_alone(host: SshHost) -> Iterator[None]:
    """Assert that sshd's files are restored, root gets in, and no part of the rollback is left."""
    before = host.state()
    yield
    assert host.state() == before
    assert host.gets_in("root")
    assert rollback_parts(host) == ""


def make_key(place: Path, kind: str = "ed25519") -> str:
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", place], check=True)
    return place.with_name(place.name + ".pub").read_text()


def signs_in(host: SshHost, key: str) -> bool:
    """Log in as the administrator with another key than the operator's."""
    known = f"UserKnownHostsFile={host.home}/known_hosts"
    plain = ["ssh", "-F", "none", "-o", known, "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-i", host.home / key]
    return subprocess.run([*plain, f"{ADMIN}@{host.address}", "true"], check=False, timeout=60).returncode == 0


@pytest.mark.parametrize("programs", [FIRST, SECOND], ids=["first core", "second core"])
def test_keys_get_in_and_passwords_do_not(host, programs):
    host.sh("echo 'PermitRootLogin yes' > /etc/ssh/sshd_config.d/50-cloud-init.conf")
    host.reload()
    assert host.gets_in_with_password("root")

    assert host.play(programs=programs).error == ""
    assert host.gets_in("root")
    assert host.gets_in(ADMIN, command="sudo -n true")
    assert not host.gets_in_with_password("root")

    # From now on the operator has another user, and root is no longer needed.
    second = host.play(programs=programs, ansible_user=ADMIN)
    assert second.error == ""
    assert not host.gets_in("root")
    again = host.play(programs=programs, ansible_user=ADMIN)
    assert again.rc == 0
    assert again.stats["box"]["changed"] == 0


def test_without_a_public_key_nothing_is_touched(host):
    with left_alone(host):
        error = host.play(public_key_file="/nowhere/key.pub").error
        assert "no public key /nowhere/key.pub" in error
        assert ADMIN not in host.sh("cat /etc/passwd")


def test_the_default_is_the_first_key_that_exists(host, monkeypatch):
    (host.home / ".ssh").mkdir()
    monkeypatch.setenv("HOME", str(host.home))
    loose = {
        "ansible_ssh_private_key_file": None,
        "ansible_ssh_common_args": f"-F none -o UserKnownHostsFile={host.home}/known_hosts -o IdentitiesOnly=yes"
        f" -o IdentityFile={host.home}/key",
    }
    with left_alone(host):
        error = host.play(**loose).error
        names = "~/.ssh/id_ed25519.pub, ~/.ssh/id_ecdsa.pub or ~/.ssh/id_rsa.pub"
        assert f"There is no public key {names} on the controller" in error
    make_key(host.home / ".ssh/id_rsa", "rsa")
    (host.home / ".ssh/id_ecdsa.pub").write_text((host.home / "key.pub").read_text())
    assert host.play(**loose).error == ""
    make_key(host.home / ".ssh/id_ed25519")
    assert "The key may be missing from" in host.play(**loose, ansible_user=ADMIN).error


def test_a_private_key_is_refused_and_not_shown(host):
    with left_alone(host):
        played = host.play(public_key_file=str(host.home / "key"))
        assert "something other than one line with a public key" in played.error
        assert (host.home / "key").read_text().splitlines()[2] not in played.output


def test_a_key_that_the_controller_lacks_limits_nothing(host):
    make_key(host.home / "other")
    with left_alone(host):
        error = host.play(public_key_file=str(host.home / "other.pub")).error
        assert f"{ADMIN} cannot log in" in error
        assert "Permission denied (publickey" in error
        assert host.gets_in("root")


def test_a_controller_with_a_password_gets_the_next_step(host):
    # The first core would need sshpass for it.
    host.sh("echo 'PermitRootLogin yes' > /etc/ssh/sshd_config.d/50-cloud-init.conf; rm /root/.ssh/authorized_keys")
    host.reload()
    before = host.state()
    played = host.play(programs=SECOND, ansible_password=PASSWORD)
    assert f"set ansible_user to {ADMIN}" in " ".join(played.error.split()).replace("Set", "set")
    assert PASSWORD not in played.output
    assert host.state() == before
    assert host.gets_in_with_password("root")

    assert host.play(ansible_user=ADMIN).error == ""
    assert not host.gets_in_with_password("root")


def test_root_does_not_lock_itself_out(host):
    with left_alone(host):
        error = host.play(permit_root_login="no").error
        assert f"set ansible_user to {ADMIN} and run again" in error
    assert host.play(permit_root_login="no", ansible_user=ADMIN).error == ""
    assert not host.gets_in("root")


@pytest.mark.parametrize("limit", ["AllowUsers root", "AllowGroups root"])
def test_a_list_without_the_administrator_limits_nothing(host, limit):
    host.sh(f"echo '{limit}' > /etc/ssh/sshd_config.d/10-mine.conf")
    host.reload()
    with left_alone(host):
        error = host.play().error
        assert f"{ADMIN} cannot log in" in error
        assert "not allowed because" in error


def test_a_list_without_the_operator_is_rolled_back(host):
    with left_alone(host):
        error = host.play(settings={"AllowUsers": ADMIN}).error
        assert error.startswith(
            "The former settings of sshd on box were restored. root could not log in to box with the new settings."
        )
        assert "not listed in AllowUsers" in error


def break_off(host: SshHost) -> None:
    """Run the role so that its reload ends all access: the run breaks off with the rollback armed."""
    played = host.play(
        settings={"AllowUsers": "nobody"},
        login_timeout=1,
        # A connection for each task, so none is left from before the reload.
        ansible_ssh_args="-o ControlMaster=no",
    )
    assert played.stats["box"]["unreachable"] == 1
    assert not host.gets_in("root")


def shorten_window(host: SshHost, seconds: int) -> None:
    """Change the armed timer on disk, so that a test need not wait for a window that suits a loaded machine."""
    host.sh(f"sed -i 's/^OnActiveSec=.*/OnActiveSec={seconds}/' /etc/systemd/system/face-app-ssh-rollback.timer")


def test_rolls_back_by_itself_when_no_login_works(host):
    with left_alone(host):
        break_off(host)
        shorten_window(host, 5)
        host.sh("systemctl daemon-reload; systemctl restart face-app-ssh-rollback.timer")
        assert wait_until(lambda: host.gets_in("root"), 300)
        assert wait_until(lambda: not rollback_parts(host))


def test_rolls_back_after_a_reboot_inside_its_window(host):
    with left_alone(host):
        break_off(host)
        shorten_window(host, 20)
        host.sh("touch /run/lost-at-a-reboot")
        host.reboot()
        assert host.sh("ls /run/lost-at-a-reboot 2>/dev/null || true") == ""
        assert wait_until(lambda: host.gets_in("root"), 300)
        assert wait_until(lambda: not rollback_parts(host))
        # The journal begins at the reboot.
        assert "Restore the former settings of sshd" in host.sh("journalctl --unit=face-app-ssh-rollback.service")


def test_without_systemd(tmp_path):
    with ssh_host(f"ssh-hardening-{os.getpid()}", tmp_path, systemd=False) as host:
        with left_alone(host):
            break_off(host)
            # The window of the process that waits ends with its sleep.
            host.sh("pkill --full '^sleep [0-9]'")
            assert wait_until(lambda: host.gets_in("root"), 300)
            assert wait_until(lambda: not rollback_parts(host))
        assert host.play().error == ""
        assert not host.gets_in_with_password("root")
        assert host.play().stats["box"]["changed"] == 0


def test_a_port_in_use_is_rolled_back(host):
    host.sh("nohup python3 -c 'import socket; socket.create_server((\"\", 2222)).accept()' >/dev/null 2>&1 &")
    with left_alone(host):
        error = host.play(port=2222, login_timeout=3).error
        assert "could not log in to box with the new settings." in error
        assert "A firewall may block the new port 2222." in error


def test_match_blocks_and_cloud_init_open_nothing(host):
    host.add_user("bob")
    host.sh(f"echo 'PasswordAuthentication yes' > /etc/ssh/sshd_config.d/50-cloud-init.conf; {MATCH_BOB}")
    host.reload()
    assert host.gets_in_with_password("bob")
    assert host.play().error == ""
    assert not host.gets_in_with_password("bob")
    assert host.gets_in("bob")


def test_a_file_that_sorts_before_the_drop_in_opens_nothing_and_is_named(host):
    host.sh("echo 'PasswordAuthentication yes' > /etc/ssh/sshd_config.d/00-a.conf")
    assert host.play().error == ""
    assert not host.gets_in_with_password("root")
    host.sh("echo 'Ciphers aes256-ctr' > /etc/ssh/sshd_config.d/00-a.conf")
    with left_alone(host):
        assert "has other values for ciphers." in host.play().error


def test_a_match_block_that_sorts_before_the_drop_in_is_found_by_a_login(host):
    block = r"Match User root\n    PasswordAuthentication yes\n    AuthenticationMethods any\n"
    host.sh(f"printf '{block}' > /etc/ssh/sshd_config.d/00-a.conf")
    with left_alone(host):
        error = host.play().error
        assert "still accepts a login without a key from root (publickey and password)" in error


def test_a_full_agent_is_noticed_before_sshd_hangs_up(host, monkeypatch):
    started = subprocess.run(["ssh-agent", "-s", "-a", host.home / "agent"], check=True, capture_output=True, text=True)
    pid = started.stdout.split("SSH_AGENT_PID=")[1].split(";")[0]
    monkeypatch.setenv("SSH_AUTH_SOCK", str(host.home / "agent"))
    try:
        for name in ("a", "b", "c"):
            make_key(host.home / name)
            subprocess.run(["ssh-add", "-q", host.home / name], check=True)
        subprocess.run(["ssh-add", "-q", host.home / "key"], check=True)
        loose = {
            "ansible_ssh_common_args": f"-F none -o UserKnownHostsFile={host.home}/known_hosts",
            "ansible_ssh_private_key_file": None,
        }
        loose["public_key_file"] = str(host.home / "key.pub")
        with left_alone(host):
            error = host.play(**loose).error
            assert "offers 4 keys up to the right one, but sshd on box would disconnect after 2" in error
        assert host.play(**loose, settings={"MaxAuthTries": 4}).error == ""
        # sshd ignores the case of a keyword.
        assert host.play(**loose, settings={"maxauthtries": 4}).error == ""
    finally:
        subprocess.run(["kill", pid], check=True)


def test_a_broken_file_stops_it_before_any_change(host):
    host.sh("echo 'PermitRoot Login' > /etc/ssh/sshd_config.d/90-mine.conf")
    with left_alone(host):
        error = host.play().error
        assert "90-mine.conf line 1: Bad configuration option: PermitRoot" in error.replace(": line", " line")
        assert ADMIN not in host.sh("cat /etc/passwd")


def test_settings_that_sshd_refuses_are_rolled_back(host):
    with left_alone(host):
        error = host.play(settings={"Ciphers": "rot13"}).error
        assert "Bad SSH2 cipher spec 'rot13'" in error


@pytest.mark.parametrize("keyword", ["Port", "port"])
def test_a_keyword_that_the_role_sets_itself_is_refused(host, keyword):
    with left_alone(host):
        assert "ssh_hardening_settings contains port, which the role sets" in host.play(settings={keyword: 2222}).error


def test_socket_activation(host):
    host.sh("systemctl disable --now ssh.service; systemctl enable --now ssh.socket")
    with left_alone(host):
        assert "systemd (ssh.socket) listens on the port of box" in host.play(port=2222).error
    assert host.play().error == ""
    assert host.gets_in(ADMIN)
    assert not host.gets_in_with_password("root")
    host.sh("systemctl stop ssh.service")
    assert host.gets_in(ADMIN)


def test_another_port(host):
    played = host.play(port=2222)
    assert played.error == ""
    assert "Set ansible_port to 2222" in played.output
    assert not host.gets_in("root")
    assert host.gets_in("root", "-p", "2222")


def test_a_rollback_before_the_end_of_the_verification_is_reported(host):
    # The last check is root's login without a key. The time runs out before the connection that follows.
    (host.home / "ssh").write_text(
        "#!/bin/sh\n"
        f"if [ -e {host.home}/checked ] && mv {host.home}/checked {host.home}/rolled_back; then\n"
        f"    docker exec {host.name} systemctl start face-app-ssh-rollback.service >&2\n"
        "fi\n"
        """case "$*" in *PreferredAuthentications=password*'User="root"'*) """
        f"touch {host.home}/checked ;; esac\n"
        'exec ssh "$@"\n'
    )
    (host.home / "ssh").chmod(0o700)
    with left_alone(host):
        played = host.play(port=2222, login_timeout=3, ansible_ssh_executable=str(host.home / "ssh"))
        assert (host.home / "rolled_back").exists()
        assert played.stats["box"]["unreachable"] == 0
        assert "box rolled back by itself, because the verification took longer" in played.error


def test_no_port_on_the_command_line(host):
    # There it is a string.
    assert host.play("-e", "ssh_hardening_port=0").error == ""
    assert "\nPort " not in host.sh(f"cat {DROP_IN}")


def test_another_port_without_a_lasting_connection(host):
    # A connection for each task, so none is left from before the reload.
    played = host.play(port=2222, ansible_ssh_args="-o ControlMaster=no")
    assert played.error == ""
    assert played.stats["box"]["unreachable"] == 0
    assert rollback_parts(host) == ""


def test_another_port_behind_a_firewall(tmp_path):
    with ssh_host(f"ssh-hardening-{os.getpid()}", tmp_path, image="docker") as host:
        host.sh("iptables --insert INPUT --protocol tcp --dport 2222 --jump DROP")
        with left_alone(host):
            error = host.play(port=2222, login_timeout=3, ansible_timeout=3).error
            assert "A firewall may block the new port 2222." in error


def test_a_second_port_is_rolled_back(host):
    host.sh("echo 'Port 22' > /etc/ssh/sshd_config.d/50-mine.conf")
    with left_alone(host):
        assert "would listen on port 2222 and port 22" in host.play(port=2222).error


def test_without_sftp(host):
    host.sh("sed -i '/^Subsystem/d' /etc/ssh/sshd_config")
    host.reload()
    assert host.play().error == ""


def test_a_key_that_is_no_longer_named_is_refused(host):
    colleague, other = (make_key(host.home / name, kind) for name, kind in (("colleague", "rsa"), ("other", "ed25519")))
    own = (host.home / "key.pub").read_text()
    # Before there is an administrator, too.
    assert host.play("--check").error == ""
    host.add_user(ADMIN)
    # As versions without a marked part wrote it: no comment, a foreign key between, no end of the last line.
    bare, foreign = " ".join(own.split()[:2]), f'from="192.0.2.0/24" {other.strip()}'
    host.sh(f"printf '%s' '{bare}\n{foreign}\n{colleague.strip()}' >> ~{ADMIN}/.ssh/authorized_keys")

    assert host.play(public_keys=[colleague]).error == ""
    assert host.play(public_keys=[colleague]).stats["box"]["changed"] == 0
    keys = host.sh(f"cat ~{ADMIN}/.ssh/authorized_keys")
    assert [keys.count(each.split()[1]) for each in (own, colleague, other)] == [1, 1, 1]
    assert signs_in(host, "colleague")

    played = host.play()
    assert played.error == ""
    assert f"{colleague.split(maxsplit=2)[2].strip()} can no longer log in to box" in played.output
    assert not signs_in(host, "colleague")
    assert host.gets_in(ADMIN, command="sudo -n true")
    assert foreign in host.sh(f"cat ~{ADMIN}/.ssh/authorized_keys").splitlines()
    assert host.play().stats["box"]["changed"] == 0


def test_files_that_are_links_are_rolled_back(host):
    colleague = make_key(host.home / "colleague")
    host.add_user(ADMIN)
    host.sh(f"cd ~{ADMIN}/.ssh; mv authorized_keys mine; ln -s mine authorized_keys")
    host.sh(f"umask 077; echo 'X11Forwarding yes' > /etc/ssh/mine.conf; ln -s ../mine.conf {DROP_IN}")
    host.reload()
    list_keys = f"cd ~{ADMIN}/.ssh; readlink authorized_keys; cat authorized_keys"
    with left_alone(host):
        assert "could not log in to box" in host.play(settings={"AllowUsers": ADMIN}, public_keys=[colleague]).error
    before = host.sh(list_keys)
    assert before.startswith("mine\n")
    assert colleague in before
    with left_alone(host):
        assert "could not log in to box" in host.play(settings={"AllowUsers": ADMIN}).error
    assert host.sh(list_keys) == before
    assert host.play().error == ""
    assert colleague not in host.sh(list_keys)
    assert host.sh(f"readlink {DROP_IN}") == "../mine.conf\n"


def test_an_operator_cannot_remove_the_own_key(host):
    assert host.play().error == ""
    assert host.play(ansible_user=ADMIN).error == ""
    before = host.sh(f"cat ~{ADMIN}/.ssh/authorized_keys")
    make_key(host.home / "other")
    error = host.play(ansible_user=ADMIN, public_key_file=str(host.home / "other.pub")).error
    assert "The key may be missing from ssh_hardening_public_key_file and ssh_hardening_public_keys." in error
    assert host.gets_in(ADMIN, command="sudo -n true")
    # A key that was named by mistake is removed again.
    assert host.play(ansible_user=ADMIN).error == ""
    assert host.sh(f"cat ~{ADMIN}/.ssh/authorized_keys") == before


def test_an_interrupted_run_is_rolled_back_before_the_next_inspects(host):
    length = "ssh-keygen -l -f /etc/ssh/ssh_host_rsa_key | cut -d' ' -f1"
    assert int(host.sh(length)) < 4096
    break_off(host)
    assert int(host.sh(length)) == 4096
    host.sh(f"sed -i '/^AllowUsers/d' {DROP_IN}")
    host.reload()

    assert host.play().error == ""
    assert int(host.sh(length)) == 4096


def test_loose_modes_of_the_administrator_are_mended(host):
    host.add_user(ADMIN)
    host.sh(f"chmod 777 ~{ADMIN} ~{ADMIN}/.ssh; chmod 666 ~{ADMIN}/.ssh/authorized_keys")
    assert not host.gets_in(ADMIN)
    assert host.play().error == ""
    assert host.gets_in(ADMIN)


def test_loose_modes_of_the_operator_are_found_and_rolled_back(host):
    host.add_user("op")
    host.sh(
        "chmod 777 ~op; echo 'op ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/op;"
        " echo 'StrictModes no' > /etc/ssh/sshd_config.d/50-mine.conf"
    )
    host.reload()
    with left_alone(host):
        error = host.play(ansible_user="op").error
        assert error.startswith("The former settings of sshd on box were restored. op could not log in to box")
        assert "bad ownership or modes for directory /home/op" in error
        assert host.gets_in("op")


def test_a_locked_administrator_without_pam(host):
    host.sh("useradd --create-home face-admin; echo 'UsePAM no' > /etc/ssh/sshd_config.d/50-mine.conf")
    host.reload()
    assert host.play(settings={"UsePAM": "no"}).error == ""
    assert host.gets_in(ADMIN)


def test_an_administrator_that_exists_keeps_its_shell(host):
    host.add_user(ADMIN)
    host.sh(f"usermod --shell /bin/sh {ADMIN}")
    assert host.play().error == ""
    assert host.sh(f"getent passwd {ADMIN}").strip().endswith(":/bin/sh")


def test_a_lock_that_was_set_on_purpose_stays(host):
    host.add_user(ADMIN)
    host.sh(f"passwd --lock {ADMIN}; echo 'UsePAM no' > /etc/ssh/sshd_config.d/50-mine.conf")
    host.reload()
    with left_alone(host):
        assert "account is locked" in host.play().error


def test_a_host_key_that_the_controller_does_not_know_is_rolled_back(host):
    # The controller knows only the short one, which a longer one replaces.
    rsa = host.sh("cat /etc/ssh/ssh_host_rsa_key.pub")
    (host.home / "known_hosts").write_text(f"{host.address} {rsa}")
    with left_alone(host):
        error = host.play().error
        assert "could not log in to box" in error
        assert "Host key verification failed" in error


def test_a_jump_host_of_others_continues_to_forward(host):
    also = {"jetson": {"ansible_host": "192.0.2.9", "ansible_ssh_common_args": f"-o ProxyJump=root@{host.address}"}}
    with left_alone(host):
        assert "jetson can be reached only through box" in host.play(also=also).error
    assert host.play(also=also, settings={"AllowTcpForwarding": "local"}).error == ""
    # sshd ignores the case of a keyword.
    assert host.play(also=also, settings={"allowtcpforwarding": "local"}).error == ""


def test_through_a_jump_host_to_another_port_with_a_password_for_sudo(host, tmp_path):
    home = tmp_path / "jump"
    home.mkdir()
    with ssh_host(f"ssh-hardening-jump-{os.getpid()}", home) as jump:
        host.add_user("op")
        host.sh("echo 'op ALL=(ALL) ALL' > /etc/sudoers.d/op")
        host.sh("echo 'Port 2222' > /etc/ssh/sshd_config.d/50-mine.conf; systemctl restart ssh")
        key = host.sh("cat /etc/ssh/ssh_host_ed25519_key.pub")
        config = host.home / "config"
        config.write_text(
            f"Host target\n  HostName {host.address}\n  Port 2222\n  ProxyJump jump\n"
            f"Host jump\n  HostName {jump.address}\n  User root\n  IdentityFile {jump.home}/key\n"
            f"Host *\n  UserKnownHostsFile {host.home}/known_hosts\n  IdentitiesOnly yes\n"
        )
        known = (jump.home / "known_hosts").read_text()
        (host.home / "known_hosts").write_text(f"{known}[{host.address}]:2222 {key}")
        connection = {
            "ansible_host": "target",
            "ansible_user": "op",
            "ansible_become_password": PASSWORD,
            "ansible_ssh_common_args": f"-F {config}",
        }
        played = host.play(**connection)
        assert played.error == ""
        assert PASSWORD not in played.output
        assert not host.gets_in("root", "-F", str(config), "-p", "2222", "-o", "ProxyJump=jump")
        again = host.play(**connection)
        assert again.rc == 0
        assert again.stats["box"]["changed"] == 0


def test_a_main_file_without_include(host):
    host.add_user("bob")
    host.sh(f"sed -i '/^Include/d' /etc/ssh/sshd_config; {MATCH_BOB}")
    host.reload()
    before = host.sh("cat /etc/ssh/sshd_config")
    assert host.gets_in_with_password("bob")
    assert host.play().error == ""
    assert not host.gets_in_with_password("bob")
    assert host.gets_in("bob")
    again = host.play()
    assert again.rc == 0
    assert again.stats["box"]["changed"] == 0
    assert host.play(tasks_from="remove").error == ""
    assert host.sh(f"ls {DROP_IN} 2>&1 || true").endswith("No such file or directory\n")
    assert host.sh("cat /etc/ssh/sshd_config") == before
    assert host.gets_in_with_password("bob")


def test_an_sshd_that_is_too_old_is_refused(host):
    version = "OpenSSH_7.6p1 Ubuntu-4ubuntu0.7, OpenSSL 1.0.2n  7 Dec 2017"
    host.sh(
        f'printf \'#!/bin/sh\n[ "$1" != -V ] || exec echo "{version}" >&2\nexec /usr/bin/ssh "$@"\n\''
        " > /usr/local/bin/ssh; chmod +x /usr/local/bin/ssh"
    )
    with left_alone(host):
        error = host.play().error
        assert error == "OpenSSH on box is 7.6. ssh_hardening needs 8.2 or newer."
        assert ADMIN not in host.sh("cat /etc/passwd")


@pytest.mark.parametrize("port", [0, 2222])
def test_an_include_that_comes_late_is_put_first(host, port):
    host.sh("sed -i '/^Include/d' /etc/ssh/sshd_config; printf 'PasswordAuthentication yes\n' >> /etc/ssh/sshd_config")
    host.sh("echo 'Include /etc/ssh/sshd_config.d/*.conf' >> /etc/ssh/sshd_config")
    host.reload()
    before = host.sh("cat /etc/ssh/sshd_config")
    host.add_user("bob")
    assert host.gets_in_with_password("bob")
    # sshd then reads the drop-in twice, and its port as well.
    assert host.play(port=port).error == ""
    assert host.gets_in("bob", "-p", str(port or 22))
    assert not host.gets_in_with_password("bob", "-p", str(port or 22))
    again = host.play(port=port, ansible_port=port or 22)
    assert again.rc == 0
    assert again.stats["box"]["changed"] == 0
    assert host.play(tasks_from="remove", ansible_port=port or 22).error == ""
    assert host.sh("cat /etc/ssh/sshd_config") == before
    assert host.gets_in_with_password("bob")
    assert host.gets_in(ADMIN, command="sudo -n true")


def test_another_connection_than_ssh_is_refused(host):
    with left_alone(host):
        error = host.play(ansible_connection="community.docker.docker", ansible_host=host.name).error
        assert "ansible_connection is community.docker.docker; set it to ssh" in error


def test_the_judge(host):
    policy = "Hardened Debian 12 (version 3)"
    judge = [
        Path(sys.executable).with_name("ssh-audit"),
        "--no-colors",
        "--skip-rate-test",
        "--policy",
        policy,
        host.address,
    ]
    assert subprocess.run(judge, check=False, capture_output=True).returncode != 0
    assert host.play().error == ""
    done = subprocess.run(judge, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
