"""Opens readers of an outbox and leaves them open.

`python -m faults.reader OUTBOX` begins a read transaction and waits; with ``--ledger CONFIG`` it starts `face-app
ledger` and reads nothing of its output, as a pager does whose terminal is gone.
"""

import argparse
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from face_app.edge.commands.stop import stop_on_signals


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("outbox", type=Path)
    parser.add_argument("--ledger", type=Path)
    options = parser.parse_args()
    with stop_on_signals() as stop:
        if options.ledger:
            command = [sys.executable, "-m", "face_app", "ledger", "--config", options.ledger]
            with subprocess.Popen(command, stdout=subprocess.PIPE) as ledger:
                stop.wait()
                ledger.kill()
            return
        with closing(sqlite3.connect(options.outbox)) as connection:
            connection.execute("BEGIN")
            connection.execute("SELECT count(*) FROM faces").fetchone()
            stop.wait()


if __name__ == "__main__":
    main()
