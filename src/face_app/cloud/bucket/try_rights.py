"""Try what a key pair may do with objects, one request per right, and name what the store refuses."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from botocore.exceptions import ClientError

from face_app.cloud.bucket.rights import ACTIONS, RIGHTS_KEY
from face_app.cloud.stores.s3_bucket import S3Bucket
from face_app.cloud.stores.s3_causes import error_code, error_status, refuses_right
from face_app.common import settings
from face_app.common.errors import StoreError
from face_app.common.rights import Right

_CONTENT = (
    b"face-app bucket check wrote this object; it can be deleted.\n"  # always the same: trials may run side by side
)


@dataclass(frozen=True)
class Trial:
    """Contains the answer of the store to one request.

    Attributes:
        right: What was tested.
        refusal: Code of the store; empty if it allowed the request.
    """

    right: Right
    refusal: str


def try_rights(store: settings.Store, needed: Iterable[Right]) -> list[Trial]:
    """Try each needed right with the key pair of the settings; a write is followed by a deletion.

    A store may answer 403 instead of 404 to a read of a missing object if the key may not list. Without the right to
    list, a refused read is therefore certain only if the key may write.

    Args:
        store: Store settings; a mount (s3fs) is tested through the S3 API.
        needed: Rights to try. Without `write`, nothing is written.

    Returns:
        One trial per right, in the order of `Right`. `delete` is there if it is needed, or if `write` is.

    Raises:
        StoreError: No answer, an unknown key, a wrong secret, a missing bucket, or a store that is a folder.
        SettingsError: The credentials file cannot be read.
    """
    if store.kind == "directory":
        raise StoreError(f"store.path {store.path} is a folder, which has no key pair; set store.kind to s3 or mount")
    wanted = set(needed)
    if Right.WRITE in wanted:
        wanted.add(Right.DELETE)
    bucket = S3Bucket(store, connections=1)
    requests = _requests(bucket)
    with bucket.translate_errors():
        return [Trial(right, _refusal(requests[right])) for right in Right if right in wanted]


def refuse_missing(store: settings.Store, trials: Iterable[Trial], needed: Iterable[Right]) -> None:
    """Check that the store refused no needed right.

    Raises:
        StoreError: It refused one; the message names each, and its action in a policy.
    """
    wanted = set(needed)
    refused = [trial for trial in trials if trial.refusal and trial.right in wanted]
    if refused:
        names = " and ".join(trial.right.value for trial in refused)
        codes = ", ".join(sorted({trial.refusal for trial in refused}))
        actions = ", ".join(ACTIONS[trial.right] for trial in refused)
        raise StoreError(
            f"{S3Bucket(store, connections=1).where} refuses {names} to the key in {store.credentials_file} ({codes}): "
            f"allow {actions} to its account, as docs/stores.md describes"
        )


def _requests(bucket: S3Bucket) -> dict[Right, Callable[[], object]]:
    client, name = bucket.client, bucket.name
    return {
        Right.WRITE: lambda: client.put_object(Bucket=name, Key=RIGHTS_KEY, Body=_CONTENT, ContentType="text/plain"),
        Right.READ: lambda: client.get_object(Bucket=name, Key=RIGHTS_KEY),
        Right.LIST: lambda: client.list_objects_v2(Bucket=name, MaxKeys=1),
        Right.DELETE: lambda: client.delete_object(Bucket=name, Key=RIGHTS_KEY),
    }


def _refusal(request: Callable[[], object]) -> str:
    """Return the code of a refusal; empty if the store allowed the request."""
    try:
        request()
    except ClientError as error:
        if refuses_right(error):
            return error_code(error)
        # A read that is allowed, of an object that does not exist, or that another trial has deleted.
        if error_code(error) == "NoSuchKey" and error_status(error) == 404:
            return ""
        raise
    return ""
