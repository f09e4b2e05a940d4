"""Faces are private unless the operator makes them public; public means read-only."""

import json
import re
from pathlib import Path

import pytest
import yaml

from face_app.cloud.bucket.operations import ensure
from face_app.cloud.bucket.public_access import PRIVATE_SID, SID
from face_app.common.errors import StoreError
from face_app.common.settings import Bucket
from faults.store_proxy import store_proxy
from support.anonymous import request_without_key
from support.ports import free_port

FACE = "jetson/door/2026/01/02/03/face-0a1b2c3d-000000001-0123456789ab.jpg"
REFUSED = "quarantine/not-an-image/00.bin"
PUBLIC = Bucket(public=True)
PRIVATE = Bucket()

ROLE = Path(__file__).parents[4] / "roles/object_storage/vars/main.yml"

on_weed = pytest.mark.parametrize("server", ["weed"], indirect=True)


@pytest.fixture
def filled(made, s3):
    """A bucket that contains a face and a refused message."""
    s3.put_object(Bucket=made.bucket, Key=FACE, Body=b"face")
    s3.put_object(Bucket=made.bucket, Key=REFUSED, Body=b"no face")
    return made


def anonymous_statuses(store):
    """Return the statuses without a key: a face, a refused message, the list, a new object."""
    address = f"{store.endpoint}/{store.bucket}"
    asked = ("GET", f"{address}/{FACE}"), ("GET", f"{address}/{REFUSED}"), ("GET", address), ("PUT", f"{address}/new")
    return tuple(request_without_key(*each) for each in asked)


def theirs(store, effect, action, suffix=""):
    """Return a bucket policy of another owner."""
    resource = f"arn:aws:s3:::{store.bucket}{suffix}"
    statement = {"Sid": "Theirs", "Effect": effect, "Principal": "*", "Action": action, "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": statement})


def exposures(caplog):
    """Return what the role object_storage stops at, with its own pattern, in the log lines of the program."""
    expression = yaml.safe_load(ROLE.read_text())["__object_storage_exposures"]
    (pattern,) = re.findall(r"regex_findall\('(.+)'\)", expression)
    lines = "\n".join(f"{record.levelname} {record.getMessage()}" for record in caplog.records)
    return re.findall(pattern, lines)


def statements(s3, store):
    return {each["Sid"] for each in json.loads(s3.get_bucket_policy(Bucket=store.bucket)["Policy"])["Statement"]}


@on_weed
def test_private_then_public_then_private_again(filled, caplog):
    ensure(filled, PRIVATE, check=False)
    assert anonymous_statuses(filled) == (403, 403, 403, 403)
    assert ensure(filled, PUBLIC, check=True) == ["anonymous clients may read faces"]
    assert anonymous_statuses(filled) == (403, 403, 403, 403), "a check changes nothing"
    assert "anonymous clients" not in caplog.text

    assert ensure(filled, PUBLIC, check=False) == ["anonymous clients may read faces"]
    assert anonymous_statuses(filled) == (200, 403, 403, 403)
    assert "lets anonymous clients read a face by its address" in caplog.text
    assert exposures(caplog) == []
    assert ensure(filled, PUBLIC, check=True) == ensure(filled, PUBLIC, check=False) == []

    assert ensure(filled, PRIVATE, check=True) == ["anonymous read of faces is revoked"]
    assert anonymous_statuses(filled) == (200, 403, 403, 403)
    assert ensure(filled, PRIVATE, check=False) == ["anonymous read of faces is revoked"]
    assert anonymous_statuses(filled) == (403, 403, 403, 403)
    assert ensure(filled, PRIVATE, check=False) == []


OTHERS = [
    "quarantine/face-1/not-an-image/00.bin",
    "marks/face-1/0a1b2c3d/face-0/1",
    "audits/face-1.json",
    f"erased/{FACE}",
    f"erased/face-1/{FACE}",
    f"test/{FACE}",
    "notes/face-to-face.txt",
]
"""Objects that are no faces, although a part of each key begins as the name of a face does."""


@on_weed
@pytest.mark.parametrize("key", OTHERS)
def test_public_faces_open_no_other_object(filled, s3, key):
    s3.put_object(Bucket=filled.bucket, Key=key, Body=b"private")
    ensure(filled, PUBLIC, check=False)
    statuses = [request_without_key("GET", f"{filled.endpoint}/{filled.bucket}/{each}") for each in (FACE, key)]
    assert statuses == [200, 403]
    assert s3.get_object(Bucket=filled.bucket, Key=key)["Body"].read() == b"private", "the programs read it"


