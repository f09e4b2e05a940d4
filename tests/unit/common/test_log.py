"""Log lines go to standard error, without secrets."""

import logging

from face_app.common.log import hide_secrets, log_to_stderr


def test_masks_hidden_values_in_messages_and_tracebacks(capsys):
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    hide_secrets(["hunter2hunter2", "hunter2", "1"])
    try:
        log_to_stderr("info")
        try:
            raise ValueError("rtsp://cam/hunter2")
        except ValueError:
            logging.getLogger("library").exception("%s was refused", "hunter2hunter2")
        logging.getLogger("library").info("attempt 1")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    text = capsys.readouterr().err
    assert "ERROR   *** was refused" in text
    assert "ValueError: rtsp://cam/***" in text
    assert "hunter2" not in text
    assert "INFO    attempt 1" in text
