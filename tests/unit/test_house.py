"""The layout of the package and its generated references."""

import ast
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import tiers

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src/face_app"


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT / "src").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in SOURCE.rglob("*.py")}


def imports(module: str) -> set[str]:
    """Modules of the package that a module imports, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else node.module for name in names}
    return {name for name in found if name in MODULES and name != module}


def test_the_security_page_names_existing_tests():
    """A name after ``…`` is in the file named before it."""
    file, names = "", 0
    for path, name in re.findall(r"`([\w/…]+(?:\.py)?)(?:::(test_\w+))?`", (ROOT / "docs/security.md").read_text()):
        file = path if path.endswith(".py") else file if path == "…" else ""
        if file:
            text = (ROOT / "tests" / file).read_text()
            assert not name or f"def {name}(" in text, f"{file}::{name}"
            names += 1
    assert names > 30


@pytest.mark.parametrize(
    ("wing", "others"), [("edge", ("cloud", "cli")), ("cloud", ("edge", "cli")), ("common", ("edge", "cloud", "cli"))]
)
def test_a_wing_imports_no_other_wing(wing, others):
    forbidden = tuple(f"face_app.{other}" for other in others)
    found = {
        (module, name)
        for module in MODULES
        if module.startswith(f"face_app.{wing}")
        for name in imports(module)
        if name.startswith(forbidden)
    }
    assert found == set()


def test_imports_have_no_cycle():
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path[path.index(module) :], module))
        if module in done:
            return
        for name in imports(module):
            visit(name, (*path, module))
        done.add(module)

    for module in MODULES:
        visit(module, ())


def test_no_two_files_of_a_wing_share_a_name():
    places = defaultdict(list)
    for path in SOURCE.rglob("*.py"):
        if path.name != "__init__.py":
            wing = path.relative_to(SOURCE).parts[0]
            places[wing, path.name].append(path)
    assert [paths for paths in places.values() if len(paths) > 1] == []


def test_generated_references_are_current():
    done = subprocess.run(
        [sys.executable, ROOT / "bin/docs", "--check"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_tests_marked_docker_are_in_the_folder_that_their_step_collects():
    found = {file for file in (ROOT / "tests").rglob("*.py") if re.search(r"pytest\.mark\.docker\b", file.read_text())}
    assert found
    assert {file for file in found if not file.is_relative_to(ROOT / tiers.DEPLOYMENT)} == set()


PRIVATE_WORDS = "tell|tells|told|teller|nobody|somebody|whoever|anybody|anew|write-up|revenants|foresaw|stranger"
PRIVATE_WORDS += "|left out|bare folder"


REGISTRIES = "|".join(("pypi[.]", "registry[.]npm", "pythonhosted[.]", "debian[.]org/debian"))
"""Hosts of package registries: a file that names one binds its users to it."""


def test_browser_tests_poll_from_outside_the_page():
    """Playwright's own poll compiles text inside the page, which the gallery refuses from the second try on."""
    poll = "wait_for_" + "function"
    assert [path.name for path in (ROOT / "tests").rglob("*.py") if poll in path.read_text()] == []


def test_no_variable_holds_the_variables_of_hosts():
    """Ansible would compute each variable of each of these hosts, hashes of passwords too, wherever it is used."""
    files = [path for folder in ("roles", "playbooks") for path in (ROOT / folder).rglob("*.yml")]
    held = re.compile(r"""map\('extract', hostvars\)\s*\}\}""")
    assert len(files) > 100
    assert [str(path) for path in files if held.search(path.read_text())] == []


CONDITIONS = {"that", "when", "until", "failed_when", "changed_when"}


def conditions(document: object) -> Iterator[str]:
    """Yield each condition of a file of plays or tasks."""
    if isinstance(document, list):
        for each in document:
            yield from conditions(each)
    elif isinstance(document, dict):
        for name, value in document.items():
            if name in CONDITIONS:
                yield from (str(each) for each in (value if isinstance(value, list) else [value]))
            else:
                yield from conditions(value)


def test_no_condition_has_delimiters_of_a_template():
    """A condition is an expression already. Ansible-core 2.16 accepts delimiters in `that`, 2.19 fails."""
    loader = type("Loader", (yaml.SafeLoader,), {})
    loader.add_constructor("!unsafe", lambda reader, node: reader.construct_scalar(node))
    files = [*ROOT.glob("*.yml"), *(path for name in ("roles", "playbooks") for path in (ROOT / name).rglob("*.yml"))]
    found = {path: list(conditions(yaml.load(path.read_text(), loader))) for path in files}
    assert sum(map(len, found.values())) > 300
    assert [(path.name, each) for path, texts in found.items() for each in texts if "{{" in each] == []


def test_no_file_names_the_host_of_a_registry():
    command = ["git", "grep", "-nE", f"//[^/ ]*({REGISTRIES})", "--", "."]
    assert subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT).stdout == ""


def test_files_use_the_words_of_the_glossary():
    quoted = ("nobody:", '"nobody"', "~nobody", ".tell()", "PRIVATE_WORDS")
    exempt = (":!requirements", ":!tests/roles/inventory_0_1")
    command = ["git", "grep", "-nwiE", PRIVATE_WORDS, "--", ".", *exempt]
    found = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT).stdout.splitlines()
    assert [line for line in found if not any(each in line for each in quoted)] == []
