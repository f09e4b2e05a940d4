"""What somebody without a key sees of a bucket."""

from botocore.exceptions import BotoCoreError, ClientError

from face_app.cloud.stores.s3_bucket import S3Bucket


class Stranger:
    """Asks the store as anybody can, and so finds what policies, ACLs and access groups come to."""

    def __init__(self, bucket: S3Bucket) -> None:
        self._bucket = bucket
        self._client = bucket.stranger()

    def lists(self) -> bool:
        """Whether a stranger gets the list of objects."""
        try:
            self._client.list_objects_v2(Bucket=self._bucket.name, MaxKeys=1)
        except (ClientError, BotoCoreError):
            return False
        return True

    def reads(self) -> bool | None:
        """Whether a stranger gets the first object; None where there is none.

        Raises:
            StoreError: Our own key gets no list.
        """
        key = next(self._bucket.keys(""), None)
        if key is None:
            return None
        try:
            self._client.head_object(Bucket=self._bucket.name, Key=key)
        except (ClientError, BotoCoreError):
            return False
        return True
