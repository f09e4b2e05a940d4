"""The subscriber works with a key that has no right on the bucket itself, as local_object_store grants it."""

import json
import threading
from pathlib import Path

import jinja2
import pytest
import yaml
from botocore.exceptions import ClientError

from face_app.cloud.bucket.selection import parse_selection
from face_app.cloud.bucket.tombstone import record_key
from face_app.cloud.erasure.eraser import Eraser, complete
from face_app.cloud.stores import open_store
from face_app.cloud.stores.s3_bucket import S3Bucket
from face_app.common.errors import StoreError
from face_app.common.settings import Erasure, Store
from support.faces import drawn_face
from support.s3 import client
from support.seaweedfs import MISSING, seaweedfs, weed

ROLE = Path(__file__).parents[4] / "roles/local_object_store"


def granted(bucket: str) -> list[str]:
    """Return the actions that the role grants; its expression is the only one that names the bucket."""
    (account,) = yaml.safe_load((ROLE / "vars/main.yml").read_text())["__local_object_store_faces"]
    assert "face_app_bucket" in account["actions"]
    names = jinja2.Environment().parse(account["actions"]).find(jinja2.nodes.List).as_const()
    return [f"{name}:{bucket}" for name in names]


@pytest.fixture(scope="module")
def limited(tmp_path_factory):
    if not weed():
        pytest.skip(MISSING)
    keys = [{"accessKey": "faces", "secretKey": "only-for-tests-2"}]
    account = {"name": "faces", "credentials": keys, "actions": granted("face-app")}
    with seaweedfs(identities=[account]) as server:
        for bucket in ("face-app", "other"):
            client(server.endpoint).create_bucket(Bucket=bucket)
        credentials = tmp_path_factory.mktemp("keys") / "credentials"
        credentials.write_text("faces:only-for-tests-2\n")
        yield Store(kind="s3", bucket="face-app", endpoint=server.endpoint, credentials_file=credentials)


@pytest.mark.usefixtures("each_client")
def test_every_step_of_the_subscriber_works(limited, each_client):
    store, face, bucket = open_store(limited), drawn_face(1, camera=each_client), S3Bucket(limited)
    store.check()
    assert store.put(face.key, b"half an upload", face.sha256).outcome == "created"
    assert store.put(face.key, face.payload, face.sha256).outcome == "repaired"
    assert store.put(face.key, face.payload, face.sha256).outcome == "already"
    assert bucket.get(face.key) == face.payload
    assert face.key in list(bucket.keys(""))


def test_the_bucket_itself_and_other_buckets_are_out_of_reach(limited):
    with pytest.raises(StoreError):
        open_store(limited.model_copy(update={"bucket": "other"})).put("a/b.jpg", b"x", "0" * 64)
    s3 = S3Bucket(limited).client
    everyone = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::face-app/*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [everyone]})
    # SeaweedFS lets an account that writes set the expiry too; it may delete objects anyway.
    refused = {
        "create": lambda: s3.create_bucket(Bucket="third"),
        "delete": lambda: s3.delete_bucket(Bucket="face-app"),
        "policy": lambda: s3.put_bucket_policy(Bucket="face-app", Policy=policy),
    }
    for attempt in refused.values():
        with pytest.raises(ClientError, match="AccessDenied"):
            attempt()


def test_faces_can_be_erased_with_all_their_versions(limited):
    face, bucket = drawn_face(2, camera="erased"), S3Bucket(limited)
    for data in (b"half an upload", face.payload):
        bucket.client.put_object(Bucket=limited.bucket, Key=face.key, Body=data)
    eraser = Eraser(limited, Erasure())
    selection = [parse_selection({"key": face.key})]
    complete(eraser, eraser.order(selection, by="ada"), stop=threading.Event(), may_wait=False)
    assert bucket.get(face.key) is None
    assert record_key(face.key) in list(bucket.keys("erased/"))
