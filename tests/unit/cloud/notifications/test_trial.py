"""face-app notify-test, as a process."""

import io
import os
import subprocess
import sys

from PIL import Image

from support.gallery import settings_text


def run(desk, *urls: str) -> subprocess.CompletedProcess[str]:
    store = desk.settings(*urls).store
    config = desk.urls_file.with_name("gallery.toml")
    config.write_text(settings_text(store, log="debug", notifications={"urls_file": str(desk.urls_file)}))
    return subprocess.run(
        [sys.executable, "-m", "face_app", "notify-test", "--config", str(config)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(each for each in sys.path if each)},
    )


def test_each_service_gets_a_drawing(desk):
    one, other = desk.receiver(), desk.receiver()
    done = run(desk, "# two services", one.url, "", other.url.replace("json", "form"))
    assert (done.returncode, done.stdout) == (0, "service 1 (json): sent\nservice 2 (form): sent\n")
    for service in (one, other):
        (message,) = service.received
        (picture,) = message.pictures.values()
        assert Image.open(io.BytesIO(picture)).size == (160, 160)


def test_a_service_that_refuses_is_named_with_its_cause(desk):
    one, other = desk.receiver(), desk.receiver()
    other.status = 401
    done = run(desk, one.url, f"json://127.0.0.1:{other.port}/Tok3nTok3n", "json://user:S3cretS3cret@127.0.0.1:1/")
    assert done.returncode == 8
    assert done.stderr.splitlines()[-4:] == [
        "face-app: a service did not accept the picture",
        "service 1 (json): sent",
        "service 2 (json): failed: it answered 401 (Unauthorized); check the URL",
        "service 3 (json): failed: the connection is refused",
    ]
    assert "Tok3n" not in done.stderr
    assert "S3cret" not in done.stderr


def test_a_wrong_url_is_one_line(desk):
    done = run(desk, "tgram://Tok3nTok3n")
    assert done.returncode == 2
    assert done.stderr == (
        f"face-app: notifications.urls_file {desk.urls_file}: the URL in line 1 cannot be used: its parts are not "
        "those of tgram://; docs/notifications.md has examples\n"
    )
