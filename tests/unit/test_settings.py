"""A wrong setting stops the program with one line that names it."""

import pytest

from face_app.errors import SettingsError
from face_app.settings import CloudSettings, EdgeSettings, HealthSettings, load


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    monkeypatch.delenv("FACE_APP_CONFIG", raising=False)


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
        ("not toml", ["edge.toml"]),
    ],
)
def test_one_line_names_the_setting_and_what_is_allowed(tmp_path, toml, names):
    file = tmp_path / "edge.toml"
    file.write_text(toml)
    with pytest.raises(SettingsError) as refused:
        load(EdgeSettings, file, {})
    line = str(refused.value)
    assert "\n" not in line
    for name in names:
        assert name in line


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
