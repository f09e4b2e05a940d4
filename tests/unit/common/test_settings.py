"""A wrong setting stops the program with one line that names it."""

import pytest

from face_app.common.errors import SettingsError
from face_app.common.settings import CloudSettings, EdgeSettings, GallerySettings, HealthSettings, load


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    monkeypatch.delenv("FACE_APP_CONFIG", raising=False)


def test_several_brokers_replace_the_single_one(tmp_path, monkeypatch):
    file = tmp_path / "cloud.toml"
    store = f'[store]\nkind = "directory"\npath = "{tmp_path}"\n'
    file.write_text(store)
    assert [broker.host for broker in load(CloudSettings, file, {}).every_broker] == ["localhost"]
    several = '[[brokers]]\nhost = "a"\n[[brokers]]\nhost = "b"\nport = 8883\n'
    file.write_text(store + several)
    settings = load(CloudSettings, file, {})
    assert [(broker.host, broker.port) for broker in settings.every_broker] == [("a", 1883), ("b", 8883)]
    assert load(GallerySettings, file, {}).every_broker == settings.every_broker
    with pytest.raises(SettingsError, match="broker and brokers are both set"):
        load(CloudSettings, file, {"broker.host": "c"})
    file.write_text(store + several.replace('"b"\nport = 8883', '"a"'))
    with pytest.raises(SettingsError, match="brokers contains a:1883 twice"):
        load(CloudSettings, file, {})
    file.write_text(store + several.replace("8883", "0"))
    with pytest.raises(SettingsError, match=r"brokers\.1\.port"):
        load(CloudSettings, file, {})
    file.write_text(store)
    monkeypatch.setenv("FACE_APP_BROKERS", '[{"host": "c"}]')
    assert [broker.host for broker in load(CloudSettings, file, {}).every_broker] == ["c"]


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(tmp_path, monkeypatch):
    file = tmp_path / "edge.toml"
    file.write_text('edge = "filed"\n[broker]\nhost = "filed"\nport = 1\n[camera]\nname = "filed"\n')
    monkeypatch.setenv("FACE_APP_BROKER__HOST", "environment")
    monkeypatch.setenv("FACE_APP_CAMERA__NAME", "environment")
    settings = load(EdgeSettings, file, {"camera.name": "line", "edge": None})
    assert (settings.edge, settings.broker.host, settings.broker.port, settings.camera.name) == (
        "filed",
        "environment",
        1,
        "line",
    )


@pytest.mark.parametrize(
    ("toml", "names"),
    [
        ("colour = 1", ["colour", "unknown setting"]),
        ("[broker]\nprot = 1", ["broker.prot", "unknown setting"]),
        ("[broker]\nport = 70000", ["broker.port", "70000", "65535"]),
        ('edge = "a/b"', ["edge", "a/b"]),
        ('[detector]\nname = "magic"', ["detector.name", "magic", "yunet", "haar"]),
        ('[broker]\ncert_file = "x"', ["broker", "key_file"]),
        ('[detector]\nengine = "tensorrt"', ["detector.engine", "tensorrt", "onnxruntime", "opencv"]),
        ("[detector]\nscore = 1.5", ["detector.score", "1.5", "less than or equal to 1"]),
        ("[detector]\nwidth = 5000", ["detector.width", "5000", "4096"]),
        ("[zones]\nprivacy = [[[0, 0], [1, 1]]]", ["zones.privacy.0", "at least 3"]),
        ("[zones]\nprivacy = [[[0, 0], [1, 0], [1, 2]]]", ["zones.privacy.0.2.1", "2", "less than or equal to 1"]),
        ("[zones]\ndetect = [[[0, 0], [1, 0], [nan, 1]]]", ["zones.detect.0.2.0", "nan"]),
        ("[zones]\ndetect = [[[0, 0], [1, 0], [1]]]", ["zones.detect.0.2"]),
        ("[gate]\nrate = 0", ["gate.rate", "0", "greater than or equal to 1"]),
        ("[gate]\nrate = nan", ["gate.rate", "nan"]),
        ("[gate]\ncpu = 2", ["gate.cpu", "2", "less than or equal to 1"]),
        ("[gate]\narea = 0", ["gate.area", "0"]),
        ("[shot]\nmost = 0", ["shot.most", "0", "greater than or equal to 1"]),
        ("[shot]\nleast = -1", ["shot.least", "-1"]),
        ("[shot]\nbetter_factor = 0.5", ["shot.better_factor", "0.5"]),
        ("[shot]\nbetter_by = 0.1", ["shot", "set better_factor"]),
        ("[crop]\nlongest = 8", ["crop.longest", "8", "32"]),
        ('[crop]\nformat = "gif"', ["crop.format", "gif", "jpeg", "png"]),
        ("not toml", ["edge.toml"]),
    ],
)
def test_one_line_names_the_setting_and_its_allowed_values(tmp_path, toml, names):
    file = tmp_path / "edge.toml"
    file.write_text(toml)
    with pytest.raises(SettingsError) as refused:
        load(EdgeSettings, file, {})
    line = str(refused.value)
    assert "\n" not in line
    for name in names:
        assert name in line


