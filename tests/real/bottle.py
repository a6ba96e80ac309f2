"""A compiled bottle in the engine: `docker-compose up` by way of `bottlec exec`, as a user starts it."""

import json
import os
from pathlib import Path

from egress import BOTTLEC, as_built
from ruamel.yaml import YAML

# As if a user had built the tree who is nobody in the image; root's agent would be root.
OWNER = 1001


class Bottle:
    """Comes up with the block and goes with it. `values` are the host's variables. Without `up`, only
    the proxies come up, and `run` starts the agent. Without `launcher`, `bottlec exec` is left out and compose
    gets what `exec` would give it. A folder of which `keep` has a copy was edited, which `exec` refuses: it
    gets what `exec` gives to the copy."""

    def __init__(self, engine, images, folder: Path, values: dict, up: bool = True, launcher: bool = True, program: str | None = None):
        self.engine, self.folder, self.services, self.program = engine, folder, [] if up else ["egress"], program
        self.built = as_built(folder) if as_built(folder).exists() else folder
        self.launcher = [BOTTLEC, "exec", self.built, "--"] if launcher else []
        if launcher and self.built != folder:
            self.launcher += ["sh", "-c", 'cd "$0" && exec "$@"', folder]
        self.environment = {**images.environment, **({} if launcher else as_by_exec(folder, values)), **values}

    def __enter__(self):
        for folder in {self.folder, self.built}:
            for path in [folder, *folder.rglob("*")]:
                os.chown(path, OWNER, OWNER)
        try:
            self.compose("up", "--detach", *self.services)
            self.engine.wait_healthy(self.container("egress"), 90)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.compose("down", "--volumes", "--timeout", "1", check=False)

    def compose(self, *words, check=True, **more):
        if self.launcher:  # as the tokens' owner, once: `exec` asks on the terminal, and here is none
            self.engine.start(BOTTLEC, "allow", "--yes", "--quiet", self.built, env=self.environment)
        files = () if self.launcher else ("compose.yaml",)
        return self.engine.compose(
            self.folder, *words, env=self.environment, check=check, by=self.launcher, files=files, program=self.program, **more
        )

    def container(self, service):
        return self.compose("ps", "--quiet", service).stdout.strip()

    def logs(self, service):
        return self.engine.logs(self.container(service))

    def agent(self, *command, **more):
        """Runs a command in the running agent's container, as its user."""
        return self.engine.inside(self.container("agent"), *command, **more)

    def run(self, *command, **more):
        """Runs the agent's service anew with another command, its entrypoint included."""
        return self.compose("run", "--rm", "-T", "agent", *command, check=False, **more)


def as_by_exec(folder: Path, values: dict) -> dict:
    """What `bottlec exec` gives the proxies: tokens, what they are for, the owner's ids, the checkout."""
    index = json.loads((folder / "bottle.json").read_text())
    tokens = {entry["slot"]: values[entry["token_ref"]] for entry in index["slots"] if entry["token_ref"] in values}
    slots = YAML(typ="safe").load((folder / "egress/routes.yaml").read_text()).get("slots")
    binding = {"EGRESS_SLOTS": slots} if slots else {}
    return {"BOTTLE_UID": str(OWNER), "BOTTLE_GID": str(OWNER), "BOTTLE_CHECKOUT": "edited", **tokens, **binding}
