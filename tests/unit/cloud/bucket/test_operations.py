"""The bucket is made once, private, and its links open it."""

import json
from concurrent.futures import ThreadPoolExecutor
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from moto import mock_aws

from face_app.cloud.bucket.operations import ensure, keys, urls
from face_app.cloud.stores import open_store
from face_app.common.errors import StoreError
from face_app.common.settings import Store
from support.faces import drawn_face


def test_made_where_missing_and_only_once(s3_settings, s3):
    def buckets():
        return [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]

    assert ensure(s3_settings, check=True)
    assert s3_settings.bucket not in buckets()
    assert f"bucket {s3_settings.bucket} at {s3_settings.endpoint} is created" in ensure(s3_settings, check=False)
    assert s3_settings.bucket in buckets()
    assert not ensure(s3_settings, check=True)
    assert not ensure(s3_settings, check=False)


@pytest.mark.parametrize("server", ["weed"], indirect=True)
def test_refuses_reads_without_a_key_and_a_link_opens_one_object(s3_settings, s3, caplog):
    ensure(s3_settings, check=False)
    s3.put_object(Bucket=s3_settings.bucket, Key="a/b.jpg", Body=b"face")
    address = f"{s3_settings.endpoint}/{s3_settings.bucket}"
    for target in (address, f"{address}/a/b.jpg"):
        with pytest.raises(HTTPError) as refused:
            urlopen(target)
        assert refused.value.code == 403
    assert "anonymous clients" not in caplog.text
    (link,) = urls(s3_settings, ["a/b.jpg"], seconds=60)
    with urlopen(link) as answer:
        assert answer.read() == b"face"


@pytest.mark.parametrize("server", ["weed"], indirect=True)
def test_warns_about_a_public_bucket(made, s3, caplog):
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:ListBucket",
        "Resource": f"arn:aws:s3:::{made.bucket}",
    }
    s3.put_bucket_policy(Bucket=made.bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    assert not ensure(made, check=False)
    assert "anonymous clients" in caplog.text


@pytest.mark.parametrize("server", ["weed"], indirect=True)
def test_a_wrong_key_names_endpoint_bucket_and_file(s3_settings, wrong_credentials):
    wrong = s3_settings.model_copy(update={"credentials_file": wrong_credentials})
    with pytest.raises(StoreError) as error:
        ensure(wrong, check=False)
    for word in (s3_settings.endpoint, s3_settings.bucket, str(wrong_credentials)):
        assert word in str(error.value)


@mock_aws
def test_aws_wants_its_region_and_locks_the_bucket(wrong_credentials):
    store = Store(kind="s3", region="eu-central-1", credentials_file=wrong_credentials)
    assert ensure(store, check=False)
    assert not ensure(store, check=False)


def test_links_go_through_the_public_address(s3_settings):
    public = s3_settings.model_copy(update={"public_endpoint": "https://faces.example:9000"})
    (link,) = urls(public, ["a/b.jpg"], seconds=60)
    assert link.startswith(f"https://faces.example:9000/{public.bucket}/a/b.jpg?")
    assert "X-Amz-Expires=60" in link


@pytest.mark.parametrize("server", ["weed"], indirect=True)
def test_keys_are_listed_page_by_page_without_folders(made, s3):
    expected = [f"jetson/door/{number:04d}.jpg" for number in range(1005)]
    with ThreadPoolExecutor(8) as pool:
        for key in (*expected, "jetson/door/", "other/window/1.jpg"):
            pool.submit(s3.put_object, Bucket=made.bucket, Key=key, Body=b"")
    assert list(keys(made, "jetson/")) == expected
    assert list(keys(made, ""))[-1] == "other/window/1.jpg"


def test_keys_of_a_missing_bucket(s3_settings):
    with pytest.raises(StoreError, match="does not exist"):
        list(keys(s3_settings, ""))


def test_keys_of_a_plain_folder(tmp_path):
    store, face = Store(kind="directory", path=tmp_path / "new"), drawn_face()
    with pytest.raises(StoreError, match="is not a folder"):
        keys(store, "")
    ensure(store, check=False)
    open_store(store).put(face.key, face.payload, face.sha256)
    (store.path / ".incoming" / "half").touch()
    assert list(keys(store, "jetson/")) == list(keys(store, "")) == [face.key]
    assert list(keys(store, "other/")) == []


def test_a_plain_folder(tmp_path):
    store = Store(kind="directory", path=tmp_path / "new")
    assert ensure(store, check=True)
    assert not (tmp_path / "new").exists()
    assert ensure(store, check=False)
    assert not ensure(store, check=False)
    assert urls(store, ["a/b.jpg"], seconds=60) == [f"file://{tmp_path}/new/a/b.jpg"]
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be created"):
        ensure(Store(kind="directory", path=tmp_path / "file" / "below"), check=False)
