"""A key pair is tested with real requests, and the message names what the store refuses."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.iam.access_control import IAMRequestBase, S3IAMRequest
from moto.s3.exceptions import S3AccessDeniedError

from face_app.cloud.audit.listing import sort_keys
from face_app.cloud.audit.scope import Scope
from face_app.cloud.bucket.operations import ensure
from face_app.cloud.bucket.rights import RIGHTS_KEY
from face_app.cloud.bucket.try_rights import refuse_missing, try_rights
from face_app.cloud.stores.s3_bucket import S3Bucket
from face_app.common.errors import StoreError
from face_app.common.rights import Right
from face_app.common.settings import Bucket, Store
from support.moto_s3 import MotoS3, moto_s3
from support.s3 import client
from support.seaweedfs import MISSING, SeaweedFS, seaweedfs, weed

DOCS = Path(__file__).parents[4] / "docs/stores.md"
ACTIONS = {
    "admin": ["Admin", "Read", "Write", "List"],
    "all": ["Read", "Write", "List"],
    "no-write": ["Read", "List"],
    "no-read": ["Write", "List"],
    "no-list": ["Read", "Write"],
}


def key_file(place: Path, access_key: str, secret_key: str) -> Path:
    file = place / access_key
    file.write_text(f"{access_key}:{secret_key}\n")
    file.chmod(0o600)
    return file


def refused(store: Store, *needed: Right) -> set[str]:
    return {trial.right.value for trial in try_rights(store, needed or Right) if trial.refusal}


@pytest.fixture(scope="module")
def weed_with_accounts() -> Iterator[SeaweedFS]:
    """An account for each missing right. SeaweedFS lets an account that writes delete too."""
    if not weed():
        pytest.skip(MISSING)
    accounts = [
        {"name": name, "credentials": [{"accessKey": name, "secretKey": name}], "actions": actions}
        for name, actions in ACTIONS.items()
    ]
    with seaweedfs(identities=accounts) as server:
        client(server.endpoint).create_bucket(Bucket="face-app")
        yield server


@pytest.fixture
def account(weed_with_accounts: SeaweedFS, tmp_path: Path):
    def store(name: str, **changes: Any) -> Store:
        values = {"kind": "s3", "bucket": "face-app", "endpoint": weed_with_accounts.endpoint, **changes}
        return Store(credentials_file=key_file(tmp_path, name, name), **values)

    return store


def test_names_each_refused_right_of_a_real_store(account, weed_with_accounts):
    assert refused(account("all")) == set()
    # Deletion counts as writing there.
    assert refused(account("no-write")) == {"write", "delete"}
    assert refused(account("no-read")) == {"read"}
    assert refused(account("no-list")) == {"list"}
    left = client(weed_with_accounts.endpoint).list_objects_v2(Bucket="face-app").get("Contents", [])
    assert left == []


def test_a_key_that_only_reads_is_tried_without_a_write(account, weed_with_accounts):
    assert [trial.right for trial in try_rights(account("all"), [Right.LIST, Right.READ])] == ["read", "list"]
    assert refused(account("no-write"), Right.READ, Right.LIST) == set()
    s3 = client(weed_with_accounts.endpoint)
    s3.put_bucket_versioning(Bucket="face-app", VersioningConfiguration={"Status": "Enabled"})
    try_rights(account("all"), [Right.READ, Right.LIST])
    assert "Versions" not in s3.list_object_versions(Bucket="face-app", Prefix=RIGHTS_KEY)


def test_the_message_names_rights_actions_and_the_file(account):
    store = account("no-write")
    with pytest.raises(StoreError) as error:
        refuse_missing(store, try_rights(store, Right), Right)
    for words in ("refuses write and delete", "s3:PutObject, s3:DeleteObject", str(store.credentials_file)):
        assert words in str(error.value)
    refuse_missing(store, try_rights(store, Right), [Right.READ])


def run_bucket(store: Store, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run `face-app bucket` with the settings of a store."""
    environment = {"FACE_APP_STORE__CREDENTIALS_FILE": str(store.credentials_file)}
    environment |= {"FACE_APP_STORE__KIND": "s3", "FACE_APP_STORE__ENDPOINT": str(store.endpoint)}
    command = [sys.executable, "-m", "face_app", "bucket", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, env={**os.environ, **environment})


def test_the_command_prints_each_right_and_ends_with_6(account):
    done = run_bucket(account("no-write"), "check")
    assert done.returncode == 6
    answers = ["write: refused (AccessDenied)", "read: allowed", "list: allowed", "delete: refused (AccessDenied)"]
    assert done.stdout.splitlines() == answers
    assert done.stderr.count("\n") == 1
    assert "refuses write and delete to the key in" in done.stderr


