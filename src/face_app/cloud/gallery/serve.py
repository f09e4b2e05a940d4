"""Run ``face-app gallery``: start the threads and the web server, stop them on a signal."""

import signal
import threading

import uvicorn
from prometheus_client import REGISTRY

from face_app.cloud.gallery.background_eraser import BackgroundEraser
from face_app.cloud.gallery.fleet_metrics import FleetCollector, GalleryCollector
from face_app.cloud.gallery.gallery import Gallery
from face_app.cloud.gallery.http_protocol import GuardedProtocol
from face_app.cloud.gallery.pages.app import make_app
from face_app.common.errors import FaceAppError, SettingsError
from face_app.common.health_server import serve as serve_health
from face_app.common.settings import GallerySettings

MAX_CONNECTIONS = 200
"""Maximum number of open connections; more are refused with 503."""
STOP_SECONDS = 3
"""Seconds that open requests may take after a signal."""
CHECK_SECONDS = 0.2
"""Seconds between two checks whether the server stops or must stop."""


def run(settings: GallerySettings) -> None:
    """Serve the pages until SIGTERM or SIGINT.

    While the bucket or the broker is away, the pages say so; `/ready` returns the reason.

    Raises:
        SettingsError: A file cannot be read or written, or a port cannot be opened.
        FaceAppError: The index is damaged; the next start fills a new one.
    """
    eraser = BackgroundEraser(settings) if settings.erases else None
    gallery = Gallery(settings, eraser)
    server = uvicorn.Server(_configuration(settings, gallery))
    REGISTRY.register(FleetCollector(gallery.states))
    REGISTRY.register(GalleryCollector(gallery))
    health = serve_health(settings.metrics, gallery.health, gallery.notifier.alarms if gallery.notifier else None)
    stop = threading.Event()
    watch = threading.Thread(target=_watch, args=(gallery, server, stop), name="watch", daemon=True)
    try:
        gallery.start()
        if eraser:
            eraser.start()
        watch.start()
        server.run()
    # After its end, uvicorn raises the signal again: SIGINT becomes KeyboardInterrupt, SIGTERM SystemExit.
    except KeyboardInterrupt:
        pass
    except SystemExit as error:
        cause = error.__context__
        if error.code != 128 + signal.SIGTERM:  # uvicorn has not started
            if isinstance(cause, OSError):
                text = f"port = {settings.port}: cannot listen: {cause}; choose another host or port"
                raise SettingsError(text) from cause
            raise
    finally:
        stop.set()
        if eraser:
            eraser.stop()
        gallery.stop()
        if health:
            health.shutdown()
    problem = gallery.failure
    if problem:
        raise FaceAppError(problem)


def _configuration(settings: GallerySettings, gallery: Gallery) -> uvicorn.Config:
    configuration = uvicorn.Config(
        make_app(gallery),
        host=settings.host,
        port=settings.port,
        http=GuardedProtocol,
        log_config=None,
        access_log=False,  # the access log has the users
        server_header=False,
        proxy_headers=False,  # a client could choose its address
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=STOP_SECONDS,
        ssl_certfile=settings.cert_file,
        ssl_keyfile=settings.key_file,
    )
    try:
        configuration.load()
    except OSError as error:
        raise SettingsError(f"cert_file {settings.cert_file}: {error}; check cert_file and key_file") from error
    return configuration


def _watch(gallery: Gallery, server: uvicorn.Server, stop: threading.Event) -> None:
    """Stop the server if a thread has ended. When it stops, end the streams of news: it waits for open ones."""
    while not stop.wait(CHECK_SECONDS):
        if gallery.failure:
            server.should_exit = True
        if server.should_exit:
            gallery.events.close()
            return
