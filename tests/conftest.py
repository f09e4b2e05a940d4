"""Applies to every test: the seed of random faults, and the profiles of Hypothesis."""

import random
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from support.prestarted import Prestarted
from support.prestarted import prestarted as prestarted_programs

# Without limits of time: on a loaded machine any single example may be slow, and pytest-timeout bounds the test.
settings.register_profile("default", max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("full", max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("default")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--seed", type=int, default=random.SystemRandom().randrange(1, 10_000), help="of random faults (tests/faults)"
    )
    parser.addoption("--damage-cases", type=int, default=1000, help="of outboxes damaged at random, with the seed")


def pytest_report_header(config: pytest.Config) -> str:
    return f"seed of random faults: {config.getoption('--seed')}"


@pytest.fixture(scope="session")
def prestarted() -> Iterator[Prestarted]:
    """Runs `face-app ...` without the seconds that its imports take."""
    with prestarted_programs() as programs:
        yield programs


@pytest.fixture
def seed(pytestconfig: pytest.Config) -> int:
    return int(pytestconfig.getoption("--seed"))