def test_the_setup_tries_the_key_that_stores_faces(account):
    admin = account("admin")
    for name, options, code, printed, refusal in [
        ("all", [], 0, "ok\n", ""),
        ("no-write", [], 6, "", "refuses write to the key in"),
        ("no-write", ["--check"], 0, "ok\n", ""),
    ]:
        done = run_bucket(admin, "ensure", "--faces-key", str(account(name).credentials_file), *options)
        assert (done.returncode, done.stdout) == (code, printed), done.stderr
        assert refusal in done.stderr


def test_the_audit_does_not_count_the_object_as_foreign():
    assert sort_keys([RIGHTS_KEY, "test/other"], Scope()).foreign == ("test/other",)


def test_a_wrong_key_and_a_missing_bucket_are_not_missing_rights(account, wrong_credentials):
    with pytest.raises(StoreError, match="InvalidAccessKeyId"):
        try_rights(account("all").model_copy(update={"credentials_file": wrong_credentials}), Right)
    with pytest.raises(StoreError, match="does not exist"):
        try_rights(account("all", bucket="other").model_copy(update={"bucket": "other-bucket"}), [Right.LIST])


def test_a_folder_has_no_key(tmp_path):
    with pytest.raises(StoreError, match=r"set store\.kind to s3 or mount"):
        try_rights(Store(kind="directory", path=tmp_path), Right)


def refuse_unsigned(self: S3IAMRequest, *, headers: dict[str, str], **values: Any) -> None:
    """Answer an unsigned request as AWS does; moto fails with a KeyError."""
    if "Authorization" not in headers:
        raise S3AccessDeniedError
    IAMRequestBase.__init__(self, headers=headers, **values)


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MotoS3]:
    """A simulation of AWS that evaluates policies; each other one of the tests accepts any key."""
    with pytest.MonkeyPatch.context() as patch, moto_s3(tmp_path_factory.mktemp("aws")) as server:
        patch.setattr(S3IAMRequest, "__init__", refuse_unsigned)
        client(server.endpoint).create_bucket(Bucket="face-app")
        yield server
        reset_auth(server, "Infinity")
        client(server.endpoint).delete_bucket(Bucket="face-app")


def reset_auth(server: MotoS3, count: str) -> None:
    """Set the number of requests that need no key."""
    plain = {"Content-Type": "text/plain"}
    urlopen(Request(f"{server.endpoint}/moto-api/reset-auth", count.encode(), plain, method="POST")).close()


def policies() -> dict[str, dict[str, Any]]:
    """The policies of docs/stores.md by the name before each."""
    found = re.findall(r"\*\*([a-z]+)\*\*[^\n]*\n+```json\n(.*?)```", DOCS.read_text(), re.DOTALL)
    return {name: json.loads(text) for name, text in found}


def user_of(aws: MotoS3, place: Path, name: str) -> Store:
    """The key of a new user with one of the policies."""
    reset_auth(aws, "Infinity")
    iam = boto3.client(
        "iam", endpoint_url=aws.endpoint, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName=name, PolicyDocument=json.dumps(policies()[name]))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    reset_auth(aws, "0")
    credentials = key_file(place, key["AccessKeyId"], key["SecretAccessKey"])
    return Store(kind="s3", bucket="face-app", endpoint=aws.endpoint, credentials_file=credentials)


@pytest.mark.parametrize(("name", "missing"), [("write", set()), ("read", {"write", "delete"}), ("erase", set())])
def test_the_policies_of_the_documents_give_the_rights_that_they_promise(aws, tmp_path, name, missing):
    store = user_of(aws, tmp_path, name)
    assert refused(store) == missing
    faces = S3Bucket(store).client
    if name == "erase":
        faces.delete_object(Bucket="face-app", Key="jetson/door/face.jpg")
    else:
        with pytest.raises(ClientError, match="AccessDenied"):
            faces.delete_object(Bucket="face-app", Key="jetson/door/face.jpg")


def test_the_policy_of_the_setup_is_enough_and_reads_no_face(aws, tmp_path):
    store = user_of(aws, tmp_path, "setup")
    ensure(store, Bucket(expire_days=30, quarantine_days=7), check=False)
    assert ensure(store, Bucket(expire_days=30, quarantine_days=7), check=False) == []
    assert refused(store) == {"write", "read", "delete"}
