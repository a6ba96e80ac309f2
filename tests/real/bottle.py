"""A compiled bottle in the engine: `docker-compose up` by way of `bottlec exec`, as a user starts it."""

import os
from pathlib import Path

from egress import BOTTLEC, as_built

# As if a user had built the tree who is nobody in the image; root's agent would be root.
OWNER = 1001


class Bottle:
    """Comes up with the block and goes with it. `values` are the host's variables. Without `up`, only
    the proxies come up, and `run` starts the agent. Without `launcher`, `bottlec exec` is left out and
    `values` are what compose gets, with the owner's ids, which `exec` takes from the tree. A folder of
    which `keep` has a copy was edited, and gets what `exec` gives to the copy."""

    def __init__(self, engine, images, folder: Path, values: dict, up: bool = True, launcher: bool = True):
        self.engine, self.folder, self.services = engine, folder, [] if up else ["egress"]
        self.built = as_built(folder) if as_built(folder).exists() else folder
        self.launcher = [BOTTLEC, "exec", self.built, "--"] if launcher else []
        if launcher and self.built != folder:
            self.launcher += ["sh", "-c", 'cd "$0" && exec "$@"', folder]
        ids = {} if launcher else {"BOTTLE_UID": str(OWNER), "BOTTLE_GID": str(OWNER)}
        self.environment = {**images.environment, **ids, **values}

    def __enter__(self):
        for folder in {self.folder, self.built}:
            for path in [folder, *folder.rglob("*")]:
                os.chown(path, OWNER, OWNER)
        self.compose("up", "--detach", *self.services)
        self.engine.wait_healthy(self.container("egress"), 90)
        return self

    def __exit__(self, *_):
        self.compose("down", "--volumes", "--timeout", "1", check=False)

    def compose(self, *words, check=True, **more):
        if self.launcher:  # as the tokens' owner, once: `exec` asks on the terminal, and here is none
            self.engine.start(BOTTLEC, "allow", "--yes", "--quiet", self.folder, env=self.environment)
        return self.engine.compose(self.folder, *words, env=self.environment, check=check, by=self.launcher, **more)

    def container(self, service):
        return self.engine.container(self.folder, service, env=self.environment)

    def logs(self, service):
        return self.engine.logs(self.container(service))

    def agent(self, *command, **more):
        """Runs a command in the running agent's container, as its user."""
        return self.engine.inside(self.container("agent"), *command, **more)

    def run(self, *command, **more):
        """Runs the agent's service anew with another command, its entrypoint included."""
        return self.compose("run", "--rm", "-T", "agent", *command, check=False, **more)
