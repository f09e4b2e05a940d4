"""Who may see what: refusals, sessions, forms, headers, the access log."""

import asyncio
import json
import re
from base64 import b64encode
from typing import Any

import pytest

from face_app.cloud.gallery.access import sessions as sessions_module
from face_app.cloud.gallery.access import users as users_module
from face_app.cloud.gallery.access.guard import Guard
from face_app.cloud.gallery.access.users import Users, check_password, hash_password
from face_app.common.errors import SettingsError, StoreError
from support.portraits import portrait
from unit.cloud.gallery.conftest import NOON, PASSWORD, World, faces, login

PATHS = ["/", "/edges", "/ledgers", "/events", "/api/faces", "/api/hours", "/api/edges", "/api/ledgers", "/api/state"]


class Eraser:
    """Deletes from the folder, or fails."""

    def __init__(self, world: World, *, fails: bool = False) -> None:
        self.erased: list[tuple[str, str]] = []
        self.problem = ""
        self._world = world
        self._fails = fails

    def erase(self, key: str, user: str) -> None:
        if self._fails:
            raise StoreError("the bucket does not answer")
        (self._world.bucket / key).unlink(missing_ok=True)
        self.erased.append((key, user))

    def erase_visit(self, keys: Any, visit: str, user: str) -> None:
        for key in keys:
            self.erase(key, user)


def token_of(page: Any) -> str:
    return re.search(r'name="token" value="([0-9a-f]+)"', page.text)[1]


@pytest.mark.parametrize("path", [*PATHS, "/face/{key}", "/image/{key}", "/api/faces/{key}"])
def test_nothing_is_shown_without_a_login(world: World, path):
    face = portrait(1, NOON)
    world.put(face)
    client = world.client(world.open(login=True))
    answer = client.get(path.format(key=face.key), follow_redirects=False)
    assert answer.status_code in {303, 401}
    assert face.key not in answer.text
    assert b"\xff\xd8" not in answer.content
    if answer.status_code == 303:
        assert answer.headers["location"].startswith("/login?to=")


def test_a_login_leads_to_the_wanted_page_and_ends_by_logout(world: World):
    world.put(portrait(1, NOON))
    client = world.client(world.open(login=True))
    answer = client.post("/login", data={"user": "vera", "password": PASSWORD, "to": "/edges"}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/edges")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    page = client.get("/")
    assert page.status_code == 200
    old = client.cookies["face-app-session"]
    assert client.post("/logout", data={"token": token_of(page)}, follow_redirects=False).status_code == 303
    assert client.get("/api/faces").status_code == 401
    client.cookies.set("face-app-session", old)
    assert client.get("/api/faces").status_code == 401


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x", "\n/"]
)
def test_a_login_leads_nowhere_else(world: World, target):
    client = world.client(world.open(login=True))
    answer = client.post("/login", data={"user": "vera", "password": PASSWORD, "to": target}, follow_redirects=False)
    assert answer.headers["location"] == "/"


@pytest.mark.parametrize(("user", "password"), [("vera", "wrong"), ("unknown", PASSWORD), ("vera", ""), ("", "")])
def test_a_wrong_password_is_refused(world: World, user, password):
    client = world.client(world.open(login=True))
    answer = login(client, user, password)
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert world.accesses()[-1]["detail"] == "wrong user or password"


def test_attempts_are_limited_for_each_user_and_address(world: World):
    client = world.client(world.open(login=True))
    assert [login(client, "vera", "wrong").status_code for _ in range(7)] == [401] * 5 + [429] * 2
    assert int(login(client, "vera").headers["retry-after"]) > 0
    assert login(client, "ada").status_code == 303


def test_a_login_forgets_the_failures_before_it(world: World):
    client = world.client(world.open(login=True))
    for _ in range(2):
        assert [login(client, "vera", "wrong").status_code for _ in range(4)] == [401] * 4
        assert login(client, "vera").status_code == 303
        client.cookies.clear()


def test_an_address_that_tries_many_names_is_limited(world: World):
    client = world.client(world.open(login=True))
    assert [login(client, f"user{number}", "wrong").status_code for number in range(21)] == [401] * 20 + [429]


def test_a_password_is_hashed_with_salt_and_compared():
    first, second = hash_password(PASSWORD), hash_password(PASSWORD)
    assert first != second
    assert check_password(PASSWORD, first)
    assert not check_password(PASSWORD + " ", first)
    assert not check_password(PASSWORD, "scrypt$3$8$1$aaaa$aaaa")


def test_an_expired_session_is_refused(world: World, monkeypatch):
    gallery = world.open(login=True)
    client = world.client(gallery)
    login(client, "vera")
    assert client.get("/api/faces").status_code == 200
    now = sessions_module.time.time() + gallery.settings.session_hours * 3600 + 1
    monkeypatch.setattr(sessions_module.time, "time", lambda: now)
    assert client.get("/api/faces").status_code == 401


