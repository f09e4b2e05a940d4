"""Redeploying while faces flow: one container is swapped, a version that fails is rolled back, no face is lost.

One deployment serves all tests, in this order. A picture in a loop is the camera: three faces every two seconds.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from face_app.edge.outbox.schema import FORMAT
from support.deployment import (
    CAPTURE,
    CLOUD,
    CLOUD_BROKER,
    CONTAINERS,
    EDGE,
    SUBSCRIBER,
    Deployment,
    docker,
    environment,
    inspect,
    only_error,
)

WATCH = "src/face_app/edge/commands/capture.py"
LOOP = "            for frame, result in results:\n"
CAPTURE_ALONE = ("-l", EDGE, "--tags=capture")

pytestmark = [
    pytest.mark.host,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(os.geteuid() != 0, reason="deploys on this machine: run as root"),
]


def traces() -> dict[str, set[str]]:
    """List what the roles of this deployment create on the host."""
    managed = "--filter=name=^rd[-_]"
    places = ("/etc", "/etc/systemd/system", "/etc/tmpfiles.d", "/run", "/usr/local/sbin", "/var/cache", "/var/log")
    files = {str(path) for place in places for path in Path(place).glob("*face-app*")}
    files |= {str(path) for place in files for path in Path(place).rglob("*")}
    return {
        "files": files,
        "containers": set(docker("ps", "--all", "--quiet", managed).split()),
        "networks": set(docker("network", "ls", "--format={{.Name}}", managed).split()),
        "volumes": set(docker("volume", "ls", "--quiet", managed).split()),
        "mounts": {line for line in Path("/proc/mounts").read_text().splitlines() if "face-app" in line},
        "users": {line for line in Path("/etc/passwd").read_text().splitlines() if "face" in line},
    }


def ids() -> dict[str, str]:
    return {name: str(inspect(name)["Id"]) for name in CONTAINERS}


def images(name: str) -> set[str]:
    """List the images that containers of this deployment have, or had before."""
    listed = docker("ps", "--all", '--format={{.Names}} {{.Image}} {{.Label "face-app.previous"}}')
    found = {image for line in listed.splitlines() if line.startswith("rd") for image in line.split()[1:]}
    return {each for each in found if each.startswith(f"face-app-{name}:")}


def exists(image: str) -> bool:
    return bool(docker("image", "ls", "--quiet", image))


def health(name: str = CAPTURE) -> dict[str, Any]:
    answer = docker("exec", name, "face-app", "health", "--json", check=False)
    facts: dict[str, Any] = json.loads(answer or "{}").get("facts", {})
    return facts


def wait_until(condition: Any, seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, docker("logs", "--tail=20", CAPTURE, check=False)
        time.sleep(0.5)


def audit() -> dict[str, Any]:
    """Compare all faces that the edge committed with the bucket."""
    ledger = docker("exec", CAPTURE, "face-app", "ledger")
    answer = docker(*("exec", "-i", SUBSCRIBER, "face-app", "audit", "--ledger=-", "--json"), given=ledger, check=False)
    report: dict[str, Any] = json.loads(answer.splitlines()[-1])
    return report


def check_nothing_is_lost() -> None:
    report = audit()
    assert (report["holds"], report["proven"]) == (True, True), report


@pytest.fixture(scope="module")
def before() -> dict[str, set[str]]:
    return traces()


@pytest.fixture(scope="module")
def deployment(before: dict[str, set[str]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    made = Deployment(tmp_path_factory.mktemp("redeploy"))
    made.prepare()
    # A healthy version needs a fraction of it.
    made.settings = {"capture_wait": 150, "subscriber_wait": 150}
    try:
        first = made.play("site.yml")
        assert first.rc == 0, first.output[-6000:]
        wait_until(lambda: health().get("last_stored_age") is not None)
        yield made
    finally:
        made.play("playbooks/teardown.yml", "-e", "teardown_purge=true", "-e", "teardown_images=false")


def test_a_second_run_changes_nothing(deployment):
    running = ids()
    played = deployment.play("redeploy.yml")
    assert played.rc == 0, played.output[-3000:]
    assert {host: counts["changed"] for host, counts in played.stats.items()} == {EDGE: 0, CLOUD: 0}
    assert ids() == running


def test_one_line_of_code_swaps_one_container(deployment):
    running, image = ids(), str(inspect(CAPTURE)["Config"]["Image"])
    begun = time.monotonic()
    with deployment.changed(WATCH, LOOP, "            # Another line.\n" + LOOP):
        played = deployment.play("redeploy.yml")
        seconds = time.monotonic() - begun
        assert played.rc == 0, played.output[-3000:]
        assert {name for name, id_ in ids().items() if id_ != running[name]} == {CAPTURE}
        assert inspect(CAPTURE)["Config"]["Image"] != image
        assert images("capture") == {image, inspect(CAPTURE)["Config"]["Image"]}
        swapped = next(task[EDGE] for task in played.results if "gap" in task.get(EDGE, {}))
        sys.stdout.write(f"redeployed in {seconds:.1f} s, gap {swapped['gap']} s\n")
        assert swapped["required"] == ["ready", "frames", "receipts", "uplink"], "as the version before"
    back = deployment.play("redeploy.yml", *CAPTURE_ALONE)
    assert back.rc == 0, back.output[-3000:]
    assert inspect(CAPTURE)["Config"]["Image"] == image
    check_nothing_is_lost()


BROKEN = {
    "ends at once": (LOOP, "            raise SystemExit(9)\n" + LOOP, "it ended by itself, with code 9"),
    "hangs": (
        "    started = time.monotonic()\n",
        "    time.sleep(3600)\n    started = time.monotonic()\n",
        "no answer on",
    ),
    "does no work": (
        LOOP,
        LOOP + "                while not stop.wait(0.1):\n                    watchdog.frame_received()\n",
        "it lacks frames, which the version before had",
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_rolls_back_a_version_that_does_not_work(deployment, fault):
    old, new, reason = BROKEN[fault]
    image, existing = str(inspect(CAPTURE)["Config"]["Image"]), images("capture")
    running = ids()
    with deployment.changed(WATCH, old, new), deployment.having(capture_wait=30):
        played = deployment.play("redeploy.yml", *CAPTURE_ALONE)
    assert played.rc != 0
    message = only_error(played)
    assert message.startswith(f"Container {CAPTURE} does not work as face-app-capture:")
    assert reason in message
    assert message.endswith(f"{image} with its own settings runs again, and works.")
    assert "\n" not in message
    assert ids() == running, "the same container runs again"
    assert inspect(CAPTURE)["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"
    assert images("capture") == existing
    assert all(map(exists, existing)), "a version that failed removes no image of a healthy one"
    assert not exists(message.split()[6].rstrip(":"))
    check_nothing_is_lost()


def test_settings_that_the_program_refuses_change_nothing(deployment):
    running = ids()
    with deployment.having(capture_settings={"camera": {"loop": True, "read_timeout": -1}}):
        played = deployment.play("redeploy.yml", *CAPTURE_ALONE)
    assert played.rc != 0
    assert "camera.read_timeout = -1" in played.output
    assert ids() == running
    assert inspect(CAPTURE)["State"]["Running"]


def test_rolls_back_settings_that_do_not_work(deployment):
    running, read = ids(), docker("exec", CAPTURE, "cat", "/etc/face-app/broker_password")
    with deployment.having(capture_broker_password="wrong", capture_wait=30):
        for _ in range(2):  # the next run tries the same version again
            played = deployment.play("redeploy.yml", *CAPTURE_ALONE)
            assert played.rc != 0
            message = only_error(played)
            assert " with its new settings: " in message
            assert "efuse" in message or "uthor" in message, message
            assert message.endswith("runs again, and works.")
            assert ids() == running
            assert docker("exec", CAPTURE, "cat", "/etc/face-app/broker_password") == read
    check_nothing_is_lost()


def test_an_outbox_that_is_full_while_the_cloud_is_down_stops_no_play(deployment):
    small = {"late_after": 5, "max_bytes": 1_000_000}
    with deployment.having(capture_settings={"camera": {"loop": True}, "outbox": small}):
        assert deployment.play("redeploy.yml", *CAPTURE_ALONE).rc == 0
        running = ids()
        docker("stop", CLOUD_BROKER)
        try:
            for problem in "faces wait, the oldest for", "is full":
                wait_until(
                    lambda said=problem: said in docker("exec", CAPTURE, "face-app", "health", "--json", check=False)
                )
                played = deployment.play("edge.yml")
                assert played.rc == 0, played.output[-3000:]
                assert played.stats[EDGE]["changed"] == 0
                assert ids() == running
            with deployment.changed(WATCH, LOOP, "            # Another line.\n" + LOOP):
                played = deployment.play("redeploy.yml", *CAPTURE_ALONE)
                assert played.rc == 0, played.output[-3000:]
                assert ids()[CAPTURE] != running[CAPTURE]
        finally:
            docker("start", CLOUD_BROKER)
    assert deployment.play("redeploy.yml", *CAPTURE_ALONE).rc == 0
    check_nothing_is_lost()


def test_a_killed_run_leaves_a_version_that_starts_again(deployment):
    image = str(inspect(CAPTURE)["Config"]["Image"])
    with deployment.changed(WATCH, *BROKEN["hangs"][:2]):
        command = deployment.command("redeploy.yml", *CAPTURE_ALONE, "-e", "capture_wait=300")
        run = subprocess.Popen(
            command, cwd=deployment.checkout, env=environment(), start_new_session=True, stdout=subprocess.DEVNULL
        )
        # During the swap there may be no container of that name.
        running = "{{.State.Running}} {{.Config.Image}}"
        wait_until(lambda: docker("inspect", "-f", running, CAPTURE, check=False).strip() not in {"", f"true {image}"})
        wait_until(lambda: docker("inspect", "-f", running, CAPTURE, check=False).startswith("true"))
        for process in family(run.pid):
            os.kill(process, signal.SIGKILL)
        run.wait()
    trial, aside = inspect(CAPTURE), inspect(f"{CAPTURE}.previous")
    # After a power cut an engine starts only containers whose policy allows it.
    assert [each["HostConfig"]["RestartPolicy"]["Name"] for each in (trial, aside)] == ["no", "always"]
    docker("kill", CAPTURE)
    docker("start", f"{CAPTURE}.previous")
    wait_until(lambda: health(f"{CAPTURE}.previous").get("link_up"))
    played = deployment.play("redeploy.yml", *CAPTURE_ALONE)
    assert played.rc == 0, played.output[-3000:]
    names = docker("ps", "--all", "--format={{.Names}}", f"--filter=name={CAPTURE}").split()
    assert names == [CAPTURE]
    assert deployment.play("redeploy.yml", *CAPTURE_ALONE).stats[EDGE]["changed"] == 0
    check_nothing_is_lost()


def family(pid: int) -> list[int]:
    """List a process and all its descendants."""
    parents = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(place.parent.name)] = int(place.read_text().rpartition(")")[2].split()[1])
        except OSError:  # noqa: PERF203 - a process may have ended
            continue
    found = [pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found


def test_status_lists_each_container(deployment):
    for options in ((), ("--check",), ("-l", EDGE)):
        played = deployment.play("playbooks/status.yml", *options)
        assert played.rc == 0, played.output[-3000:]
        lines = next(task for task in reversed(played.results) for result in task.values() if "msg" in result)
        (message,) = {str(result["msg"]) for result in lines.values()}
        rows = {line.split()[1]: line for line in message.splitlines()[1:]}
        assert set(rows) == CONTAINERS, "this machine is both hosts"
        assert " yes, " in rows[CAPTURE]
        assert "faces wait" in rows[CAPTURE]
        assert inspect(CAPTURE)["Config"]["Image"] in rows[CAPTURE]


def test_reports_an_outbox_of_a_later_format_and_the_next_version_reads_it(deployment):
    schema, last = "src/face_app/edge/outbox/schema.py", f"({FORMAT}, _MIGRATE_{FORMAT - 1}_TO_{FORMAT}),\n"
    with (
        deployment.changed(schema, f"FORMAT = {FORMAT}\n", f"FORMAT = {FORMAT + 1}\n"),
        deployment.changed(schema, last, f'{last}    {FORMAT}: ({FORMAT + 1}, ""),\n'),
    ):
        with deployment.changed(WATCH, *BROKEN["does no work"][:2]), deployment.having(capture_wait=20):
            message = only_error(deployment.play("redeploy.yml", *CAPTURE_ALONE))
        assert "DOES NOT WORK EITHER" in message
        assert f"has format {FORMAT + 1}, this program reads up to {FORMAT}" in message
        played = deployment.play("redeploy.yml", *CAPTURE_ALONE)
        assert played.rc == 0, played.output[-3000:]
        check_nothing_is_lost()


def test_teardown_removes_what_was_created(deployment, before):
    for options in (("--check",), (), ()):
        played = deployment.play("playbooks/teardown.yml", *options, "-e", "teardown_images=false")
        assert played.rc == 0, played.output[-3000:]
    left = traces()
    assert left.pop("volumes") == {"rd_outbox", "rd_objects"}, "faces and objects stay"
    assert left == {name: found for name, found in before.items() if name != "volumes"}
    assert deployment.play("playbooks/teardown.yml", "-e", "teardown_purge=true", "-e", "teardown_images=false").rc == 0
    assert traces() == before
