"""A compiled bottle in the engine: `docker-compose up` by way of `bottlec exec`, as a user starts it."""

import contextlib
import os
import subprocess
from pathlib import Path

from egress import BOTTLEC, wait_for
from engine import PATH


class Bottle:
    """Comes up with the block and goes with it. `values` are the host's variables."""

    def __init__(self, engine, images, folder: Path, values: dict):
        self.engine, self.folder = engine, folder
        self.environment = {**images.environment, **values}

    def __enter__(self):
        # As if a user had built it: root's agent would be root.
        for path in [self.folder, *self.folder.rglob("*")]:
            os.chown(path, 1000, 1000)
        self.compose("up", "--detach")
        self.wait()
        return self

    def __exit__(self, *_):
        self.compose("down", "--volumes", check=False)

    def compose(self, *words, check=True, **more):
        return self.engine.compose(self.folder, *words, env=self.environment, check=check, **more)

    def wait(self):
        wait_for(lambda: self.state("egress") == "healthy", "a healthy egress: " + self.folder.name, 90)

    def state(self, service):
        with contextlib.suppress(RuntimeError, KeyError, IndexError):
            return self.engine.inspect(self.container(service))["State"]["Health"]["Status"]

    def container(self, service):
        return self.engine.container(self.folder, service, env=self.environment)

    def agent(self, *command, **more):
        """Runs a command in the running agent's container, as its user."""
        return self.engine.inside(self.container("agent"), *command, **more)

    def run(self, *command, **more):
        """Runs the agent's service anew with another command, its entrypoint included."""
        return self.compose("run", "--rm", "-T", "agent", *command, check=False, **more)
