"""Define the Prometheus metrics of the edge."""

from prometheus_client import Counter, Gauge

from face_app.common.errors import REFUSALS

# Alarms use the exported names, so `looks`, `bad_frames` and `rescued` stay, though the code has other words.
FRAMES = Counter("face_app_capture_frames", "Frames that the pipeline processed.")
MISSED = Counter(
    "face_app_capture_missed_frames",
    "Frames of a live source that arrived while the program was busy, and were never read.",
)
SKIPPED = Counter("face_app_capture_skipped_frames", "Frames that were skipped to reduce the frame rate.")
UNDECODABLE = Counter("face_app_capture_bad_frames", "Frames that could not be decoded.", ["reason"])
PICTURES_REFUSED = Counter(
    "face_app_capture_refused_pictures", "Messages of an MQTT source that became no face.", ["reason"]
)
DETECTOR_RUNS = Counter("face_app_capture_looks", "Frames on which the detector ran; in the others nothing moved.")
VISITS = Counter("face_app_capture_visits", "Visits that have ended.")
VISITS_DISMISSED = Counter("face_app_capture_dismissed_visits", "Ended visits without a shot.", ["reason"])
CAPTURED = Counter("face_app_capture_faces", "Faces committed to the outbox.")
SENT = Counter("face_app_sender_sent", "Publishes of faces, repeated ones included.")
RESENT = Counter("face_app_sender_resent", "Repeated publishes of faces, after a missing receipt.")
STORED = Counter("face_app_sender_stored", "Faces with a receipt of result stored.")
REFUSED = Counter("face_app_sender_refused", "Faces with a receipt of result refused.", ["reason"])
ERASED = Counter("face_app_sender_erased", "Faces with a receipt of result erased: a tombstone covers them.")
REJECTED = Counter("face_app_sender_rejected", "Publishes that the broker answered with an error.", ["reason"])
EXPIRED = Counter("face_app_outbox_expired", "Waiting faces given up: evicted by the quota, or damaged.", ["reason"])
RECOVERED = Counter("face_app_outbox_rescued", "Ledger rows recovered from a damaged outbox.", ["state"])
WAITING = Gauge("face_app_outbox_waiting", "Faces that wait in the outbox.")
OLDEST = Gauge("face_app_outbox_oldest_seconds", "Age of the oldest waiting face; 0 if none wait.")
LAST_STORED = Gauge(
    "face_app_outbox_last_stored_age_seconds", "Seconds since the last receipt of result stored; NaN if there was none."
)
FULLNESS = Gauge("face_app_outbox_fullness", "Used fraction of outbox.max_bytes.")
REFUSED_PRESENT = Gauge("face_app_outbox_refused", "Refused faces whose pixels are in the outbox.")
FRAME_AGE = Gauge("face_app_capture_frame_age_seconds", "Seconds since the last frame.")
ELECTED = Gauge("face_app_sender_elected", "1 if this process has the sender lock of its outbox.")
HOP = Gauge("face_app_sender_hop", "1 while a hop of the uplink is up.", ["hop"])
QUIET = Gauge(
    "face_app_sender_quiet_seconds",
    "Seconds since the last receipt while faces are in flight and the uplink is up; 0 otherwise.",
)
ASIDE = Gauge("face_app_sender_aside", "Waiting faces that do not pass, although others do, such as too large ones.")
WINDOW = Gauge("face_app_sender_window", "Maximum number of faces in flight now.")

_LABELS = {
    UNDECODABLE: ("blank", "empty", "filler", "format", "undecodable"),
    PICTURES_REFUSED: ("not-an-image", "too-large", "too-many", "too-many-pixels", "too-many-scans"),
    VISITS_DISMISSED: ("no-detail", "no-face"),
    REFUSED: REFUSALS,
    REJECTED: ("Not authorized", "Packet too large", "Quota exceeded"),
    EXPIRED: ("damaged", "drop-lowest-score", "drop-oldest", "refused"),
    RECOVERED: ("erased", "expired", "refused", "stored", "waiting"),
}
"""Labels that exist from the start: the first count is an increase only after a 0."""

for _counter, _values in _LABELS.items():
    for _value in _values:
        _counter.labels(_value)
