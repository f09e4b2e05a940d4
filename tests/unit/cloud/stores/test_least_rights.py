"""Subscriber and gallery work with the least rights, as local_object_store grants them."""

import json
import os
import threading
from pathlib import Path

import jinja2
import pytest
import yaml
from botocore.exceptions import ClientError

from face_app.cloud.bucket import operations
from face_app.cloud.bucket.selection import parse_selection
from face_app.cloud.bucket.tombstone import record_key
from face_app.cloud.erasure.eraser import Eraser, complete
from face_app.cloud.gallery.objects import Objects
from face_app.cloud.stores import open_store
from face_app.cloud.stores.s3_bucket import S3Bucket
from face_app.common.errors import StoreError
from face_app.common.settings import Erasure, Store
from support.faces import drawn_face
from support.s3 import client
from support.s3fs import s3fs_mount
from support.seaweedfs import MISSING, SeaweedFS, seaweedfs, weed

ROLE = Path(__file__).parents[4] / "roles/local_object_store"


def granted(account: str, bucket: str) -> list[str]:
    """Return the actions that the role grants."""
    accounts = yaml.safe_load((ROLE / "vars/main.yml").read_text())["__local_object_store_limited"]
    (actions,) = (each["actions"] for each in accounts if each["name"] == account)
    assert "__local_object_store_suffix" in actions, "it names the bucket"
    names = jinja2.Environment().parse(actions).find(jinja2.nodes.List).as_const()
    return [f"{name}:{bucket}" for name in names]


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """The bucket, for each account."""
    if not weed():
        pytest.skip(MISSING)
    accounts = [
        {
            "name": name,
            "credentials": [{"accessKey": name, "secretKey": f"only-for-{name}"}],
            "actions": granted(name, "face-app"),
        }
        for name in ("faces", "gallery", "erase")
    ]
    with seaweedfs(identities=accounts) as server:
        for bucket in ("face-app", "other"):
            client(server.endpoint).create_bucket(Bucket=bucket)
        folder = tmp_path_factory.mktemp("keys")
        for name in ("faces", "gallery", "erase"):
            (folder / name).write_text(f"{name}:only-for-{name}\n")
        yield {
            name: Store(kind="s3", bucket="face-app", endpoint=server.endpoint, credentials_file=folder / name)
            for name in ("faces", "gallery", "erase")
        }


@pytest.fixture
def limited(stores):
    return stores["faces"]


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


@pytest.mark.parametrize("account", ["faces", "erase"])
def test_faces_can_be_erased_with_all_their_versions(stores, account):
    limited = stores[account]
    face, bucket = drawn_face(2, camera=f"erased-{account}"), S3Bucket(limited)
    for data in (b"half an upload", face.payload):
        bucket.client.put_object(Bucket=limited.bucket, Key=face.key, Body=data)
    eraser = Eraser(limited, Erasure())
    selection = [parse_selection({"key": face.key})]
    complete(eraser, eraser.order(selection, by="ada"), stop=threading.Event(), may_wait=False)
    assert bucket.get(face.key) is None
    assert record_key(face.key) in list(bucket.keys("erased/"))


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0 or not Path("/dev/fuse").exists(), reason="mounting needs root and /dev/fuse")
def test_every_step_through_a_mount_works(stores, tmp_path):
    settings = stores["faces"].model_copy(update={"kind": "mount", "path": tmp_path / "mount"})
    settings.path.mkdir()
    settings.credentials_file.chmod(0o600)
    server = SeaweedFS(settings.endpoint, settings.credentials_file, None)
    with s3fs_mount(server, settings.bucket, settings.path, log=tmp_path / "log"):
        store, face = open_store(settings), drawn_face(1, camera="mount")
        store.check()
        assert store.put(face.key, face.payload, face.sha256).outcome == "created"
        assert store.put(face.key, face.payload, face.sha256).outcome == "already"


def test_the_gallery_reads_and_lists_and_changes_nothing(stores):
    face = drawn_face(1, camera="gallery")
    open_store(stores["faces"]).put(face.key, face.payload, face.sha256)
    objects = Objects(stores["gallery"], connections=2)
    assert objects.check()
    assert objects.get(face.key) == face.payload
    assert face.key in [each.key for page in objects.pages("jetson/gallery/") for each in page]
    assert operations.expiry_rules(stores["gallery"])
    s3 = S3Bucket(stores["gallery"]).client
    place = {"Bucket": "face-app", "Key": face.key}
    rule = {"Rules": [{"ID": "a", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}}]}
    refused = {
        "replace": lambda: s3.put_object(**place, Body=b"other"),
        "put": lambda: s3.put_object(Bucket="face-app", Key="erased/x", Body=b""),
        "copy": lambda: s3.copy_object(Bucket="face-app", Key="copy", CopySource=place),
        "delete": lambda: s3.delete_object(**place),
        "tags": lambda: s3.put_object_tagging(**place, Tagging={"TagSet": []}),
        "expiry": lambda: s3.put_bucket_lifecycle_configuration(Bucket="face-app", LifecycleConfiguration=rule),
        "other buckets": lambda: s3.list_objects_v2(Bucket="other"),
    }
    for attempt in refused.values():
        with pytest.raises(ClientError, match="AccessDenied"):
            attempt()
    # A request for many keys succeeds as a whole, and refuses each.
    several = s3.delete_objects(Bucket="face-app", Delete={"Objects": [{"Key": face.key}]})
    assert [error["Code"] for error in several["Errors"]] == ["AccessDenied"]
    assert objects.get(face.key) == face.payload


def test_the_account_for_erasures_deletes_every_version(stores):
    face = drawn_face(1, camera="erase")
    s3 = S3Bucket(stores["erase"]).client
    s3.put_object(Bucket="face-app", Key=f"erased/{face.key}", Body=b"")
    open_store(stores["faces"]).put(face.key, face.payload, face.sha256)
    assert [each["Key"] for each in s3.list_object_versions(Bucket="face-app", Prefix=face.key)["Versions"]] == [
        face.key
    ]
    s3.delete_object(Bucket="face-app", Key=face.key)
    assert S3Bucket(stores["faces"]).get(face.key) is None