def test_polygons_come_from_a_file_and_from_the_environment(tmp_path, monkeypatch):
    triangle = [(0.0, 0.0), (1.0, 0.0), (0.5, 1.0)]
    file = tmp_path / "edge.toml"
    file.write_text("[zones]\ndetect = [[[0, 0], [1, 0], [0.5, 1]]]\n")
    monkeypatch.setenv("FACE_APP_ZONES__PRIVACY", "[[[0, 0], [1, 0], [0.5, 1]], [[0, 0], [1, 0], [0.5, 1]]]")
    zones = load(EdgeSettings, file, {}).zones
    assert (zones.detect, zones.privacy) == ([triangle], [triangle] * 2)


@pytest.mark.parametrize("model", [EdgeSettings, HealthSettings])
@pytest.mark.parametrize("variable", ["FACE_APP_EGDE", "FACE_APP_BROKR__HOST", "face_app_brokr__host", "FACE_APP_"])
def test_a_misspelt_name_in_the_environment_is_refused(monkeypatch, model, variable):
    monkeypatch.setenv(variable, "x")
    with pytest.raises(SettingsError, match=f"^{variable}: unknown setting"):
        load(model, None, {})


def test_names_of_the_other_program_and_of_the_playbooks_are_let_through(monkeypatch):
    monkeypatch.setenv("FACE_APP_STORE__BUCKET", "faces")
    monkeypatch.setenv("FACE_APP_EXTRA_CA", "/ca.pem")
    monkeypatch.setenv("FACE_APP_LOG", "error")
    assert load(EdgeSettings, None, {}).log == "error"


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"nowhere\.toml"):
        load(EdgeSettings, tmp_path / "nowhere.toml", {})


def test_a_store_that_cannot_work_is_refused():
    with pytest.raises(SettingsError, match="credentials_file"):
        load(CloudSettings, None, {"store.kind": "s3"})
    with pytest.raises(SettingsError, match="path"):
        load(CloudSettings, None, {"store.kind": "directory"})


S3 = {"store.kind": "s3", "store.credentials_file": "/keys"}


@pytest.mark.parametrize("name", ["endpoint", "public_endpoint"])
@pytest.mark.parametrize(
    ("endpoint", "problem"),
    [
        ("", "is empty"),
        ("http://a b", "contains a blank"),
        ("http://host\u00a0name", "contains a blank"),
        ("http://host\nname", "contains a blank"),
        ("http://h\u00f6st", "contains a blank or a special"),
        ("host:9000", "does not begin with http"),
        ("ftp://user:hidden@host", "does not begin with http"),
        ("http://user:hidden@host", "contains a user or a password"),
        ("http://hidden@host", "contains a user or a password"),
        ("http://host?hidden=1", "contains a query"),
        ("http://host/?", "contains a query"),
        ("http://host#hidden", "contains a fragment"),
        ("http://", "has no host"),
        ("http://:9000", "has no host"),
        ("http:///path", "has no host"),
        ("http://[::1", "has an invalid host"),
        ("http://ho*st", "has an invalid host"),
        ("http://host:99999", "has an invalid port"),
        ("http://host:0", "has an invalid port"),
        ("http://host:", "has an invalid port"),
        ("http://host:x", "has an invalid port"),
        ("http://host/<path>", "has an invalid path"),
    ],
)
def test_an_address_that_no_client_can_use_is_refused_without_its_secrets(name, endpoint, problem):
    with pytest.raises(SettingsError, match=f"store: {name} {problem}") as refused:
        load(CloudSettings, None, {**S3, f"store.{name}": endpoint})
    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize(
    "address", ["http://host", "https://[::1]:9000", "https://a.b/storage/v1/s3", "http://10.0.0.1:80"]
)
@pytest.mark.parametrize(("before", "after"), [("", ""), (" ", "\n"), ("\u00a0", "/ ")])
def test_blanks_and_slashes_around_an_address_are_removed(address, before, after):
    store = load(CloudSettings, None, {**S3, "store.endpoint": before + address + after}).store
    assert store.endpoint == address


def test_a_region_is_one_word():
    with pytest.raises(SettingsError, match=r"store\.region"):
        load(CloudSettings, None, {**S3, "store.region": "eu west"})


@pytest.mark.parametrize("name", ["endpoint", "public_endpoint"])
@pytest.mark.parametrize(
    ("address", "instead"),
    [
        ("http://host:9000/face-app", "http://host:9000"),
        ("http://host/face-app/", "http://host"),
        ("http://host/s3/f%61ce-app", "http://host/s3"),
        ("http://face-app.host:9000", "http://host:9000"),
        ("https://Face-App.s3.eu-west-1.amazonaws.com", "https://s3.eu-west-1.amazonaws.com"),
        ("http://face-app.host/face-app", "http://host"),
    ],
)
def test_an_address_with_the_bucket_in_it_is_refused_with_the_right_one(name, address, instead):
    with pytest.raises(SettingsError) as refused:
        load(CloudSettings, None, {**S3, f"store.{name}": address})
    assert str(refused.value) == f"store: {name} contains the bucket face-app; set {name} to {instead}"


def test_an_address_that_only_resembles_the_bucket_is_accepted():
    for address in (
        "http://face-app:9000",
        "http://face-apps.host",
        "http://host/face-apps",
        "http://my.face-app.host",
    ):
        assert load(CloudSettings, None, {**S3, "store.endpoint": address}).store.endpoint == address
