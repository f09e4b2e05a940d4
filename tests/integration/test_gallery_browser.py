"""The gallery in Debian's Chromium, as a user sees it."""

import json
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from face_app.cloud.audit import audit
from face_app.cloud.audit.scope import Scope
from face_app.cloud.gallery.access.users import hash_password
from face_app.common.settings import Store
from support.faces import DrawnFace
from support.gallery import publish_receipt, running_gallery
from support.mosquitto import mosquitto
from support.portraits import portrait
from support.ports import free_port
from support.waiting import until

CHROMIUM = shutil.which("chromium")
WAIT = 60_000
"""Milliseconds after which an event has not come."""
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="chromium is missing: `bin/bootstrap test` installs it")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # As root, Chromium has no sandbox; it opens nothing but our own pages.
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "bucket").mkdir()
    return Store(kind="directory", path=tmp_path / "bucket")


@pytest.fixture(params=[DESK, PHONE], ids=["desk", "phone"])
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page that allows no error, no violation of the policy, and no request to another address."""
    context = browser.new_context(viewport=request.param, timezone_id="UTC")
    opened = context.new_page()
    opened.set_default_timeout(WAIT)
    problems: list[str] = []
    opened.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("request", lambda sent: problems.append(sent.url) if "//localhost:" not in sent.url else None)
    yield opened
    assert problems == []
    context.close()


def put(store: Store, *faces: DrawnFace) -> None:
    assert store.path
    for face in faces:
        path = store.path / face.key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(face.payload)


def some_faces() -> list[DrawnFace]:
    now = datetime.now(timezone.utc)
    return [
        portrait(1, now - timedelta(hours=30), camera="door", person=1, track=1),
        portrait(2, now - timedelta(minutes=40), camera="yard", person=2, track=2, score=0.4),
        portrait(3, now - timedelta(minutes=39), camera="yard", person=2, track=2, score=0.8, why="better"),
        portrait(1, now - timedelta(minutes=20), edge="pi", camera="hall", outbox="5ca1ab1e", person=4, track=1),
    ]


def cards(page: Page) -> list[str]:
    return page.locator("[data-key]").evaluate_all("cards => cards.map(card => card.dataset.key)")


def test_a_user_sees_the_stored_faces_filters_opens_one_and_sees_a_new_one_come(page, store, tmp_path):
    stored = some_faces()
    put(store, *stored)
    with mosquitto() as broker, running_gallery(tmp_path, store, broker.port) as gallery:
        gallery.listed()
        page.goto(gallery.address)
        expect(page.locator("[data-key]")).to_have_count(3)
        assert cards(page) == [stored[3].key, stored[2].key, stored[0].key]
        pictures = page.locator(".picture img")
        pictures.last.scroll_into_view_if_needed()
        until(lambda: page.evaluate("[...document.images].every(each => each.complete && each.naturalWidth > 0)"))
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "no scrolling sideways"

        page.get_by_label("Camera").select_option("yard")
        page.get_by_role("button", name="Show").click()
        page.wait_for_url("**camera=yard**")
        assert cards(page) == [stored[2].key]

        page.locator(".card").click()
        expect(page.get_by_role("heading", level=1)).to_have_text(f"{stored[2].metadata.captured_at:%H:%M:%S}")
        expect(page.get_by_text("a clearly better picture than the one before")).to_be_visible()
        expect(page.locator(".strip img")).to_have_count(2)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.keyboard.press("Escape")
        page.wait_for_url(f"{gallery.address}/")

        new = portrait(4, datetime.now(timezone.utc), camera="door", person=6, track=3)
        expect(page.locator("[data-what]")).to_have_count(0)
        put(store, new)
        publish_receipt(broker.port, new)
        expect(page.locator(f'[data-key="{new.key}"]')).to_be_visible()
        assert cards(page) == [new.key, stored[3].key, stored[2].key, stored[0].key]
        expect(page.locator(".total strong")).to_have_text("5")


def test_keys_move_between_faces(page, store, tmp_path):
    stored = some_faces()
    put(store, *stored)
    with mosquitto() as broker, running_gallery(tmp_path, store, broker.port) as gallery:
        gallery.listed()
        page.goto(gallery.address)
        expect(page.locator("[data-key]")).to_have_count(3)
        page.keyboard.press("ArrowRight")
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        page.wait_for_url(f"**{stored[2].key}")
        page.keyboard.press("ArrowLeft")
        page.wait_for_url(f"**{stored[3].key}")
        page.keyboard.press("ArrowRight")
        page.wait_for_url(f"**{stored[2].key}")


def test_a_user_logs_in_and_out(page, store, tmp_path):
    put(store, *some_faces())
    users = users_file(tmp_path)
    with mosquitto() as broker, running_gallery(tmp_path, store, broker.port, users_file=users) as gallery:
        page.goto(f"{gallery.address}/edges")
        page.get_by_label("User").fill("vera")
        page.get_by_label("Password").fill("correct horse battery")
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("heading", name="Edges")).to_be_visible()
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_role("heading", name="Log in")).to_be_visible()
        page.goto(gallery.address)
        expect(page.get_by_role("heading", name="Log in")).to_be_visible()


def test_the_pages_work_without_javascript(browser, store, tmp_path):
    stored = some_faces()
    put(store, *stored)
    with mosquitto() as broker, running_gallery(tmp_path, store, broker.port, page=2) as gallery:
        gallery.listed()
        context = browser.new_context(java_script_enabled=False)
        page = context.new_page()
        page.goto(gallery.address)
        expect(page.locator("[data-key]")).to_have_count(2)
        page.get_by_role("link", name="Older faces").click()
        expect(page.locator(f'[data-key="{stored[0].key}"]')).to_be_visible()
        page.locator(".card").last.click()
        expect(page.get_by_role("link", name="Download")).to_be_visible()
        context.close()


def users_file(folder: Path, role: str = "viewer") -> str:
    users = {"users": [{"name": "vera", "role": role, "password": hash_password("correct horse battery")}]}
    (folder / "users.json").write_text(json.dumps(users))
    return str(folder / "users.json")


def log_in(page: Page, address: str) -> None:
    page.set_default_timeout(WAIT)
    page.goto(address)
    page.get_by_label("User").fill("vera")
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("[data-key]").first).to_be_visible(timeout=WAIT)


def test_an_admin_erases_a_face_and_the_audit_balances(page, store, tmp_path):
    stored = some_faces()
    put(store, *stored)
    users = users_file(tmp_path, "admin")
    erasing = {"users_file": users, "erases": True, "erasure": {"staleness": 3.0}}
    with mosquitto() as broker, running_gallery(tmp_path, store, broker.port, **erasing) as gallery:
        log_in(page, gallery.address)
        gone = stored[0]
        page.locator(f'[data-key="{gone.key}"] .card').click()
        page.get_by_text("Erase…").click()
        page.get_by_role("button", name="Erase this face").click()
        page.wait_for_url(f"{gallery.address}/**")
        page.goto(gallery.address)
        expect(page.locator("[data-key]")).to_have_count(2)
        assert gone.key not in cards(page)
    assert not (store.path / gone.key).exists()
    report = audit.run(store, [], Scope(), content=True)
    assert report.balanced
    counts = {each.outbox: (each.stored, each.erased) for edge in report.edges for each in edge.outboxes}
    assert counts == {"0badcafe": (2, 1), "5ca1ab1e": (1, 0)}


def test_two_tabs_show_the_same_and_end_with_one_logout(browser, store, tmp_path):
    put(store, *some_faces())
    new, later = (portrait(4 + n, datetime.now(timezone.utc), camera="door", track=3 + n) for n in (0, 1))
    with (
        mosquitto() as broker,
        running_gallery(tmp_path, store, broker.port, users_file=users_file(tmp_path)) as gallery,
    ):
        context = browser.new_context()
        first, second = context.new_page(), context.new_page()
        log_in(first, gallery.address)
        second.goto(gallery.address)
        for tab in (first, second):
            expect(tab.locator("[data-what]")).to_have_count(0, timeout=WAIT)
        put(store, new)
        publish_receipt(broker.port, new)
        for tab in (first, second):
            expect(tab.locator(f'[data-key="{new.key}"]')).to_be_visible(timeout=WAIT)
        first.get_by_role("button", name="Log out").click()
        expect(first.get_by_role("heading", name="Log in")).to_be_visible(timeout=WAIT)
        put(store, later)
        publish_receipt(broker.port, later)
        expect(second.get_by_role("heading", name="Log in")).to_be_visible(timeout=WAIT)
        context.close()


def test_a_tab_whose_session_has_ended_asks_for_a_login(browser, store, tmp_path):
    """A restart ends all sessions."""
    put(store, *some_faces())
    port, users = free_port(), users_file(tmp_path)
    with mosquitto() as broker:
        context = browser.new_context()
        tab = context.new_page()
        with running_gallery(tmp_path, store, broker.port, port=port, users_file=users) as gallery:
            log_in(tab, gallery.address)
        with running_gallery(tmp_path, store, broker.port, port=port, users_file=users):
            expect(tab.get_by_role("heading", name="Log in")).to_be_visible(timeout=WAIT)
        context.close()
