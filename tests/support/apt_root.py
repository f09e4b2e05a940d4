"""Give APT and dpkg a root of their own with packages of this test: nothing is installed on this machine."""

import hashlib
import subprocess
from pathlib import Path

ADMIN = "var/lib/dpkg"
"""Folder of dpkg's records and locks in a root."""
ARCHIVES = "var/cache/apt/archives"
FOLDERS = (
    *(f"{ADMIN}/info", f"{ADMIN}/updates", "var/lib/apt/lists/partial", f"{ARCHIVES}/partial", "var/log/apt"),
    *("etc/apt/apt.conf.d", "etc/apt/preferences.d"),
)
LOCKS = (f"{ADMIN}/lock-frontend", "var/lib/apt/lists/lock", f"{ARCHIVES}/lock")
"""Files that APT and dpkg lock."""


class AptRoot:
    """Folder that APT uses in place of `/` if its environment has `environment`."""

    def __init__(self, folder: Path, packages: tuple[str, ...]) -> None:
        self.folder = folder
        for each in FOLDERS:
            (folder / each).mkdir(parents=True)
        (folder / ADMIN / "status").touch()
        (self._pool / "Packages").write_text("\n".join(map(self._pack, packages)))
        (folder / "etc/apt/sources.list").write_text(f"deb [trusted=yes] file:{self._pool} ./\n")
        self._configuration.write_text(
            f'Dir "{folder}/";\nDir::State::status "{folder}/{ADMIN}/status";\n'
            f'DPkg::Options {{ "--root={folder}"; "--log=/dev/null"; }};\nAPT::Sandbox::User "root";\n'
        )

    @property
    def environment(self) -> dict[str, str]:
        return {"APT_CONFIG": str(self._configuration)}

    @property
    def installed(self) -> set[str]:
        """Names of the installed packages."""
        command = ["dpkg-query", f"--admindir={self.folder / ADMIN}", "--show", "--showformat=${Package}\n"]
        return set(subprocess.run(command, check=False, capture_output=True, text=True).stdout.split())

    @property
    def _configuration(self) -> Path:
        return self.folder / "apt.conf"

    @property
    def _pool(self) -> Path:
        return self.folder / "pool"

    def _pack(self, name: str) -> str:
        """Build a package, and return its entry of the repository's list."""
        control = self._pool / name / "DEBIAN/control"
        control.parent.mkdir(parents=True)
        control.write_text(
            f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: face-app's tests\nDescription: empty\n"
        )
        file = self._pool / f"{name}.deb"
        subprocess.run(["dpkg-deb", "--build", "-Znone", control.parents[1], file], check=True, capture_output=True)
        content = file.read_bytes()
        checksum = hashlib.sha256(content).hexdigest()
        return f"{control.read_text()}Filename: ./{file.name}\nSize: {len(content)}\nSHA256: {checksum}\n"
