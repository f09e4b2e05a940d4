"""The filter gallery_password: the gallery accepts its hash, and it is the same in every run."""

import pytest
from ansible.errors import AnsibleFilterError

from face_app.cloud.gallery.access import users
from support.plugin import load_plugin

gallery_password = load_plugin("filter/gallery.py").FilterModule().filters()["gallery_password"]


def test_the_gallery_accepts_this_password_and_no_other() -> None:
    hashed = gallery_password("päss word$1", "home ada")
    assert users.check_password("päss word$1", hashed)
    assert not users.check_password("päss word$2", hashed)
    assert hashed.split("$")[:4] == users.hash_password("päss word$1").split("$")[:4], "as expensive as its own"


def test_the_same_input_gives_the_same_hash_and_another_salt_another() -> None:
    assert gallery_password("long enough", "home ada") == gallery_password("long enough", "home ada")
    assert gallery_password("long enough", "home ada") != gallery_password("long enough", "home vera")


@pytest.mark.parametrize("length", [0, users.MIN_LENGTH - 1, users.MAX_LENGTH + 1])
def test_a_password_that_the_gallery_would_refuse_is_refused(length: int) -> None:
    with pytest.raises(AnsibleFilterError, match=f"has {length} characters; choose 10 to 1024"):
        gallery_password("x" * length, "home ada")
