"""The program reads a camera device of the kernel, and survives its failures."""

import os
import platform
import shutil

import pytest

from hardware.vm.image import build_image
from hardware.vm.machine import run

NEEDED = ("qemu-system-x86_64", "mmdebstrap", "cpio")

pytestmark = [
    pytest.mark.vm,
    pytest.mark.timeout(1500),
    pytest.mark.skipif(
        os.geteuid() != 0 or platform.machine() != "x86_64" or not all(map(shutil.which, NEEDED)),
        reason=f"boots a machine: needs root, x86-64, {', '.join(NEEDED)}; bin/test --vm installs them",
    ),
]


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """Return the report of each step of the guest; the machine runs once."""
    folder = tmp_path_factory.mktemp("machine")
    image = build_image(folder)
    try:
        return run(image, folder, seconds=900)
    finally:
        image.initramfs.unlink()  # half a gigabyte, and pytest retains its folders


@pytest.fixture
def report(reports):
    def find(step):
        assert step in reports, f"did not run; only {list(reports)} did"
        assert "error" not in reports[step], reports[step]["error"]
        return reports[step]

    return find


def test_frames_are_new_intact_and_timed(report):
    received = report("frames")
    assert received["shapes"] == [[480, 640, 3]]
    assert received["different"] == len(received["index"])
    for series in (received["captured_at"], received["elapsed"], received["index"]):
        assert series == sorted(set(series))
    assert received["before"] < received["captured_at"][0]
    assert received["captured_at"][-1] < received["after"]
    wall, own = (received[clock][-1] - received[clock][0] for clock in ("captured_at", "elapsed"))
    assert wall == pytest.approx(own, abs=0.1)


def test_requests_and_logs_the_format(report):
    formats = report("requested")
    supported, other, unsupported = formats["supported"], formats["other"], formats["unsupported"]
    assert supported["shape"] == [180, 320, 3]
    assert supported["driver"]["Width/Height"] == "320/180"
    assert supported["driver"]["Pixel Format"].startswith("'YUYV'")
    assert supported["driver"]["Frames per second"].startswith("10.000")
    assert supported["log"][0] == "INFO /dev/video0 gives 320 x 180, 10 fps, YUYV"
    assert other["shape"] == [720, 1280, 3]
    assert other["log"][0].startswith("INFO /dev/video0 gives 1280 x 720, 15 fps")
    assert unsupported["log"][0].startswith("WARNING /dev/video0 gives 3840 x 2160, 10 fps, ")
    assert "asked for 5000 x 180, MJPG" in unsupported["log"][0]


def test_uses_plausible_timestamps_of_the_driver(report):
    ages = report("timestamps")
    assert 0.3 < ages["plausible"] < 2
    assert ages["implausible"] < 0.3


def test_waits_for_a_camera_that_is_plugged_in_late(report):
    assert report("plugged_late")["granted"]["Width/Height"] == "640/360"


@pytest.mark.parametrize("step", ["unplugged", "disconnected", "silent", "failed", "refused"])
def test_recovers_without_leaking_descriptors_or_threads(report, step):
    after = report(step)
    assert after["cameras"] == 1
    assert after["threads"] == report("unplugged")["threads"]


def test_logs_an_unplugged_camera(report):
    assert any("no such camera; plug it in" in line for line in report("unplugged")["log"])


def test_requests_the_format_again_after_a_reconnect(report):
    assert any(line.endswith("gives 640 x 360, 5 fps, YUYV") for line in report("unplugged")["log"])


def test_a_hanging_read_ends_within_its_timeout(report):
    silent = report("silent")
    assert sum("has given no frame for 4 s" in line for line in silent["log"]) == 2
    assert silent["noticed"] < 60


def test_a_broken_frame_is_no_lost_camera(report):
    assert not any("trying again" in line for line in report("broken_frame")["log"])


def test_sigterm_ends_the_program_and_counts_every_frame(report):
    end = report("stopped")
    assert end["code"] == 0
    assert end["seconds"] < 15
    assert end["summary"]["frames"] >= end["counted"] > 60
