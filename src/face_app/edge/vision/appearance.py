"""Describe the colours of a person's head and clothes, to join a track that was lost. Persons are not recognised."""

from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from face_app.edge.image import Box, Image, clamp

Region: TypeAlias = tuple[float, float, float, float]
"""x1, y1, x2, y2 in widths and heights of the face, from its upper left corner."""

HEAD: Region = (-0.2, -0.3, 1.2, 1.0)
"""Face and hair."""
CLOTHES: Region = (-0.5, 1.15, 1.5, 2.3)
"""Clothes. Wider shows more of the background."""
PATCH = 24
"""Side to which a region is scaled, pixels. Larger costs more and separates no better."""
MIN_SIDE = 4
"""Minimum side of a region in the frame, pixels. The clothes of a face at the lower border are not visible."""
LIGHTNESS_BINS, COLOUR_BINS = 8, 16
"""Number of bins of lightness, and of each of the two axes of colour. More separate persons better, but also pictures
of one person in changing light."""
COLOUR_RANGE = (96, 160)
"""Range of the colours of skin and most clothes on both axes, of 255; stronger colours count in the outer bins."""

NEUTRAL_BINS = slice(7, 10)
"""Bins of each axis that count as grey."""
MAX_NEUTRAL = 0.9
"""Maximum share of a head that may be grey. Above it the picture has no colours, as at night: with lightness alone,
half of all pairs of different persons pass the threshold."""

Appearance: TypeAlias = npt.NDArray[np.float32]
"""Four histograms, each of sum 1: lightness and colour of the head, lightness and colour of the clothes; those of the
clothes are 0 if they are not visible."""

_PART = LIGHTNESS_BINS + COLOUR_BINS**2
HEAD_PART, CLOTHES_PART = slice(0, _PART), slice(_PART, 2 * _PART)


def describe(image: Image, box: Box) -> Appearance:
    """Return the histograms of one face.

    Args:
        image: Whole frame, H x W x 3, BGR.
        box: x1, y1, x2, y2 of the face, pixels.
    """
    return np.concatenate([_histograms(_region(image, box, region)) for region in (HEAD, CLOTHES)])


def blend(mean: Appearance, latest: Appearance, weight: float) -> Appearance:
    """Return the mean with one more appearance; parts that are not visible in one of them come from the other.

    Args:
        mean: Mean of the appearances so far.
        latest: The next one.
        weight: Its weight, 0 to 1.
    """
    result: Appearance = mean.copy()
    for part in (HEAD_PART, CLOTHES_PART):
        if latest[part].any():
            result[part] += (latest[part] - mean[part]) * np.float32(weight if mean[part].any() else 1)
    return result


def similarity(one: Appearance, other: Appearance) -> float:
    """Return how similar two appearances are, 0 to 1.

    It is the product of the Bhattacharyya coefficients of lightness and colour, as a mean of head and clothes. Clothes
    count only if both show them. Without colours it is 0.
    """
    if _is_grey(one) or _is_grey(other):
        return 0.0
    coefficients = np.sqrt(one * other)
    parts = [part for part in (HEAD_PART, CLOTHES_PART) if one[part].any() and other[part].any()]
    values = [_product(coefficients[part]) for part in parts]
    return sum(values) / max(len(values), 1)


def _product(coefficients: Appearance) -> float:
    return float(coefficients[:LIGHTNESS_BINS].sum() * coefficients[LIGHTNESS_BINS:].sum())


def _is_grey(appearance: Appearance) -> bool:
    colour = appearance[HEAD_PART][LIGHTNESS_BINS:].reshape(COLOUR_BINS, COLOUR_BINS)
    return bool(colour[NEUTRAL_BINS, NEUTRAL_BINS].sum() > MAX_NEUTRAL)


def _region(image: Image, box: Box, region: Region) -> Image | None:
    """Cut a region relative to a face out of a frame, scaled down; None if too little of it is visible."""
    x1, y1, x2, y2 = box
    width, height = x2 - x1, y2 - y1
    wanted = (x1 + region[0] * width, y1 + region[1] * height, x1 + region[2] * width, y1 + region[3] * height)
    left, top, right, bottom = (int(edge) for edge in clamp(wanted, image.shape[1], image.shape[0]))
    if min(right - left, bottom - top) < MIN_SIDE:
        return None
    step = max(1, min(right - left, bottom - top) // PATCH)  # an average of all pixels costs more and gains nothing
    return cv2.resize(image[top:bottom:step, left:right:step], (PATCH, PATCH))  # type: ignore[return-value]


def _histograms(patch: Image | None) -> Appearance:
    if patch is None:
        return np.zeros(_PART, np.float32)
    lab = cv2.cvtColor(patch, cv2.COLOR_BGR2LAB)
    lightness = cv2.calcHist([lab], [0], None, [LIGHTNESS_BINS], [0, 256])
    clipped = np.clip(lab, COLOUR_RANGE[0], COLOUR_RANGE[1] - 1)
    colour = cv2.calcHist([clipped], [1, 2], None, [COLOUR_BINS] * 2, [*COLOUR_RANGE, *COLOUR_RANGE])
    # Blurred, so that a slightly other light does not move all pixels from one bin to the next.
    return np.concatenate([_share(cv2.blur(lightness, (1, 3))), _share(cv2.GaussianBlur(colour, (3, 3), 0))])  # type: ignore[arg-type]


def _share(histogram: npt.NDArray[np.float32]) -> Appearance:
    return (histogram / max(float(histogram.sum()), 1.0)).ravel()
