"""A network camera: Motion JPEG over HTTP, as many have it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np


def jpeg(value: int, size: tuple[int, int] = (64, 48)) -> bytes:
    """A picture of one shade, but for a corner."""
    image = np.full((size[1], size[0], 3), value % 250, np.uint8)
    image[:12, :12] = 250
    return cv2.imencode(".jpg", image)[1].tobytes()


@contextmanager
def mjpeg_camera(
    port: int,
    *,
    frames: int = 10_000,
    rate: float = 50.0,
    hang: bool = False,
    picture: Callable[[int], bytes] = jpeg,
) -> Iterator[str]:
    """Give the address of a camera: `frames` pictures a connection, ever brighter; then it hangs up, or only hangs."""
    done = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            try:
                for index in range(frames):
                    body = picture(index)
                    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n\r\n"
                    self.wfile.write(head.encode() + body + b"\r\n")
                    if done.wait(1 / rate):
                        return
            except OSError:
                return
            if hang:
                done.wait()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{port}/stream"
    finally:
        done.set()
        server.shutdown()
        server.server_close()
