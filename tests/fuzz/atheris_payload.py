"""Payloads through the parser, by the million: python -m fuzz.atheris_payload --runs 1000000 [--keep FOLDER]."""

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path
from random import Random

import atheris

with atheris.instrument_imports(include=["face_app", "PIL"]):
    from face_app.common.wire import SEED_TOPIC
    from fuzz.invariants import validated
    from fuzz.mutate import mutated
    from fuzz.seeds import FACE, corpus

TOPICS = (*[FACE.topic] * 6, SEED_TOPIC, "face_app/../door")
SEEDS = corpus()


class Tally:
    """Validates payloads and counts decisions; libFuzzer ends the process, so the last run prints them."""

    def __init__(self, runs: int) -> None:
        self._runs = runs
        self._decisions: Counter[str] = Counter()

    def __call__(self, payload: bytes) -> None:
        decision = validated(TOPICS[len(payload) % len(TOPICS)], payload)
        self._decisions[decision.refused or decision.key.split("/")[0]] += 1
        if self._decisions.total() == self._runs:
            sys.stderr.write(f"decisions: {dict(self._decisions.most_common())}\n")


def change(payload: bytes, most: int, seed: int) -> bytes:
    random = Random(seed)
    draw = random.random()
    if draw < 0.1:
        return bytes(atheris.Mutate(payload, most))
    # Most payloads in libFuzzer's corpus are broken early on; a whole message gets further.
    return mutated(random.choice(SEEDS) if draw < 0.6 else payload, random.choice(SEEDS), random)[:most]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", dest="folder", type=Path, help="folder for a payload that breaks an invariant")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for number, payload in enumerate(SEEDS):
            (Path(folder) / f"{number:03}").write_bytes(payload)
        limits = ("-max_len=8000", "-rss_limit_mb=1500", "-timeout=20", "-mutate_depth=1", "-print_final_stats=1")
        artifacts = [f"-artifact_prefix={given.folder}/"] if given.folder else []
        run = [f"-runs={given.runs}", f"-seed={given.seed}", *limits, *artifacts, folder]
        atheris.Setup([sys.argv[0], *run], Tally(given.runs), custom_mutator=change)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
