"""Draw the picture of the README: a screenshot of the gallery with drawn faces; no person is in it."""

import argparse
import io
import shutil
from datetime import datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import sync_playwright

from support import gallery_scene as scene
from support.gallery import running_gallery
from support.mosquitto import mosquitto

NOW = datetime(2026, 11, 22, 18, 40, tzinfo=timezone.utc)
SIZE = {"width": 1200, "height": 760}
COLOURS = 160
"""Colours of the file: the page has few, and a third of the bytes is enough for them."""
MAX_BYTES = 150_000
TARGET = Path(__file__).parents[1] / "docs/gallery.png"


def screenshot(home: Path) -> bytes:
    """Return the first page over some visits of two days, as PNG."""
    store = scene.folder_store(home / "bucket")
    scene.put(store, *scene.visits(40, NOW, spread=timedelta(hours=44)))
    with sync_playwright() as playwright, mosquitto() as broker, running_gallery(home, store, broker.port) as gallery:
        gallery.listed().wait_for(lambda gallery: not gallery.api("state")["notices"])
        # As root, Chromium has no sandbox; it opens nothing but our own pages.
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE, color_scheme="light", reduced_motion="reduce", locale="en-GB")
        page.goto(gallery.address)
        page.wait_for_function("[...document.images].slice(0, 20).every(each => each.naturalWidth > 0)")
        data = page.screenshot()
        browser.close()
    return data


def main() -> None:
    parser = argparse.ArgumentParser(prog="bin/bench picture", description=__doc__)
    parser.add_argument("--target", type=Path, default=TARGET)
    options = parser.parse_args()
    with TemporaryDirectory(prefix="gallery-picture-") as home:
        image = Image.open(io.BytesIO(screenshot(Path(home)))).convert("RGB")
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(options.target, optimize=True)
    size = options.target.stat().st_size
    assert size < MAX_BYTES, f"{options.target}: {size} bytes"
    print(f"wrote {options.target} ({size} bytes)")


if __name__ == "__main__":
    main()
