"""The role s3fs_mount names the reason for which a mount does not work, out of the log of s3fs."""

import re

import pytest
import yaml

from support.playbook import ROOT

REASON = yaml.safe_load((ROOT / "roles/s3fs_mount/vars/main.yml").read_text())["__s3fs_mount_log_reason"]
REFUSED = "[ERR] curl.cpp:RequestPerform(2515): ### CURLE_COULDNT_CONNECT\n"


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        (REFUSED + "[ERR] curl.cpp:RequestPerform(2545): ### giving up\n", "CURLE_COULDNT_CONNECT"),
        (REFUSED + "fuse: failed to unmount /mnt/face-app: Invalid argument\n", "CURLE_COULDNT_CONNECT"),
        ("[CRT] s3fs.cpp:s3fs_check_service(3572): bucket not found(host=h)\n", "bucket not found(host=h)"),
        ("fuse: mountpoint is not empty\n", "mountpoint is not empty"),
        ("s3fs: could not determine how to establish security credentials.\n", "could not determine how to establish"),
    ],
)
def test_the_last_reason_of_the_log(log, reason):
    assert re.findall(REASON, log)[-1].startswith(reason)
