"""What the edge counts, for Prometheus."""

from prometheus_client import Counter, Gauge

FRAMES = Counter("face_app_capture_frames", "Frames that were looked at.")
MISSED = Counter("face_app_capture_missed_frames", "Frames of a live source that came while the program was busy.")
SKIPPED = Counter("face_app_capture_skipped_frames", "Frames that were left out on purpose, and never converted.")
BAD = Counter("face_app_capture_bad_frames", "Frames that came broken and were left out.", ["reason"])
LOOKS = Counter("face_app_capture_looks", "Frames in which faces were looked for; in the others nothing moved.")
VISITS = Counter("face_app_capture_visits", "Visits of a face that are over.")
CAPTURED = Counter("face_app_capture_faces", "Faces committed to the outbox.")
SENT = Counter("face_app_sender_sent", "Faces handed to the broker, each attempt counted.")
RESENT = Counter("face_app_sender_resent", "Faces handed to the broker again, because no receipt came.")
STORED = Counter("face_app_sender_stored", "Faces whose receipt says that they are stored.")
REFUSED = Counter("face_app_sender_refused", "Faces whose receipt says that they are refused.", ["reason"])
REJECTED = Counter("face_app_sender_rejected", "Publishes that the broker answered with a failure.", ["reason"])
EXPIRED = Counter("face_app_outbox_expired", "Faces given up because the outbox was full.", ["reason"])
RESCUED = Counter("face_app_outbox_rescued", "Faces saved from a damaged outbox.", ["state"])
WAITING = Gauge("face_app_outbox_waiting", "Faces that wait in the outbox.")
OLDEST = Gauge("face_app_outbox_oldest_seconds", "Age of the oldest waiting face; 0 where none waits.")
LAST_STORED = Gauge(
    "face_app_outbox_last_stored_age_seconds", "Since the last receipt that said stored; NaN where none is known."
)
FULLNESS = Gauge("face_app_outbox_fullness", "Part of outbox.max_bytes that is used.")
HELD = Gauge("face_app_outbox_refused", "Refused faces whose pixels the outbox keeps.")
FRAME_AGE = Gauge("face_app_capture_frame_age_seconds", "Since the last frame.")
ELECTED = Gauge("face_app_sender_elected", "1 where this process sends for its outbox.")
HOP = Gauge("face_app_sender_hop", "1 while a hop of the way up is open.", ["hop"])
QUIET = Gauge("face_app_sender_quiet_seconds", "That faces have been on an open way without a receipt.")
WINDOW = Gauge("face_app_sender_window", "Faces that may be on their way at a time, as the way allows now.")
