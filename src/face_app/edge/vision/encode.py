"""From a shot to the face that goes into the outbox: its file, and the story in it."""

from face_app import __version__
from face_app.common.metadata import FaceMetadata
from face_app.common.settings import EdgeSettings
from face_app.edge.clock import clock_synchronised
from face_app.edge.outbox.records import NewFace
from face_app.edge.vision.best_shot import Shot
from face_app.edge.vision.crop import encode


def encode_face(shot: Shot, settings: EdgeSettings, detector: str) -> NewFace:
    """Encode a shot, and keep what is known about it.

    Args:
        shot: What was chosen.
        settings: Of the edge.
        detector: Name of the detector that found the face.
    """
    chosen = shot.candidate
    x1, y1, x2, y2 = (round(edge) for edge in chosen.detection.box)
    return NewFace(
        encode(chosen.image, settings.crop),
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
        ),
    )
