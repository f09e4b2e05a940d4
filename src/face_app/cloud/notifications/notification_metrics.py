"""Define the metrics of notifications."""

from typing import Literal, get_args

from prometheus_client import Counter, Gauge

Result = Literal["sent", "repeated", "given_up", "unanswered", "interrupted", "dropped", "gone"]
"""Result of a delivery to one service.

sent: accepted. repeated: not possible yet, and repeated later. given_up: not possible within give_up_minutes.
unanswered: the service took it and did not answer, so it may have arrived. interrupted: the program ended meanwhile, so
it may have arrived. dropped: too many waited. gone: the picture was deleted before.
"""

deliveries = Counter(
    "face_app_gallery_notifications",
    "Deliveries of messages to services, by result; repeated ones count again.",
    ["result"],
)
waiting = Gauge("face_app_gallery_notifications_waiting", "Deliveries that wait for a service.")

for _result in get_args(Result):  # an idle counter is 0, not absent
    deliveries.labels(_result)
