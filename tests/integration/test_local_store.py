"""The local store syncs each object before it confirms it, with the rule of the role."""

import re
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from support.brokers import ROLES
from support.ports import free_ports
from support.processes import process
from support.s3 import client
from support.seaweedfs import seaweedfs, weed

OBJECTS = 20
ROLE = yaml.safe_load((ROLES / "local_object_store/vars/main.yml").read_text())


@contextmanager
def syncs(of, log):
    """Count the fsyncs of a process into a list, which is complete after the context."""
    found = []
    command = ["strace", "-f", "-qq", "-e", "trace=fsync,fdatasync", "-p", str(of.pid), "-o", log.with_suffix(".trace")]
    with process(command, log) as tracer:
        # A thread names the process that traces it.
        threads = Path(f"/proc/{of.pid}/task")
        while not all(f"TracerPid:\t{tracer.pid}" in each.read_text() for each in threads.glob("*/status")):
            assert tracer.poll() is None, log.read_text()
        yield found
    found += re.findall(r"\bf(?:data)?sync\(", log.with_suffix(".trace").read_text())


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_each_object_is_synced_before_it_is_confirmed(tmp_path):
    ports = free_ports(10)
    master = f"-master=127.0.0.1:{ports[2]}.{ports[3]}"
    with seaweedfs(folder=tmp_path, ports=ports) as server:
        bucket = client(server.endpoint)
        bucket.create_bucket(Bucket="faces")
        for apply in (False, True):
            command = ROLE["__local_object_store_sync"] if apply else "fs.configure"
            shell = subprocess.run([weed(), "shell", master], input=command, capture_output=True, text=True, check=True)
            assert bool(re.search(ROLE["__local_object_store_sync_pattern"], shell.stdout)) == apply
            with syncs(server.process, tmp_path / f"strace-{apply}") as found:
                for number in range(OBJECTS):
                    bucket.put_object(Bucket="faces", Key=f"jetson/door/{number}.jpg", Body=bytes(40_000))
            # Without the rule: only those of SeaweedFS's own bookkeeping.
            assert (len(found) >= OBJECTS) == apply