def test_foreign_statements_stay(made, s3):
    s3.put_bucket_policy(Bucket=made.bucket, Policy=theirs(made, "Deny", "s3:DeleteBucket"))
    assert "anonymous clients may read faces" in ensure(made, PUBLIC, check=False)
    assert statements(s3, made) == {"Theirs", SID, PRIVATE_SID}
    assert ensure(made, PUBLIC, check=False) == []
    ensure(made, PRIVATE, check=False)
    assert statements(s3, made) == {"Theirs"}


def test_corrects_a_widened_managed_statement(made, s3):
    ensure(made, PUBLIC, check=False)
    policy = json.loads(s3.get_bucket_policy(Bucket=made.bucket)["Policy"])
    policy["Statement"][0] |= {"Action": ["s3:GetObject", "s3:PutObject"]}
    s3.put_bucket_policy(Bucket=made.bucket, Policy=json.dumps(policy))
    assert ensure(made, PUBLIC, check=False) == ["anonymous clients may read faces"]
    policy = json.loads(s3.get_bucket_policy(Bucket=made.bucket)["Policy"])
    # As AWS gives it back: it is the same statement.
    policy["Statement"][0] |= {"Action": ["s3:GetObject"], "Principal": {"AWS": "*"}}
    s3.put_bucket_policy(Bucket=made.bucket, Policy=json.dumps(policy))
    assert ensure(made, PUBLIC, check=False) == []


@pytest.mark.parametrize("server", ["moto"], indirect=True)
@pytest.mark.parametrize("principal", [["*", {"AWS": "arn:aws:iam::123456789012:root"}], []])
def test_corrects_a_managed_statement_with_any_number_of_principals(made, s3, principal):
    ensure(made, PUBLIC, check=False)
    policy = json.loads(s3.get_bucket_policy(Bucket=made.bucket)["Policy"])
    policy["Statement"][0] |= {"Principal": principal}
    s3.put_bucket_policy(Bucket=made.bucket, Policy=json.dumps(policy))
    assert ensure(made, PUBLIC, check=True) == ["anonymous clients may read faces"]
    assert ensure(made, PUBLIC, check=False) == ["anonymous clients may read faces"]
    policy = json.loads(s3.get_bucket_policy(Bucket=made.bucket)["Policy"])
    assert [each["Principal"] for each in policy["Statement"]] == ["*", "*"]


@on_weed
def test_warns_about_faces_that_a_foreign_policy_makes_public(filled, s3, caplog, monkeypatch):
    monkeypatch.setattr("face_app.cloud.bucket.public_access._PROPAGATION_SECONDS", 0)
    s3.put_bucket_policy(Bucket=filled.bucket, Policy=theirs(filled, "Allow", "s3:GetObject", "/*"))
    assert ensure(filled, PRIVATE, check=False) == []
    assert "lets anonymous clients read faces, by a policy, ACL or access group of another owner" in caplog.text
    assert len(exposures(caplog)) == 1


@on_weed
def test_the_role_stops_at_a_list_that_a_foreign_policy_makes_public(filled, s3, caplog):
    s3.put_bucket_policy(Bucket=filled.bucket, Policy=theirs(filled, "Allow", "s3:ListBucket"))
    assert ensure(filled, PRIVATE, check=False) == []
    (exposure,) = exposures(caplog)
    assert exposure.endswith("lets anonymous clients list faces")


@pytest.mark.parametrize("server", ["moto"], indirect=True)
def test_a_store_with_locks_is_locked_unless_public(made, s3):
    def locked():
        return s3.get_public_access_block(Bucket=made.bucket)["PublicAccessBlockConfiguration"]

    assert ensure(made, PRIVATE, check=True) == ["public access is blocked"]
    assert ensure(made, PRIVATE, check=False) == ["public access is blocked"]
    assert set(locked().values()) == {True}
    assert ensure(made, PUBLIC, check=False) == [
        "the public access block is lifted",
        "anonymous clients may read faces",
    ]
    acls = {"BlockPublicAcls": True, "IgnorePublicAcls": True}
    assert locked() == acls | {"BlockPublicPolicy": False, "RestrictPublicBuckets": False}
    assert ensure(made, PUBLIC, check=False) == []
    assert ensure(made, PRIVATE, check=False) == [
        "anonymous read of faces is revoked",
        "public access is blocked",
    ]


