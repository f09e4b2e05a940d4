"""The demo's gallery in Debian's Chromium, and the playbooks that erase and audit, on one deployment.

The tests depend on each other in this order: see and erase, erase by playbooks, audit.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from support.clips import photo
from support.demo import EDGE, SUBSCRIBER, capture, keys, playbook, run
from support.waiting import until

CHROMIUM = shutil.which("chromium")
WAIT = 90_000
"""Milliseconds after which an event has not come."""
SIZES = ({"width": 1280, "height": 900}, {"width": 390, "height": 844})
VISITOR = "demo-edge/visitor/"
"""Prefix of the faces that a further camera sends."""

pytestmark = [
    pytest.mark.docker,
    pytest.mark.full,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(os.geteuid() != 0, reason="deploys on this machine: run as root"),
    pytest.mark.skipif(not CHROMIUM, reason="chromium is missing: `bin/bootstrap test` installs it"),
]


@pytest.fixture(scope="module")
def page(demo: dict[str, Any]) -> Iterator[Page]:
    """The address that `bin/demo` printed, after a login with what it printed."""
    with sync_playwright() as playwright:
        # As root, Chromium has no sandbox; it opens nothing but our own pages.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        opened = browser.new_context(viewport=SIZES[0]).new_page()
        opened.set_default_timeout(WAIT)
        opened.goto(demo["gallery"])
        opened.get_by_label("User").fill(demo["gallery_login"]["user"])
        opened.get_by_label("Password").fill(demo["gallery_login"]["password"])
        opened.get_by_role("button", name="Log in").click()
        expect(opened.locator(".card").first).to_be_visible(timeout=WAIT)
        yield opened
        browser.close()


def answer(page: Page, address: str) -> dict[str, Any]:
    """What the gallery answers to the logged-in browser."""
    document: dict[str, Any] = page.request.get(urljoin(page.url, address)).json()
    return document


def shown(page: Page) -> set[str]:
    """Keys of all faces of the timeline, of which a page shows the best ones in front."""
    found, address = set(), "/api/faces"
    while address:
        part = answer(page, address)
        found |= {face["key"] for face in part["faces"]}
        address = part["older"]
    return found


def cards(page: Page) -> list[str]:
    return page.locator("[data-key]").evaluate_all("cards => cards.map(card => card.dataset.key)")


def photograph(page: Page, name: str, folder: Path) -> None:
    """Take a picture at each width, and check that the page does not scroll sideways."""
    for size in SIZES:
        page.set_viewport_size(size)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (name, size)
        page.screenshot(path=folder / f"{name}-{size['width']}.png", full_page=True)
    page.set_viewport_size(SIZES[0])


def send_faces(folder: Path, count: int) -> set[str]:
    """Send drawn faces with a further camera, and return their keys."""
    (folder / "photos").mkdir(exist_ok=True)
    photo(folder / "photos" / "three.png", faces=3)
    command = capture(folder / "photos", "visitor", "--loop", "--pace=fast", f"--stop-after={count}", "--wait=120")
    summary = json.loads(run(*command).splitlines()[-1])
    assert summary["stored"] == summary["captured"] == count
    return {face["key"] for face in summary["faces"]}


def audited(edge: str, *options: str) -> dict[str, Any]:
    """The report of an audit with the ledger of the edge."""
    ledger = run("docker", "exec", EDGE, "face-app", "ledger")
    command = ["docker", "exec", "-i", SUBSCRIBER, "face-app", "audit", "--ledger=-", "--json", f"--edge={edge}"]
    done = subprocess.run([*command, *options], check=False, input=ledger, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


def test_a_user_sees_filters_opens_watches_and_erases(demo, page, tmp_path):
    stored = keys("demo-edge/")
    until(lambda: shown(page) == stored)
    expect(page.locator(".total strong")).to_have_text(str(len(stored)))
    until(lambda: page.evaluate("[...document.images].some(each => each.complete && each.naturalWidth > 0)"))
    photograph(page, "timeline", tmp_path)

    page.get_by_label("Camera").select_option("demo")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**camera=demo**")
    expect(page.locator(".total strong")).to_have_text(str(demo["captured"]))
    assert {key.rsplit("/", 5)[0] for key in cards(page)} == {"demo-edge/demo"}
    page.goto(demo["gallery"])

    expect(page.locator("[data-what]")).to_have_count(0)  # the connection for news is open
    new = send_faces(tmp_path, 3)
    expect(page.locator(f'[data-key^="{VISITOR}"]').first).to_be_visible()
    until(lambda: shown(page) == stored | new)

    page.goto(demo["gallery"] + "?camera=demo")  # in the full tier, the first page has other cameras alone
    gone = cards(page)[0]
    page.locator(f'[data-key="{gone}"] .card').click()
    expect(page.get_by_role("heading", name="Capture")).to_be_visible()
    page.get_by_text("Erase…").click()
    photograph(page, "face", tmp_path)
    page.get_by_role("button", name="Erase this face").click()
    page.wait_for_url(lambda address: "/face/" not in address)
    page.goto(demo["gallery"] + "?camera=demo")
    expect(page.locator(f'[data-key="{gone}"]')).to_have_count(0)
    assert keys("demo-edge/") == (stored | new) - {gone}
    report = audited("demo-edge")
    assert (report["holds"], report["counts"]["erased"]) == (True, 1)
    for name in ("edges", "ledgers"):
        page.goto(demo["gallery"] + name)
        photograph(page, name, tmp_path)


def erase(*options: str, **values: str) -> str:
    extra = [part for name, value in values.items() for part in ("-e", json.dumps({f"erase_{name}": value}))]
    return run(".venv/bin/ansible-playbook", "-i", "inventory/demo", "playbooks/erase.yml", *extra, *options)


def test_the_playbook_erases_by_visit_and_by_range(demo, page, tmp_path):
    before = keys("demo-edge/")
    face = next(iter(sorted(keys("demo-edge/demo/"))))
    visit = answer(page, f"/api/faces/{face}")
    shots = set(visit["shots_of_visit"]) | {face}
    assert f"would be erased: {len(shots)} faces" in erase("--check", visit=visit["visit"])
    assert keys("demo-edge/") == before
    assert f"erased: {len(shots)} faces" in erase(visit=visit["visit"], why="request of a visitor")
    assert keys("demo-edge/") == before - shots

    ranged = {"edge": "demo-edge", "camera": "visitor", "from": "2020-01-01"}
    visitors = keys(VISITOR)
    assert f"would be erased: {len(visitors)} faces" in erase("--check", **ranged)
    assert f"erased: {len(visitors)} faces" in erase(**ranged)
    assert keys("demo-edge/") == before - shots - visitors
    assert "erased: 0 faces" in erase(**ranged)
    # A face that another program erased disappears as soon as its picture is asked for.
    assert {page.request.get(urljoin(page.url, f"/image/{key}")).status for key in shots | visitors} == {404}
    assert shown(page) == keys("demo-edge/")


def test_the_playbook_leaves_a_report_for_the_page_ledgers(demo, page, tmp_path):
    for counts in playbook("playbooks/audit.yml").values():
        assert (counts["failed"], counts["unreachable"]) == (0, 0)
    until(lambda: answer(page, "/api/ledgers")["audits"])
    page.goto(demo["gallery"] + "ledgers")
    photograph(page, "ledgers-after-audit", tmp_path)
    (audit,) = answer(page, "/api/ledgers")["audits"]
    assert (audit["edge"], audit["report"]["exit_code"]) == ("demo-edge", 0)
    assert audit["ledger_age"] >= 0
    (outbox,) = audit["report"]["outboxes"]
    assert outbox["counts"]["stored"] == len(keys("demo-edge/"))
    assert outbox["counts"]["erased"] >= 5
