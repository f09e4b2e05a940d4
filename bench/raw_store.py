"""The store without face-app: the rate of the same files from its fastest client."""

import asyncio
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from face_app.common.settings import Store
from support.s3 import client
from support.seaweedfs import ACCESS_KEY, SECRET_KEY

THREADS, TASKS = 16, 64


def client_name(store: Store) -> str:
    """Return the name of the client of `puts_per_second`."""
    if store.kind == "mount":
        return f"{THREADS} threads: O_EXCL, write, fsync, close"
    return f"obstore, {TASKS} tasks" if _obstore() else f"boto3, {THREADS} threads"


def puts_per_second(store: Store, payloads: list[bytes], folder: str) -> float:
    """Put files under new names.

    Args:
        store: A bucket or a mount.
        payloads: The files.
        folder: An unused folder.
    """
    names = [f"{folder}/{number}.jpg" for number in range(len(payloads))]
    if store.kind == "mount":
        assert store.path
        (store.path / folder).mkdir(parents=True)
        return _in_threads(lambda name, data: _write(store.path / name, data), names, payloads)
    if _obstore():
        return _in_tasks(store, names, payloads)
    s3 = client(store.endpoint)
    return _in_threads(lambda name, data: s3.put_object(Bucket=store.bucket, Key=name, Body=data), names, payloads)


def _in_threads(put: Callable[[str, bytes], object], names: list[str], payloads: list[bytes]) -> float:
    with ThreadPoolExecutor(THREADS) as pool:
        began = time.monotonic()
        list(pool.map(put, names, payloads))
        return len(names) / (time.monotonic() - began)


def _write(file: Path, data: bytes) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        assert os.write(descriptor, data) == len(data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _obstore() -> bool:
    try:
        import obstore  # noqa: F401
    except ImportError:
        return False
    return True


def _in_tasks(store: Store, names: list[str], payloads: list[bytes]) -> float:
    import obstore
    from obstore.store import S3Store

    s3 = S3Store(
        store.bucket,
        endpoint=store.endpoint,
        region=store.region,
        access_key_id=ACCESS_KEY,
        secret_access_key=SECRET_KEY,
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )

    async def run() -> float:
        room = asyncio.Semaphore(TASKS)

        async def put(name: str, data: bytes) -> None:
            async with room:
                await obstore.put_async(s3, name, data, use_multipart=False)

        began = time.monotonic()
        await asyncio.gather(*map(put, names, payloads))
        return len(names) / (time.monotonic() - began)

    return asyncio.run(run())
