"""Faces expire by a managed lifecycle rule beside the rules of others."""

from datetime import timedelta

import pytest

from face_app.cloud.bucket.lifecycle import FACES, QUARANTINE
from face_app.cloud.bucket.operations import ensure, expiry_rules
from face_app.common.errors import StoreError
from face_app.common.settings import Bucket
from faults.store_proxy import store_proxy
from support.ports import free_port

UNLIMITED, A_MONTH, A_WEEK = Bucket(expire_days=0), Bucket(expire_days=30), Bucket(expire_days=7)
THEIRS = {"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 3}}


@pytest.fixture
def created(made):
    """A bucket of which only the expiry is still to be set."""
    ensure(made, check=False)
    return made


def rules(s3, store):
    try:
        found = s3.get_bucket_lifecycle_configuration(Bucket=store.bucket)["Rules"]
    except s3.exceptions.ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchLifecycleConfiguration":
            raise
        return {}
    return {rule["ID"]: rule for rule in found}


def test_sets_changes_and_removes_the_rule_once_each(created, s3):
    assert ensure(created, UNLIMITED, check=False) == []
    assert ensure(created, A_MONTH, check=True) == ["objects are deleted after 30 days (before: do not expire)"]
    assert rules(s3, created) == {}

    assert ensure(created, A_MONTH, check=False)
    rule = rules(s3, created)[FACES.id]
    assert (rule["Status"], rule["Expiration"], rule["Filter"]) == ("Enabled", {"Days": 30}, {"Prefix": ""})
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    assert ensure(created, A_MONTH, check=False) == []
    assert ensure(created, Bucket(), check=False) == [], "without a setting the rule is unchanged"

    assert ensure(created, A_WEEK, check=False) == [
        "objects are deleted after 7 days (before: are deleted after 30 days)"
    ]
    assert rules(s3, created)[FACES.id]["Expiration"] == {"Days": 7}
    assert ensure(created, UNLIMITED, check=True) == ["objects do not expire (before: are deleted after 7 days)"]
    assert ensure(created, UNLIMITED, check=False)
    assert rules(s3, created) == {}
    assert ensure(created, UNLIMITED, check=False) == []


def test_preserves_foreign_rules(created, s3):
    s3.put_bucket_lifecycle_configuration(Bucket=created.bucket, LifecycleConfiguration={"Rules": [THEIRS]})
    ensure(created, A_MONTH, check=False)
    assert set(rules(s3, created)) == {FACES.id, "theirs"}
    assert ensure(created, A_MONTH, check=False) == []
    ensure(created, UNLIMITED, check=False)
    assert rules(s3, created) == {"theirs": THEIRS}


def test_enables_a_disabled_rule_again(created, s3):
    ensure(created, A_MONTH, check=False)
    off = rules(s3, created)[FACES.id] | {"Status": "Disabled"}
    s3.put_bucket_lifecycle_configuration(Bucket=created.bucket, LifecycleConfiguration={"Rules": [off]})
    assert ensure(created, A_MONTH, check=False)
    assert rules(s3, created)[FACES.id]["Status"] == "Enabled"


def test_expires_versions_in_a_versioned_bucket(created, s3):
    s3.put_bucket_versioning(Bucket=created.bucket, VersioningConfiguration={"Status": "Enabled"})
    ensure(created, A_MONTH, check=False)
    assert rules(s3, created)[FACES.id]["NoncurrentVersionExpiration"]["NoncurrentDays"] == 1
    assert ensure(created, A_MONTH, check=False) == []


@pytest.mark.parametrize("server", ["weed"], indirect=True)
def test_reports_missing_expiry_only_where_it_was_requested(created, caplog):
    caplog.set_level("INFO")
    port = free_port()
    with store_proxy(created.endpoint, port, seed=1) as proxy:
        proxy.lacks = frozenset({"lifecycle", "versioning"})
        store = created.model_copy(update={"endpoint": f"http://127.0.0.1:{port}"})
        assert ensure(store, UNLIMITED, check=False) == []
        assert "has no lifecycle rules (NotImplemented)" in caplog.text
        with pytest.raises(StoreError, match=r"does not allow an expiry .* set bucket.expire_days to 0"):
            ensure(store, A_MONTH, check=False)
        assert ensure(store, Bucket(quarantine_days=30), check=False) == []
        assert "set bucket.quarantine_days to 0" in caplog.text


def test_reads_the_rules_that_delete_faces(created, s3):
    assert expiry_rules(created).days("jetson/door/") is None
    others = [
        {"ID": "off", "Status": "Disabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}},
        {"ID": "tag", "Status": "Enabled", "Filter": {"Tag": {"Key": "a", "Value": "b"}}, "Expiration": {"Days": 2}},
    ]
    s3.put_bucket_lifecycle_configuration(Bucket=created.bucket, LifecycleConfiguration={"Rules": [THEIRS, *others]})
    ensure(created, A_WEEK, check=False)
    rules_ = expiry_rules(created, A_MONTH)
    assert (rules_.days("jetson/"), rules_.days("tmp/"), rules_.unknown) == (7, 3, "")
    assert rules_.have_deleted("jetson/", rules_.now - timedelta(days=7))
    assert not rules_.have_deleted("jetson/", rules_.now - timedelta(days=7) + timedelta(seconds=1))


@pytest.mark.parametrize("server", ["weed"], indirect=True)
def test_uses_the_setting_where_no_rules_can_be_read(created):
    port = free_port()
    with store_proxy(created.endpoint, port, seed=1) as proxy:
        proxy.lacks = frozenset({"lifecycle"})
        store = created.model_copy(update={"endpoint": f"http://127.0.0.1:{port}"})
        assert (expiry_rules(store, A_WEEK).days("jetson/"), expiry_rules(store).days("jetson/")) == (7, None)
        assert expiry_rules(store).unknown == "NotImplemented"


def test_copies_in_quarantine_have_a_rule_of_their_own(created, s3):
    wanted = Bucket(expire_days=30, quarantine_days=7)
    assert ensure(created, wanted, check=False) == [
        "objects are deleted after 30 days (before: do not expire)",
        "copies in quarantine are deleted after 7 days (before: do not expire)",
    ]
    assert rules(s3, created)[QUARANTINE.id]["Filter"] == {"Prefix": "quarantine/"}
    assert ensure(created, wanted, check=False) == []
    expiry = expiry_rules(created)
    assert (expiry.days("jetson/door/face.jpg"), expiry.days("quarantine/jetson/too-large/a.bin")) == (30, 7)
    assert ensure(created, Bucket(quarantine_days=0), check=False)
    assert set(rules(s3, created)) == {FACES.id}
