"""A proxy with a limit that no MQTT packet announces."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass


@dataclass
class SizeLimit:
    """A relay to a broker that closes a connection at a packet it does not let pass.

    Attributes:
        port: Where it listens.
        passes: Decides about the bytes of a packet from the client.
        closed: Number of connections it closed.
    """

    port: int
    passes: Callable[[bytes], bool]
    closed: int = 0


@contextmanager
def size_limit(broker_port: int, passes: Callable[[bytes], bool]) -> Iterator[SizeLimit]:
    """Run the proxy.

    Args:
        broker_port: Of the broker on the loopback.
        passes: Returns False for a packet at which the connection is closed.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        proxy = SizeLimit(server.getsockname()[1], passes)
        threading.Thread(target=_accept, args=(server, broker_port, proxy), daemon=True).start()
        yield proxy
        server.shutdown(socket.SHUT_RDWR)


def _accept(server: socket.socket, broker_port: int, proxy: SizeLimit) -> None:
    with suppress(OSError):  # the proxy is shut down
        while True:
            client, _ = server.accept()
            broker = socket.create_connection(("127.0.0.1", broker_port))
            for target, ends in ((_relay, (client, broker, proxy)), (_pump, (broker, client))):
                threading.Thread(target=target, args=ends, daemon=True).start()


def _relay(client: socket.socket, broker: socket.socket, proxy: SizeLimit) -> None:
    data = bytearray()
    with suppress(OSError):
        while received := client.recv(65_536):
            data += received
            while (size := _packet_size(bytes(data[:5]))) and len(data) >= size:
                packet = bytes(data[:size])
                del data[:size]
                if not proxy.passes(packet):
                    proxy.closed += 1
                    _close(client, broker)
                    return
                broker.sendall(packet)
    _close(client, broker)


def _packet_size(data: bytes) -> int:
    """Return the size of the first packet; 0 while its length is not complete."""
    length = 0
    for place, digit in enumerate(data[1:5]):
        length |= (digit & 127) << (7 * place)
        if digit < 128:
            return 2 + place + length
    return 0


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    _close(source, target)


def _close(*ends: socket.socket) -> None:
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
