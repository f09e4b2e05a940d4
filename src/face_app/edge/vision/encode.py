"""Encode shots as image files with their metadata, ready for the outbox."""

import cv2

from face_app import __version__
from face_app.common.metadata import FaceMetadata
from face_app.common.settings import Crop, EdgeSettings
from face_app.edge.clock import clock_synchronised
from face_app.edge.image import Image
from face_app.edge.outbox.records import EncodedImage, NewFace
from face_app.edge.vision.best_shot import Shot


def encode_face(shot: Shot, settings: EdgeSettings, detector: str, run: str) -> NewFace:
    """Encode a shot, and add the metadata of its face.

    Args:
        shot: Selected picture.
        settings: Settings of the edge: its name, its camera, the encoding.
        detector: Name of the detector that found the face.
        run: Id of this run of the program at the edge; with the track it identifies the visit.
    """
    chosen = shot.candidate
    x1, y1, x2, y2 = (round(edge) for edge in chosen.detection.box)
    return NewFace(
        encode_image(chosen.image, settings.crop),
        FaceMetadata(
            edge=settings.edge,
            camera=settings.camera.name,
            captured_at=chosen.captured_at,
            track=shot.track,
            frame_size=chosen.frame_size,
            box=(x1, y1, x2, y2),
            landmarks=tuple((round(x, 1), round(y, 1)) for x, y in chosen.detection.landmarks),
            detector=detector,
            score=round(chosen.detection.score, 4),
            shot_score=round(chosen.quality.score, 4),
            shot_terms={name: round(term, 4) for name, term in chosen.quality.terms.items()},
            why=shot.why,
            chosen_from=shot.chosen_from,
            clock_synchronised=clock_synchronised(),
            version=__version__,
            visit=f"{run}-{shot.track}",
        ),
    )


def encode_image(image: Image, crop: Crop) -> EncodedImage:
    """Encode a picture in colour, as JPEG or PNG.

    Args:
        image: h x w x 3, BGR.
        crop: Format, and JPEG quality.
    """
    if crop.format == "png":
        return EncodedImage(cv2.imencode(".png", image)[1].tobytes(), "png")
    return EncodedImage(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, crop.quality])[1].tobytes(), "jpg")
