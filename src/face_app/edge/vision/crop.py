"""Crop faces."""

import cv2

from face_app.common import settings
from face_app.edge.image import Box, Image, clamp


def crop_face(image: Image, box: Box, options: settings.Crop) -> Image:
    """Crop a box with a margin from a frame. The margin ends at the border of the frame.

    Args:
        image: Whole frame, H x W x 3, BGR.
        box: x1, y1, x2, y2 of the face, pixels of the frame.
        options: Margin, and length of the longest side.

    Returns:
        A copy, h x w x 3, BGR, at least one pixel wide and high, never enlarged.
    """
    height, width = image.shape[:2]
    x1, y1, x2, y2 = box
    margin_x, margin_y = (x2 - x1) * options.margin, (y2 - y1) * options.margin
    left, top, right, bottom = clamp((x1 - margin_x, y1 - margin_y, x2 + margin_x, y2 + margin_y), width, height)
    x, y = min(int(left), width - 1), min(int(top), height - 1)
    face = image[y : max(round(bottom), y + 1), x : max(round(right), x + 1)]
    scale = options.longest / max(face.shape[:2])
    if scale >= 1:
        return face.copy()  # type: ignore[no-any-return]
    size = (max(1, round(face.shape[1] * scale)), max(1, round(face.shape[0] * scale)))
    return cv2.resize(face, size, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]
