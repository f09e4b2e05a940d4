"""Distance to a server on this machine: a TCP proxy that delays every response."""

import asyncio
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager

from support.ports import free_port

CHUNK = 1 << 18


@contextmanager
def distant(address: str, seconds: float) -> Iterator[str]:
    """Yield an address of the server with an added round trip; without one, its own address.

    Runs in a process of its own and takes some CPU, as no real distance does. A connection opens at once.
    """
    if not seconds:
        yield address
        return
    port, server = free_port(), int(address.rpartition(":")[2])
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    proxy = context.Process(target=_serve, args=(port, server, seconds, ready), daemon=True)
    proxy.start()
    try:
        if not ready.wait(20):
            raise TimeoutError("the proxy did not start")
        yield f"http://127.0.0.1:{port}"
    finally:
        proxy.terminate()
        proxy.join()


def _serve(port: int, server: int, seconds: float, ready) -> None:
    async def run() -> None:
        async with await asyncio.start_server(lambda *client: _carry(*client, server, seconds), "127.0.0.1", port):
            ready.set()
            await asyncio.Event().wait()

    asyncio.run(run())


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: int, seconds: float) -> None:
    far_reader, far_writer = await asyncio.open_connection("127.0.0.1", server)
    await asyncio.gather(_pump(reader, far_writer, 0), _pump(far_reader, writer, seconds), return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    """Hand bytes on in order, each `seconds` after it came."""
    loop = asyncio.get_running_loop()
    delayed: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def deliver() -> None:
        while True:
            due, data = await delayed.get()
            if due > loop.time():
                await asyncio.sleep(due - loop.time())
            if not data:
                writer.close()
                return
            writer.write(data)
            await writer.drain()

    delivering = asyncio.create_task(deliver())
    try:
        while data := await reader.read(CHUNK):
            delayed.put_nowait((loop.time() + seconds, data))
    finally:
        delayed.put_nowait((loop.time() + seconds, b""))
        await delivering
