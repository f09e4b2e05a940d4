"""Each reason of a refused message has a counter from the start."""

import re
from pathlib import Path

from face_app.common.errors import REFUSALS

SOURCE = Path(__file__).parents[3] / "src/face_app"


def test_the_list_of_refusals_is_complete():
    text = "".join(file.read_text() for part in ("common", "cloud") for file in (SOURCE / part).rglob("*.py"))
    # Receipts are read by edges, which refuse nothing.
    assert set(re.findall(r"MessageError\(\s*\"([a-z-]+)\"", text)) - {"bad-receipt"} == set(REFUSALS)
