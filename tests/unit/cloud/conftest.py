"""Real stores for the cloud's tests."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from mypy_boto3_s3 import S3Client

from face_app.cloud.stores import fast_client
from face_app.common.settings import Store
from support.moto_s3 import MotoS3, moto_s3
from support.s3 import client
from support.seaweedfs import MISSING, SeaweedFS, seaweedfs, weed

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def weed_server() -> Iterator[SeaweedFS]:
    if not weed():
        pytest.skip(MISSING)
    with seaweedfs() as server:
        yield server


@pytest.fixture(scope="session")
def moto_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MotoS3]:
    with moto_s3(tmp_path_factory.mktemp("moto")) as server:
        yield server


@pytest.fixture(params=["moto", "weed"])
def server(request: pytest.FixtureRequest) -> SeaweedFS | MotoS3:
    return request.getfixturevalue(f"{request.param}_server")


@pytest.fixture
def bucket_name() -> str:
    return f"faces-{next(_numbers)}"


@pytest.fixture
def s3(server: SeaweedFS | MotoS3) -> S3Client:
    return client(server.endpoint)


@pytest.fixture
def s3_settings(server: SeaweedFS | MotoS3, bucket_name: str) -> Store:
    """A bucket that does not exist yet."""
    return Store(kind="s3", bucket=bucket_name, endpoint=server.endpoint, credentials_file=server.credentials)


@pytest.fixture
def made(s3: S3Client, s3_settings: Store) -> Store:
    """A bucket that exists."""
    s3.create_bucket(Bucket=s3_settings.bucket)
    return s3_settings


@pytest.fixture
def wrong_credentials(tmp_path: Path) -> Path:
    file = tmp_path / "wrong"
    file.write_text("unknown:unknown\n")
    file.chmod(0o600)
    return file


@pytest.fixture(params=["obstore", "boto3"])
def each_client(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The test runs with obstore, and without it."""
    if request.param == "obstore" and not fast_client.INSTALLED:
        pytest.skip("obstore is not installed")
    monkeypatch.setattr(fast_client, "INSTALLED", request.param == "obstore")
    return str(request.param)
