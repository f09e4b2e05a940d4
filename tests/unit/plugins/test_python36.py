"""Code that runs on hosts is valid Python 3.6: a Jetson TX2 has no other, and will have none."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
MODULES, UTILS = ROOT / "plugins/modules", ROOT / "plugins/module_utils"
NEWER = {"contextvars", "dataclasses", "graphlib", "importlib.metadata", "importlib.resources", "tomllib", "zoneinfo"}
"""Modules of the standard library that came after 3.6."""


def tasks(node: Any) -> Iterator[dict[str, Any]]:
    """Yield all tasks of a playbook or a file of tasks, also those within blocks."""
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from tasks(value)
    if isinstance(node, list):
        for value in node:
            yield from tasks(value)


def modules_on_hosts() -> list[Path]:
    """Our modules that some task uses without delegating it to the controller, and those that no task uses."""
    modules = {file.stem: file for file in MODULES.glob("*.py")}
    files = [
        *ROOT.glob("roles/*/tasks/*.yml"),
        *ROOT.glob("roles/*/handlers/*.yml"),
        *ROOT.glob("*.yml"),
        *ROOT.glob("playbooks/*.yml"),
    ]
    # Ansible's own tags say nothing here.
    everything = [task for file in files for task in tasks(yaml.load(file.read_text(), Loader=yaml.CBaseLoader))]
    uses = [(name, task.get("delegate_to")) for task in everything for name in modules.keys() & task.keys()]
    delegated, elsewhere = ({name for name, to in uses if (to == "localhost") is at_home} for at_home in (True, False))
    return [modules[name] for name in sorted(modules.keys() - (delegated - elsewhere))]


def imports(tree: ast.AST) -> set[str]:
    """Names that a file imports: of `from a import b` both a and a.b."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        if isinstance(node, ast.ImportFrom):
            found |= {node.module or "", *(f"{node.module}.{each.name}" for each in node.names)}
    return found


def with_imports(files: list[Path]) -> list[Path]:
    """Add the project's module_utils that files import, also indirectly."""
    all_files = list(files)
    for file in all_files:  # which grows meanwhile
        imported = {UTILS / f"{name.rpartition('.')[2]}.py" for name in imports(ast.parse(file.read_text()))}
        all_files += sorted(each for each in imported - set(all_files) if each.exists())
    return all_files


def scripts_on_hosts() -> list[Path]:
    """Programs that roles or people copy to hosts."""
    shipped = [*ROOT.glob("roles/*/files/*"), *ROOT.glob("roles/*/templates/**/*"), ROOT / "bin/rtsp-camera"]
    return [file for file in shipped if file.is_file() and b"python" in file.read_bytes().partition(b"\n")[0]]


def complaint(source: str) -> str:
    """Say why Python 3.6 would not take a file; empty: it would."""
    try:
        found = imports(ast.parse(source, feature_version=(3, 6)))
    except SyntaxError as error:
        return f"line {error.lineno}: {error.msg}"
    if "__future__.annotations" in found:
        return "from __future__ import annotations came with 3.7"
    return ", ".join(sorted(found & NEWER))


ON_HOSTS = [*with_imports(modules_on_hosts()), *scripts_on_hosts()]


@pytest.mark.parametrize("file", ON_HOSTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_code_for_hosts_is_python_3_6(file):
    assert not complaint(file.read_text())


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("if (n := 1): pass", "line 1"),
        ("def f(a, /): pass", "line 1"),
        ("match a:\n    case 1: pass", "line 2"),
        ("from __future__ import annotations", "annotations"),
        ("from dataclasses import dataclass", "dataclasses"),
        ("import importlib.metadata", "importlib.metadata"),
        ("from importlib import resources", "importlib.resources"),
    ],
)
def test_finds_newer_syntax_and_modules(source, word):
    assert word in complaint(source)


def test_modules_of_the_controller_alone_may_be_newer():
    assert complaint((MODULES / "build_context.py").read_text())
    assert not {file.name for file in ON_HOSTS} & {"build_context.py", "softlayer_vm.py"}


def test_includes_the_imports_of_a_module():
    found = with_imports([MODULES / "container_swap.py"])
    assert {file.name for file in found} == {"container_swap.py", "container_engine.py"}


def test_a_real_python_3_6_compiles_it():
    found = subprocess.run([ROOT / "tests/molecule/python36/find.sh"], check=False, capture_output=True, text=True)
    if found.returncode:
        pytest.skip(found.stderr.strip())
    program = Path(found.stdout.strip(), "bin/python3.6")
    read = "import sys\nfor name in sys.argv[1:]: compile(open(name, encoding='utf-8').read(), name, 'exec')"
    done = subprocess.run([program, "-c", read, *ON_HOSTS], check=False, capture_output=True, text=True)
    assert not done.returncode, done.stderr
