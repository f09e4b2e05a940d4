"""The key file is the one that s3fs reads."""

import pytest

from face_app.cloud.stores.credentials import Credentials, read_credentials
from face_app.common.errors import SettingsError


@pytest.mark.parametrize(
    "content",
    ["key:secret\n", "# comment\n\n  key:secret  \n", "other:a:b\nkey:secret\n", "a:b\nface-app:key:secret\n"],
)
def test_the_line_of_our_bucket_wins_then_the_one_without_a_bucket(tmp_path, content):
    file = tmp_path / "credentials"
    file.write_text(content)
    assert read_credentials(file, "face-app") == Credentials("key", "secret")


@pytest.mark.parametrize("content", ["key:s\u00e9cret\n", "key:sec\x00ret\n", "key:sec\u00a0ret\n"])
def test_a_character_that_no_header_can_carry_is_refused(tmp_path, content):
    file = tmp_path / "credentials"
    file.write_text(content)
    with pytest.raises(SettingsError, match="a character that no key has"):
        read_credentials(file, "face-app")


def test_the_secret_is_not_shown():
    assert "secret" not in repr(Credentials("key", "secret")).replace("secret_key", "")
