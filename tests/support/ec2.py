"""An EC2 API (moto) in a network namespace in which each public address is local, so that sshd of a VM can answer."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.processes import process
from support.waiting import until

PORT = 5000
CANONICAL = "099720109477"
ENDPOINT = f"http://127.0.0.1:{PORT}"
_IMAGE = {
    "state": "available", "public": True, "owner_id": CANONICAL, "image_location": "x", "sriov": "simple",
    "root_device_type": "ebs", "root_device_name": "/dev/sda1", "description": "Ubuntu", "image_type": "machine",
    "platform": None, "architecture": "x86_64", "virtualization_type": "hvm", "hypervisor": "xen",
}  # fmt: skip
_SSHD = """
import socket
with socket.create_server(("0.0.0.0", 22)) as server:
    while True:
        connection, _ = server.accept()
        with connection:
            connection.sendall(b"SSH-2.0-OpenSSH_9.6\\r\\n")
"""
_NETWORK = "ip link set lo up && ip route add local 0.0.0.0/0 dev lo && echo ready && exec sleep infinity"
_API = f"""
import json, sys, boto3
ec2 = boto3.client("ec2", endpoint_url={ENDPOINT!r}, region_name="us-east-1",
                   aws_access_key_id="tester", aws_secret_access_key="secret")
print(json.dumps(getattr(ec2, sys.argv[1])(**json.loads(sys.argv[2])), default=str))
"""


@dataclass(frozen=True)
class Ec2:
    """A running API.

    Attributes:
        pid: Of a process in its network namespace.
    """

    pid: int

    def command(self, *words: str | Path) -> list[str]:
        """Return a command that runs where the API is."""
        return ["nsenter", f"--target={self.pid}", "--net", *map(str, words)]

    def answers(self) -> bool:
        """Return True if the API accepts connections."""
        probe = f"import socket; socket.create_connection(('127.0.0.1', {PORT}))"
        command = self.command(sys.executable, "-c", probe)
        return subprocess.run(command, check=False, capture_output=True).returncode == 0

    def call(self, method: str, arguments: str = "{}") -> str:
        """Call a method of boto3's client with arguments as JSON; return its answer as JSON."""
        command = self.command(sys.executable, "-c", _API, method, arguments)
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@contextmanager
def ec2(folder: Path, images: Mapping[str, str]) -> Iterator[Ec2]:
    """Run the API, and an sshd that only greets on port 22 of each address. Needs root.

    Args:
        folder: Receives logs and the catalogue of images.
        images: Name by id of each image of Canonical.
    """
    catalogue = folder / "images.json"
    catalogue.write_text(json.dumps([{**_IMAGE, "ami_id": each, "name": name} for each, name in images.items()]))
    with ExitStack() as stack:
        log = folder / "network.log"
        network = stack.enter_context(process(["unshare", "--net", "sh", "-c", _NETWORK], log))
        until(lambda: "ready" in log.read_text())
        world = Ec2(network.pid)
        stack.enter_context(process(world.command(sys.executable, "-c", _SSHD), folder / "sshd.log"))
        moto = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(PORT)]
        environment = {**os.environ, "MOTO_AMIS_PATH": str(catalogue)}
        stack.enter_context(process(world.command(*moto), folder / "moto.log", env=environment))
        until(world.answers)
        yield world
