"""Detections with the values that a test needs."""

from face_app.edge.vision.detectors.detection import Detection


def detection(
    x: float = 100,
    y: float = 100,
    width: float = 50,
    score: float = 0.9,
    *,
    height: float | None = None,
    turn: float = 0,
) -> Detection:
    """A face with its landmarks.

    Args:
        x: Its left edge, pixels.
        y: Its upper edge, pixels.
        width: Pixels.
        score: The detector's confidence.
        height: Pixels; unset: 1.25 of the width.
        turn: How far the nose is from the middle of the eyes, in distances of the eyes; 0.5 is a profile.
    """
    tall = height or width * 1.25
    points = ((0.3, 0.38), (0.7, 0.38), (0.5 + 0.4 * turn, 0.61), (0.35, 0.78), (0.65, 0.78))
    return Detection(
        (x, y, x + width, y + tall), tuple((x + dx * width, y + dy * tall) for dx, dy in points), score, score >= 0.8
    )