def test_a_forged_cookie_is_refused(world: World):
    client = world.client(world.open(login=True))
    login(client, "vera")
    content, _, signature = client.cookies["face-app-session"].partition(".")
    for forged in (content, f"{content}.", f"{content}.{'0' * 64}", f"{content}A.{signature}", "", ".", "é.é"):
        client.cookies.clear()
        answer = client.get("/api/faces", headers={"Cookie": f"face-app-session={forged}".encode("latin-1")})
        assert answer.status_code == 401, forged


def test_sessions_end_with_the_program(world: World):
    client = world.client(world.open(login=True))
    login(client, "vera")
    again = world.client(world.open(login=True))
    again.cookies.set("face-app-session", client.cookies["face-app-session"])
    assert again.get("/api/faces").status_code == 401


def test_only_an_admin_erases_and_only_if_it_is_configured(world: World):
    face, other = faces(2)
    world.put(face, other)
    eraser = Eraser(world)
    gallery = world.open(login=True, eraser=eraser)
    client = world.client(gallery)
    login(client, "vera")
    page = client.get(f"/face/{face.key}")
    assert "Erase" not in page.text
    assert client.post(f"/erase/{face.key}", data={"token": token_of(page)}).status_code == 403
    client.cookies.clear()
    login(client, "ada")
    page = client.get(f"/face/{face.key}")
    assert "Erase this face" in page.text
    assert client.post(f"/erase/{face.key}", data={"token": "0" * 64}).status_code == 403
    assert client.post(f"/erase/{face.key}").status_code == 403
    assert eraser.erased == []
    answer = client.post(f"/erase/{face.key}", data={"token": token_of(page)}, follow_redirects=False)
    assert answer.status_code == 303
    assert eraser.erased == [(face.key, "ada")]
    assert client.get(f"/image/{face.key}").status_code == 404
    assert [each["key"] for each in client.get("/api/faces").json()["faces"]] == [other.key]
    assert [entry["user"] for entry in world.accesses() if entry["action"] == "erase"] == ["ada"]


def test_two_admins_may_erase_the_same_face(world: World):
    (face,) = faces(1)
    world.put(face)
    client = world.client(world.open(login=True, eraser=Eraser(world)))
    login(client, "ada")
    token = token_of(client.get(f"/face/{face.key}"))
    answers = [client.post(f"/erase/{face.key}", data={"token": token}, follow_redirects=False) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [303, 303]


def test_a_failed_erasure_can_be_repeated(world: World):
    (face,) = faces(1)
    world.put(face)
    client = world.client(world.open(login=True, eraser=Eraser(world, fails=True)))
    login(client, "ada")
    token = token_of(client.get(f"/face/{face.key}"))
    answer = client.post(f"/erase/{face.key}", data={"token": token})
    assert answer.status_code == 503
    assert client.get(f"/image/{face.key}").status_code == 200


def test_without_users_everything_is_seen_and_nothing_erased(world: World):
    (face,) = faces(1)
    world.put(face)
    eraser = Eraser(world)
    client = world.client(world.open(eraser=eraser))
    assert client.get(f"/image/{face.key}").content == face.payload
    assert client.post(f"/erase/{face.key}").status_code == 403
    assert eraser.erased == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "localhost.evil.example"}, 421),
        ({"Host": ""}, 421),
        ({"Host": "[::2]:80"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:8081"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ({"Host": "localhost:9000", "Origin": "http://localhost:9000"}, 200),
        ({"Host": "127.0.0.1"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 200),
    ],
)
def test_other_web_pages_reach_nothing(world: World, headers, status):
    """A browser of this machine may have them open: by DNS rebinding, an embedded picture, or a form."""
    (face,) = faces(1)
    world.put(face)
    client = world.client(world.open())
    assert client.get(f"/image/{face.key}", headers=headers).status_code == status


def test_the_links_of_notifications_are_addresses_of_the_gallery(world: World):
    client = world.client(world.open(public_url="https://Faces.example.com:8443/"))
    for host, status in {"faces.example.com:8443": 200, "other.example.com:8443": 421}.items():
        headers = {"Host": host, "Origin": f"http://{host}"}
        assert client.get("/", headers=headers).status_code == status


def test_a_post_without_an_origin_is_refused(world: World):
    client = world.client(world.open(login=True))
    del client.headers["Origin"]
    assert login(client, "vera").status_code == 403


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_are_refused(world: World, method):
    client = world.client(world.open())
    assert client.request(method, "/").status_code == 405


def test_a_form_that_is_too_large_is_refused(world: World):
    client = world.client(world.open(login=True))
    assert login(client, "vera", PASSWORD + "x" * 100_000).status_code == 401


@pytest.mark.parametrize("path", ["/", "/login", "/static/gallery.css", "/nothing", "/api/faces", "/face/x"])
def test_every_answer_has_the_security_headers(world: World, path):
    headers = world.client(world.open()).get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "private" in headers["cache-control"] or path.startswith("/static")
    assert "server" not in headers


def test_each_view_of_a_face_is_logged_with_user_and_time(world: World):
    (face,) = faces(1)
    world.put(face)
    client = world.client(world.open(login=True))
    login(client, "vera")
    client.get(f"/face/{face.key}")
    etag = client.get(f"/image/{face.key}").headers["etag"]
    assert client.get(f"/image/{face.key}", headers={"If-None-Match": etag}).status_code == 304
    client.get(f"/image/{face.key}?download=1")
    seen = world.accesses()
    assert [(each["user"], each["action"]) for each in seen] == [
        ("vera", "login"),
        *[("vera", "view")] * 3,
        ("vera", "download"),
    ]
    assert all(each["key"] == face.key for each in seen[1:])
    assert all(each["at"].endswith("+00:00") for each in seen)


def test_no_face_is_shown_that_cannot_be_logged(world: World):
    (face,) = faces(1)
    world.put(face)
    client = world.client(world.open(), raise_server_exceptions=False)
    assert client.get(f"/image/{face.key}").status_code == 200
    world.access_log.unlink()
    world.access_log.mkdir()
    answer = client.get(f"/image/{face.key}")
    assert answer.status_code == 500
    assert b"\xff\xd8" not in answer.content


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"users": []}',
        '{"users": [{"name": "a", "role": "root", "password": "scrypt$1$1$1$aa$aa"}]}',
        '{"users": [{"name": "a", "role": "admin", "password": "hunter2"}]}',
    ],
)
def test_a_wrong_file_of_users_stops_the_program_without_its_content(world: World, tmp_path, content):
    file = tmp_path / "wrong.json"
    file.write_text(content)
    with pytest.raises(SettingsError) as caught:
        world.open(users_file=file)
    assert str(file) in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_two_users_of_one_name_stop_the_program(tmp_path):
    file = tmp_path / "users.json"
    users = [{"name": name, "role": "admin", "password": hash_password("a long word")} for name in ("b", "a", "b")]
    file.write_text(json.dumps({"users": users}))
    with pytest.raises(SettingsError, match="two users are named b; rename or remove one"):
        Users(file)


