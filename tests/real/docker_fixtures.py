"""Fixtures: the engine with its images for the whole run, and a far end for each test, with nothing left of the test before.

Without root or the programs of `.ci/install-consumers` all is skipped; with BOTTLEC_CONSUMERS=required it fails.
"""
import os
import shutil

import pytest

from engine import PATH, Engine
from far_end import FarEnd
from images import Images


VARIABLES = ["BOTTLEC_CODEX_BINS", "BOTTLEC_CLAUDE_BINS", "BOTTLEC_COMPOSE_BINS", "BOTTLEC_MITMDUMP_BINS"]
PROGRAMS = ["docker", "dockerd", "debootstrap", "ip", "iptables", "unshare", "nsenter", "setpriv", "node"]


def missing():
    yield from (variable for variable in VARIABLES if not os.environ.get(variable))
    yield from (program for program in PROGRAMS if not shutil.which(program, path=PATH))
    if os.geteuid() != 0:
        yield "root"


@pytest.fixture(scope="session")
def engine():
    if lacking := list(missing()):
        act = pytest.fail if os.environ.get("BOTTLEC_CONSUMERS") == "required" else pytest.skip
        act("not there: " + ", ".join(lacking))
    with Engine() as engine:
        yield engine


@pytest.fixture(scope="session")
def images(engine):
    return Images(engine)


@pytest.fixture
def far_end(engine, images):
    engine.wipe()
    with FarEnd(engine, images.authority) as far_end:
        yield far_end
    engine.wipe()
