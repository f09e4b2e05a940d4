"""Log lines go to standard error, without secrets."""

import logging

from face_app.common.log import MAX_KINDS, WARN_SECONDS, RateLimitedLog, hide_secrets, log_to_stderr


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


def test_logs_one_line_a_minute_of_each_kind(caplog):
    now = 0.0
    warnings = RateLimitedLog(logging.getLogger("test"), clock=lambda: now)
    for number in range(3):
        warnings.warning("refused %d", number, kind="a")
    warnings.warning("other")
    now = WARN_SECONDS
    warnings.warning("refused %d", 9, kind="a")
    assert caplog.messages == ["refused 0", "other", "refused 9 (2 more of this kind since the last line)"]


def test_a_peer_cannot_fill_the_memory_with_kinds():
    warnings = RateLimitedLog(logging.getLogger("test"))
    for number in range(2 * MAX_KINDS):
        warnings.warning("x", kind=str(number))
    assert len(warnings._kinds) <= MAX_KINDS
