"""A camera that is a device of the kernel: what the program takes from it, and what it survives."""

import os
import platform
import shutil

import pytest

from vm.image import image
from vm.machine import run

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
    """What each step of the guest told; the machine runs once."""
    folder = tmp_path_factory.mktemp("machine")
    made = image(folder)
    try:
        return run(made, folder, seconds=900)
    finally:
        made.initramfs.unlink()  # half a gigabyte, and pytest keeps its folders


@pytest.fixture
def report(reports):
    def find(step):
        assert step in reports, f"not taken; only {list(reports)} were"
        assert "error" not in reports[step], reports[step]["error"]
        return reports[step]

    return find


def test_frames_are_new_whole_and_timed(report):
    taken = report("frames")
    assert taken["shapes"] == [[480, 640, 3]]
    assert taken["different"] == len(taken["index"])
    for series in (taken["captured_at"], taken["elapsed"], taken["index"]):
        assert series == sorted(set(series))
    assert taken["before"] < taken["captured_at"][0]
    assert taken["captured_at"][-1] < taken["after"]
    wall, own = (taken[clock][-1] - taken[clock][0] for clock in ("captured_at", "elapsed"))
    assert wall == pytest.approx(own, abs=0.1)


def test_what_is_asked_for_is_granted_and_told(report):
    granted = report("asked")
    had, other, lacked = granted["had"], granted["other"], granted["lacked"]
    assert had["shape"] == [180, 320, 3]
    assert had["driver"]["Width/Height"] == "320/180"
    assert had["driver"]["Pixel Format"].startswith("'YUYV'")
    assert had["driver"]["Frames per second"].startswith("10.000")
    assert had["log"][0] == "INFO /dev/video0 gives 320 x 180, 10 fps, YUYV"
    assert other["shape"] == [720, 1280, 3]
    assert other["log"][0].startswith("INFO /dev/video0 gives 1280 x 720, 15 fps")
    assert lacked["log"][0].startswith("WARNING /dev/video0 gives 3840 x 2160, 10 fps, ")
    assert "asked for 5000 x 180, MJPG" in lacked["log"][0]


def test_a_frame_is_as_old_as_its_driver_says_where_that_can_be(report):
    ages = report("stamped")
    assert 0.3 < ages["believed"] < 2
    assert ages["disbelieved"] < 0.3


def test_a_camera_may_come_after_the_program(report):
    assert report("plugged_late")["granted"]["Width/Height"] == "640/480"


@pytest.mark.parametrize("step", ["unplugged", "disconnected", "silent", "broken", "refused"])
def test_frames_come_again_and_nothing_is_left_behind(report, step):
    after = report(step)
    assert after["cameras"] == 1
    assert after["threads"] == report("unplugged")["threads"]


def test_an_unplugged_camera_is_named(report):
    assert any("no such camera; plug it in" in line for line in report("unplugged")["log"])


def test_a_read_that_hangs_ends_within_its_time_out(report):
    silent = report("silent")
    assert sum("has given no frame for 4 s" in line for line in silent["log"]) == 2
    assert silent["noticed"] < 60


def test_a_spoilt_frame_is_no_lost_camera(report):
    assert not any("trying again" in line for line in report("spoilt")["log"])


def test_sigterm_ends_it_with_every_frame_counted(report):
    end = report("stopped")
    assert end["code"] == 0
    assert end["seconds"] < 15
    assert end["summary"]["frames"] >= end["counted"] > 60
