"""Raise the local contrast of dark pictures, for the detector alone: crops show what the camera took.

Measured on 143 street photos with 47 bare faces of 20 pixels and more. At 15 % of the light, 41 instead of 35 are
found, with 3 instead of 4 false boxes. With a gamma of 0.4 it is 43 instead of 44, and with the masked faces 321
instead of 284, but with 8 instead of 5 false boxes. Backlit pictures are not recognised: their statistics are those of
normal ones.
"""

import cv2
import numpy as np

from face_app.edge.image import Image

DARK_MEDIAN = 40.0
"""Median grey level, of 255, below which a picture is dark. Of daylight photos 4 % are below it."""
THUMBNAIL = (32, 18)
"""Width and height of the grey thumbnail that decides; a lamp in a dark yard does not change its median."""
CLIP = 2.0
"""Contrast limit of the equalisation (CLAHE, Zuiderveld, 1994). Twice as much finds no more, but also raises noise."""
TILE = 64
"""Approximate side of the tiles in which contrast is equalised, pixels of the detector's input."""


def is_dark(image: Image) -> bool:
    """Return whether most of a picture (H x W x 3, BGR) is dark."""
    thumbnail = cv2.cvtColor(cv2.resize(image, THUMBNAIL, interpolation=cv2.INTER_LINEAR), cv2.COLOR_BGR2GRAY)
    return bool(np.median(thumbnail) < DARK_MEDIAN)


def raise_contrast(image: Image) -> Image:
    """Return a picture (H x W x 3, BGR) whose luma is equalised in tiles; its colours remain."""
    height, width = image.shape[:2]
    luma, red, blue = cv2.split(cv2.cvtColor(image, cv2.COLOR_BGR2YCrCb))
    tiles = max(1, round(width / TILE)), max(1, round(height / TILE))
    equalised = cv2.createCLAHE(CLIP, tiles).apply(luma)
    return cv2.cvtColor(cv2.merge((equalised, red, blue)), cv2.COLOR_YCrCb2BGR)  # type: ignore[return-value]
