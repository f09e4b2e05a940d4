"""The pages of the gallery in Debian's Chromium, examined by axe-core: no serious finding, in both themes and sizes."""

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from face_app.cloud.gallery.access.users import hash_password
from support import gallery_scene as scene
from support.faces import DrawnFace
from support.gallery import RunningGallery, running_gallery
from support.mosquitto import mosquitto

AXE = Path(__file__).parents[2] / ".cache/axe/axe.min.js"
CHROMIUM = shutil.which("chromium")
MISSING = "chromium or axe-core is missing: `bin/bootstrap test` fetches both"
PASSWORD = "correct horse battery"
WAIT = 60_000
"""Milliseconds after which an event has not come."""

if os.environ.get("CI") and not (CHROMIUM and AXE.exists()):
    raise RuntimeError(MISSING)
pytestmark = pytest.mark.skipif(not (CHROMIUM and AXE.exists()), reason=MISSING)

SIZES = {"desk": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}
RUN = """() => axe.run(document, {resultTypes: ["violations"], runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa",
"wcag22aa", "best-practice"]}).then(found => found.violations.map(each => ({
  rule: each.id, impact: each.impact,
  nodes: each.nodes.map(node => node.html.slice(0, 200) + " " + node.failureSummary)})))"""
SERIOUS = {"serious", "critical"}


class Shown(NamedTuple):
    """A gallery with everything that its pages can show."""

    gallery: RunningGallery
    faces: list[DrawnFace]
    browser: Browser


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    home = tmp_path_factory.mktemp("gallery")
    store, now = scene.folder_store(home / "bucket"), scene.now()
    faces = scene.visits(24, now, spread=timedelta(hours=40))
    scene.put(store, *faces[:3], *faces[5:])
    scene.write(store, faces[3].key, b"no picture")
    scene.put_records(store, faces, now)
    users = {"users": [{"name": "vera", "role": "viewer", "password": hash_password(PASSWORD)}]}
    (home / "users.json").write_text(json.dumps(users))
    with sync_playwright() as playwright, mosquitto() as broker:
        # As root, Chromium has no sandbox; it opens nothing but our own pages.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        scene.publish_states(broker.port, now)
        values = {"users_file": str(home / "users.json"), "access_log": str(home / "access.log")}
        with running_gallery(home, store, broker.port, **values) as gallery:
            form = {"user": "vera", "password": PASSWORD}
            assert gallery.client.post("/login", data=form, headers={"Origin": gallery.address}).status_code == 303
            gallery.listed().wait_for(lambda gallery: len(gallery.api("edges")["cameras"]) == len(scene.PLACES))
            yield Shown(gallery, faces, browser)
        browser.close()


PAGES: dict[str, Callable[[Shown], str]] = {
    "timeline": lambda _: "/",
    "edges": lambda _: "/edges",
    "face": lambda shown: f"/face/{shown.faces[-1].key}",
    "ledgers": lambda _: "/ledgers",
    "nothing matches": lambda _: "/?from=2001-01-01T00:00&to=2001-01-02T00:00",
    "filtered": lambda _: "/?edge=jetson&camera=door",
    "no such face": lambda _: "/face/x",
    "unreadable face": lambda shown: f"/face/{shown.faces[3].key}",
}


def open_page(shown: Shown, size: str, theme: Any, *, login: bool) -> Page:
    context = shown.browser.new_context(viewport=SIZES[size], color_scheme=theme, reduced_motion="reduce")
    if login:
        cookie = shown.gallery.client.cookies["face-app-session"]
        context.add_cookies([{"name": "face-app-session", "value": cookie, "url": shown.gallery.address}])
    page = context.new_page()
    page.set_default_timeout(WAIT)
    return page


def examine(page: Page) -> list[dict[str, Any]]:
    page.evaluate(AXE.read_text())  # by the debugger, so the policy of the page remains as it is
    found: list[dict[str, Any]] = page.evaluate(RUN)
    return [each for each in found if each["impact"] in SERIOUS]


def assert_accessible(shown: Shown, size: str, theme: str, names: Iterable[str]) -> None:
    page = open_page(shown, size, theme, login=True)
    findings = {}
    for name in names:
        page.goto(shown.gallery.address + PAGES[name](shown))
        findings[name] = examine(page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} scrolls sideways"
    page.context.close()
    page = open_page(shown, size, theme, login=False)
    page.goto(shown.gallery.address)
    findings["login"] = examine(page)
    page.context.close()
    assert not any(findings.values()), json.dumps({name: each for name, each in findings.items() if each}, indent=1)


@pytest.mark.parametrize(("size", "theme", "first"), [("desk", "light", 0), ("phone", "dark", 1)])
def test_no_page_has_a_serious_finding(shown, size, theme, first):
    assert_accessible(shown, size, theme, list(PAGES)[first::2])


@pytest.mark.full
@pytest.mark.parametrize("size", list(SIZES))
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_page_has_a_serious_finding_in_any_theme_and_size(shown, size, theme):
    assert_accessible(shown, size, theme, PAGES)


def test_a_finding_is_found(shown):
    page = open_page(shown, "desk", "light", login=False)
    page.goto(shown.gallery.address)
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<p id=pale>pale</p><img src=/static/icon.svg>')")
    page.evaluate("document.getElementById('pale').style.color = '#eee'")
    assert {each["rule"] for each in examine(page)} >= {"color-contrast", "image-alt"}
    page.context.close()