SALT_AND_HASH = "c2FsdA==$" + b64encode(bytes(32)).decode()


@pytest.mark.parametrize(
    "hashed",
    [
        *(f"scrypt${numbers}${SALT_AND_HASH}" for numbers in ("262144$8$1", "131072$16$1", "1000$8$1", "1$8$1")),
        *(f"scrypt${numbers}${SALT_AND_HASH}" for numbers in ("1024$0$1", "1024$8$0")),
        "scrypt$1024$8$1$c2FsdA==$" + b64encode(bytes(31)).decode(),
        "scrypt$1024$8$1$c2FsdA==$" + "A" * 41,
        "scrypt$1024$8$1$====$" + b64encode(bytes(32)).decode(),
    ],
)
def test_a_hash_that_no_password_can_match_stops_the_program(tmp_path, hashed):
    file = tmp_path / "users.json"
    file.write_text(json.dumps({"users": [{"name": "a", "role": "admin", "password": hashed}]}))
    with pytest.raises(SettingsError, match=r"users\.0\.password is invalid"):
        Users(file)


def test_a_hash_of_the_highest_cost_loads_and_matches(tmp_path, monkeypatch):
    monkeypatch.setattr(users_module, "N", users_module.MAX_N)
    monkeypatch.setattr(users_module, "P", 1)
    file = tmp_path / "users.json"
    user = {"name": "a", "role": "admin", "password": hash_password("a long word")}
    file.write_text(json.dumps({"users": [user]}))
    assert Users(file).verify("a", "a long word")


def test_only_the_login_itself_needs_none(world: World):
    client = world.client(world.open(login=True))
    assert client.get("/login").status_code == 200
    assert client.get("/login-of-another", follow_redirects=False).status_code == 303


def test_only_http_reaches_a_page():
    reached, sent = [], []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        reached.append(scope["type"])

    async def send(message: Any) -> None:
        sent.append(message["type"])

    async def receive() -> Any:
        return {}

    guard = Guard(app, sessions=None, names={"localhost"}, tls=False)
    for kind in ("lifespan", "websocket"):
        asyncio.run(guard({"type": kind, "path": "/", "headers": []}, receive, send))
    assert (reached, sent) == (["lifespan"], ["websocket.close"])
