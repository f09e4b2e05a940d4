"""Find faces in frames: one module per detector, all with one protocol.

ONNX Runtime reads its environment when it is imported. Without the variable it writes an id of the device to disk, and
uploads events to its vendor; `onnxruntime.disable_telemetry_events` stops neither.
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
