"""How long the bucket keeps faces is a rule of the store's own, beside those of others."""

import pytest

from face_app.cloud.bucket.bucket import ensure
from face_app.cloud.bucket.lifecycle import RULE
from face_app.common.errors import StoreError
from face_app.common.settings import Bucket
from faults.store_proxy import store_proxy
from support.ports import free_port

KEPT, A_MONTH, A_WEEK = Bucket(expire_days=0), Bucket(expire_days=30), Bucket(expire_days=7)
THEIRS = {"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 3}}


@pytest.fixture
def settled(made):
    """A bucket of which only the expiry is still to be set."""
    ensure(made, check=False)
    return made


def rules(s3, store):
    try:
        told = s3.get_bucket_lifecycle_configuration(Bucket=store.bucket)["Rules"]
    except s3.exceptions.ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchLifecycleConfiguration":
            raise
        return {}
    return {rule["ID"]: rule for rule in told}


def test_set_changed_and_taken_back_once_each(settled, s3):
    assert ensure(settled, KEPT, check=False) == []
    assert ensure(settled, A_MONTH, check=True) == ["objects are deleted after 30 days (before: do not expire)"]
    assert rules(s3, settled) == {}

    assert ensure(settled, A_MONTH, check=False)
    rule = rules(s3, settled)[RULE]
    assert (rule["Status"], rule["Expiration"], rule["Filter"]) == ("Enabled", {"Days": 30}, {"Prefix": ""})
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    assert ensure(settled, A_MONTH, check=False) == []
    assert ensure(settled, Bucket(), check=False) == [], "where nothing is said it stays"

    assert ensure(settled, A_WEEK, check=False) == [
        "objects are deleted after 7 days (before: are deleted after 30 days)"
    ]
    assert rules(s3, settled)[RULE]["Expiration"] == {"Days": 7}
    assert ensure(settled, KEPT, check=True) == ["objects do not expire (before: are deleted after 7 days)"]
    assert ensure(settled, KEPT, check=False)
    assert rules(s3, settled) == {}
    assert ensure(settled, KEPT, check=False) == []


def test_foreign_rules_stay(settled, s3):
    s3.put_bucket_lifecycle_configuration(Bucket=settled.bucket, LifecycleConfiguration={"Rules": [THEIRS]})
    ensure(settled, A_MONTH, check=False)
    assert set(rules(s3, settled)) == {RULE, "theirs"}
    assert ensure(settled, A_MONTH, check=False) == []
    ensure(settled, KEPT, check=False)
    assert rules(s3, settled) == {"theirs": THEIRS}


def test_a_rule_that_was_switched_off_is_switched_on_again(settled, s3):
    ensure(settled, A_MONTH, check=False)
    off = rules(s3, settled)[RULE] | {"Status": "Disabled"}
    s3.put_bucket_lifecycle_configuration(Bucket=settled.bucket, LifecycleConfiguration={"Rules": [off]})
    assert ensure(settled, A_MONTH, check=False)
    assert rules(s3, settled)[RULE]["Status"] == "Enabled"


def test_where_versions_are_kept_they_go_too(settled, s3):
    s3.put_bucket_versioning(Bucket=settled.bucket, VersioningConfiguration={"Status": "Enabled"})
    ensure(settled, A_MONTH, check=False)
    assert rules(s3, settled)[RULE]["NoncurrentVersionExpiration"]["NoncurrentDays"] == 1
    assert ensure(settled, A_MONTH, check=False) == []


@pytest.mark.parametrize("server", ["weed"], indirect=True)
def test_a_store_without_expiry_is_told_of_only_where_one_was_asked_for(settled, caplog):
    caplog.set_level("INFO")
    port = free_port()
    with store_proxy(settled.endpoint, port, seed=1) as proxy:
        proxy.lacks = frozenset({"lifecycle", "versioning"})
        store = settled.model_copy(update={"endpoint": f"http://127.0.0.1:{port}"})
        assert ensure(store, KEPT, check=False) == []
        assert "tells no lifecycle rules (NotImplemented)" in caplog.text
        with pytest.raises(StoreError, match=r"does not let us set an expiry .* set bucket.expire_days to 0"):
            ensure(store, A_MONTH, check=False)
