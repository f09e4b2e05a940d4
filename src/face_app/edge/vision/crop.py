"""A face, cut out of its frame and encoded."""

import cv2

from face_app.common import settings
from face_app.edge.image import Box, Image, clamp
from face_app.edge.outbox.records import EncodedImage


def cut(image: Image, box: Box, crop: settings.Crop) -> Image:
    """Cut a box with a margin out of a frame; what lies outside of the frame is left out.

    Args:
        image: The whole frame, H x W x 3, BGR.
        box: The face, pixels of the frame.
        crop: Margin, and the longest side.

    Returns:
        h x w x 3, at least one pixel wide and high; its own copy.
    """
    height, width = image.shape[:2]
    x1, y1, x2, y2 = box
    across, down = (x2 - x1) * crop.margin, (y2 - y1) * crop.margin
    left, top, right, bottom = clamp((x1 - across, y1 - down, x2 + across, y2 + down), width, height)
    x, y = min(int(left), width - 1), min(int(top), height - 1)
    face = image[y : max(round(bottom), y + 1), x : max(round(right), x + 1)]
    scale = crop.longest / max(face.shape[:2])
    if scale >= 1:
        return face.copy()  # type: ignore[no-any-return]
    size = (max(1, round(face.shape[1] * scale)), max(1, round(face.shape[0] * scale)))
    return cv2.resize(face, size, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def encode(image: Image, crop: settings.Crop) -> EncodedImage:
    """Encode a picture as the settings say, in colour."""
    if crop.format == "png":
        return EncodedImage(cv2.imencode(".png", image)[1].tobytes(), "png")
    return EncodedImage(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, crop.quality])[1].tobytes(), "jpg")
