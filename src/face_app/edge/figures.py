"""What the edge counts, for Prometheus."""

from prometheus_client import Counter

FRAMES = Counter("face_app_capture_frames", "Frames that were looked at.")
MISSED = Counter("face_app_capture_missed_frames", "Frames of a live source that came while the program was busy.")
CAPTURED = Counter("face_app_capture_faces", "Faces committed to the outbox.")
SENT = Counter("face_app_sender_sent", "Faces handed to the broker, each attempt counted.")
RESENT = Counter("face_app_sender_resent", "Faces handed to the broker again, because no receipt came.")
STORED = Counter("face_app_sender_stored", "Faces whose receipt says that they are stored.")
REFUSED = Counter("face_app_sender_refused", "Faces whose receipt says that they are refused.", ["reason"])
REJECTED = Counter("face_app_sender_rejected", "Publishes that the broker answered with a failure.", ["reason"])
