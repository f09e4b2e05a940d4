"""The roles use the accounts that the local store has, and elsewhere the pairs of the inventory."""

import pytest
import yaml

from support.playbook import FIRST, ROOT, run_playbooks

ROLES = ("local_object_store", "subscriber", "s3fs_mount", "gallery")
ADMIN = {"face_app_s3_access_key": "ADMIN", "face_app_s3_secret_key": "secret"}
FACES = {"face_app_s3_faces_access_key": "FACES", "face_app_s3_faces_secret_key": "faces"}
GALLERY = {"face_app_s3_gallery_access_key": "GALLERY", "face_app_s3_gallery_secret_key": "gallery"}
HOSTS = {
    "own": {"face_app_own_store": True, **ADMIN},
    "named": {"face_app_own_store": True, **ADMIN, **FACES, **GALLERY},
    "elsewhere": ADMIN,
    "limited": {**ADMIN, **FACES},
    "read_only": {**ADMIN, **GALLERY},
}
KEPT = {"name": "faces", "access_key": "MINE", "secret_key": "mine"}
"""An account of the operator, with the name of one that the role would add."""


def pair(role):
    return f"{{{{ {role}_access_key }}}}:{{{{ {role}_secret_key }}}}"


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Return accounts and pairs, by host."""
    folder = tmp_path_factory.mktemp("play")
    tasks = [
        {"ansible.builtin.debug": {"msg": "{{ __local_object_store_accounts }}"}},
        {"ansible.builtin.debug": {"msg": {role: pair(role) for role in ROLES[1:]}}},
        {
            "ansible.builtin.debug": {"msg": "{{ __local_object_store_accounts }}"},
            "vars": {"local_object_store_identities": [KEPT]},
        },
    ]
    files = [str(ROOT / "roles" / role / kind / "main.yml") for role in ROLES for kind in ("defaults", "vars")]
    play = {"hosts": "all", "gather_facts": False, "vars_files": files, "tasks": tasks}
    (folder / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": HOSTS}}))
    (folder / "play.yml").write_text(yaml.safe_dump([play]))
    played = run_playbooks(FIRST / "ansible-playbook", folder / "hosts.yml", [folder / "play.yml"])
    assert played.rc == 0, played.output
    return {host: [result[host]["msg"] for result in played.results] for host in HOSTS}


def accounts(of):
    return {account["name"]: f"{account['access_key']}:{account['secret_key']}" for account in of}


@pytest.mark.parametrize("host", ["own", "named"])
def test_each_role_has_its_account_at_the_local_store(found, host):
    given, pairs, _ = found[host]
    there = accounts(given)
    assert list(there) == ["face-app", "faces", "gallery", "erase"]
    assert pairs == {"subscriber": there["faces"], "s3fs_mount": there["faces"], "gallery": there["gallery"]}
    assert len({pair.split(":")[1] for pair in there.values()}) == 4
    assert there["faces"].startswith("FACES:faces" if host == "named" else "ADMIN-faces:")


def test_only_the_administrator_may_do_more_than_read_write_and_list_the_bucket(found):
    given, _, _ = found["own"]
    assert {account["name"]: account["actions"] for account in given[1:]} == {
        "faces": ["Read:face-app", "Write:face-app", "List:face-app"],
        "gallery": ["Read:face-app", "List:face-app"],
        "erase": ["Read:face-app", "Write:face-app", "List:face-app"],
    }


@pytest.mark.parametrize(
    ("host", "writer", "reader"),
    [
        ("elsewhere", "ADMIN:secret", "ADMIN:secret"),
        ("limited", "FACES:faces", "FACES:faces"),
        ("read_only", "ADMIN:secret", "GALLERY:gallery"),
    ],
)
def test_elsewhere_the_roles_use_the_pairs_of_the_inventory(found, host, writer, reader):
    _, pairs, _ = found[host]
    assert pairs == {"subscriber": writer, "s3fs_mount": writer, "gallery": reader}


def test_an_account_of_the_operator_replaces_that_of_the_role(found):
    _, _, given = found["own"]
    assert list(accounts(given)) == ["faces", "gallery", "erase"]
    assert accounts(given)["faces"] == "MINE:mine"