@pytest.fixture
def without_policies(filled):
    """The same bucket at a store that has no bucket policies, as IBM's."""
    port = free_port()
    with store_proxy(filled.endpoint, port, seed=1) as proxy:
        proxy.lacks = frozenset({"policy"})
        yield filled.model_copy(update={"endpoint": f"http://127.0.0.1:{port}"})


@on_weed
def test_reports_missing_policies_only_where_public_was_requested(without_policies, caplog):
    caplog.set_level("INFO")
    assert ensure(without_policies, PRIVATE, check=False) == []
    assert "has no bucket policy (NotImplemented)" in caplog.text
    for check in (True, False):
        with pytest.raises(StoreError, match=r"role ObjectReader .* on this bucket in IAM") as error:
            ensure(without_policies, PUBLIC, check=check)
        assert "\n" not in str(error.value)


@on_weed
def test_public_by_the_stores_own_means_is_as_good(without_policies, filled, caplog):
    ensure(filled, PUBLIC, check=False)
    assert ensure(without_policies, PUBLIC, check=False) == []
    assert "as bucket.public allows" in caplog.text


@on_weed
def test_checks_a_face_although_a_quarantine_object_sorts_first(without_policies, filled, s3, caplog, monkeypatch):
    monkeypatch.setattr("face_app.cloud.bucket.public_access._PROPAGATION_SECONDS", 0)
    s3.delete_object(Bucket=filled.bucket, Key=FACE)
    s3.put_object(Bucket=filled.bucket, Key=FACE.replace("jetson/", "zoo/"), Body=b"face")
    s3.put_bucket_policy(Bucket=filled.bucket, Policy=theirs(filled, "Allow", "s3:GetObject", "/*/face-*"))
    assert ensure(without_policies, PUBLIC, check=False) == []
    assert ensure(filled, PRIVATE, check=False) == []
    assert "lets anonymous clients read faces, by a policy" in caplog.text


@on_weed
def test_names_the_required_role_while_the_bucket_contains_no_face(without_policies, filled, s3, caplog):
    s3.delete_object(Bucket=filled.bucket, Key=FACE)
    assert ensure(without_policies, PUBLIC, check=False) == []
    assert "role ObjectReader" in caplog.text
    assert "lets anonymous clients read" not in caplog.text, "no request has shown it"
    assert "whether anonymous clients can read one is unknown" in caplog.text


@on_weed
@pytest.mark.parametrize("wanted", [PRIVATE, PUBLIC])
def test_a_store_that_does_not_answer_anonymous_clients_proves_nothing(filled, wanted):
    port = free_port()
    with store_proxy(filled.endpoint, port, seed=1) as proxy:
        proxy.drops_unsigned = True
        through_proxy = filled.model_copy(update={"endpoint": f"http://127.0.0.1:{port}"})
        with pytest.raises(StoreError, match="does not answer"):
            ensure(through_proxy, wanted, check=False)


@on_weed
def test_warns_about_faces_that_stay_private_although_public_was_requested(filled, s3, caplog, monkeypatch):
    monkeypatch.setattr("face_app.cloud.bucket.public_access._PROPAGATION_SECONDS", 0)
    s3.put_bucket_policy(Bucket=filled.bucket, Policy=theirs(filled, "Deny", "s3:GetObject", "/jetson/*"))
    ensure(filled, PUBLIC, check=False)
    assert "denies anonymous reads of faces, although bucket.public allows them" in caplog.text
    assert "lets anonymous clients read" not in caplog.text


@on_weed
def test_warns_about_other_objects_that_a_foreign_policy_makes_public(filled, s3, caplog):
    s3.put_bucket_policy(Bucket=filled.bucket, Policy=theirs(filled, "Allow", "s3:GetObject", "/quarantine/*"))
    ensure(filled, PRIVATE, check=False)
    assert f"lets anonymous clients read {REFUSED}, which is no face" in caplog.text


@on_weed
def test_names_the_required_role_while_the_bucket_is_empty(without_policies, filled, s3, caplog):
    for key in (FACE, REFUSED):
        s3.delete_object(Bucket=filled.bucket, Key=key)
    assert ensure(without_policies, PUBLIC, check=False) == []
    assert "role ObjectReader" in caplog.text
