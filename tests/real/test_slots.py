"""No order of events sends a token to a host that the manifest does not name for it: the compiled addon in this
process, as mitmproxy calls it, and the real bottlec between.

Each sequence is drawn by chance: the manifest is edited and built; egress notices by itself or by SIGHUP; the engine
starts it again with the environment that it was created with; it is created again through `bottlec exec`, or from a
shell that an `exec` opened some builds ago. After each event every host is asked for.
"""

import asyncio
import functools
import itertools
import os
import random
import shutil
import subprocess
from dataclasses import dataclass

import pytest
from mitmproxy.addons.next_layer import NextLayer
from mitmproxy.addons.onboarding import Onboarding
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.addons.script import load_script
from mitmproxy.test import taddons, tflow
from ruamel.yaml import YAML

from egress import BOTTLEC, compile_bottle, rewrite

SEQUENCES = int(os.environ.get("BOTTLEC_SLOT_SEQUENCES", 1000))
SEED = int(os.environ.get("BOTTLEC_SLOT_SEED", 20261124))
PROVIDER, HOSTS = "api.anthropic.com", ("a.example", "b.example")
PATH = b"/v1/messages"  # one that the provider's route lets through
REFS = ("TOKEN_A", "TOKEN_B")
VALUES = {ref: f"the-value-of-{ref}" for ref in REFS}


@dataclass(frozen=True)
class Manifest:
    """The provider's token, and each host of the manifest with its token, in their order."""

    auth_token: str | None
    routes: tuple[tuple[str, str | None], ...]

    def text(self) -> str:
        sign_in = f", auth_token: {self.auth_token}" if self.auth_token else ""
        lines = ["name: target", f"agent_provider: {{ template: claude{sign_in} }}"]
        lines += ["egress:", "  routes:"] if self.routes else []
        for host, ref in self.routes:
            lines.append(f"    - host: {host}")
            lines += [f"      auth: {{ scheme: Bearer, token_ref: {ref} }}"] if ref else []
            lines.append("      pipelock: { tls_passthrough: true }")
        return "\n".join(lines) + "\n"

    def pairs(self) -> dict[str, str]:
        """Which token each host is for."""
        named = dict(self.routes) | ({PROVIDER: self.auth_token} if self.auth_token else {})
        return {host: ref for host, ref in named.items() if ref}

    def edited(self, chance: random.Random) -> "Manifest":
        routes = list(self.routes)
        free = [host for host in HOSTS if host not in dict(routes)]
        match chance.choice(["add", "remove", "reorder", "token", "sign-in"]):
            case "add" if free:
                routes.insert(chance.randint(0, len(routes)), (chance.choice(free), chance.choice((*REFS, None))))
            case "remove" if routes:
                del routes[chance.randrange(len(routes))]
            case "reorder":
                chance.shuffle(routes)
            case "token" if routes:
                at = chance.randrange(len(routes))
                routes[at] = (routes[at][0], chance.choice((*REFS, None)))
            case _:
                return Manifest(chance.choice((*REFS, None)), self.routes)
        return Manifest(self.auth_token, tuple(routes))


class World:
    """What lies in the bottle's folder, what runs as egress, and what shells are open."""

    def __init__(self, folder):
        self.folder = folder
        self.addon = load_script(str(folder / "addon.py"))
        # Few files are read often.
        self.addon.read_routes = functools.cache(self.addon.read_routes)
        mitmproxy = taddons.context(Proxyserver(), NextLayer(), Onboarding(), self.addon.Egress())
        files = {"routes": "egress/routes.yaml", "pipelock": "pipelock/pipelock.yaml"}
        mitmproxy.options.update(**{name: str(folder / file) for name, file in files.items()})
        self.built = self.loaded = Manifest(None, ())

    @functools.cache
    def tree(self, manifest: Manifest):
        """The files that are built from a manifest, and the environment that `exec` makes with them."""
        folder = self.folder / f"builds/{abs(hash(manifest))}"
        bottle = compile_bottle(folder, manifest.text())
        # What is agreed to holds for this folder; it is kept apart from the machine's own.
        given = {**VALUES, "HOME": str(self.folder / "home")}
        subprocess.run([BOTTLEC, "allow", "--yes", "--quiet", bottle], env=given, check=True)
        command = [BOTTLEC, "exec", bottle, "--", "/usr/bin/env"]
        printed = subprocess.run(command, env=given, check=True, capture_output=True, text=True).stdout
        environment = dict(line.split("=", 1) for line in printed.splitlines())
        compose = YAML(typ="safe").load((bottle / "compose.yaml").read_text())
        return bottle, environment, list(compose["services"]["egress"].get("environment") or {})

    def build(self, manifest: Manifest):
        self.built = manifest
        # pipelock's file stays: another would have egress refuse everything, and hide what is asked here.
        rewrite(self.folder / "egress/routes.yaml", (self.tree(manifest)[0] / "egress/routes.yaml").read_text())

    def shell(self) -> dict[str, str]:
        """`bottlec exec DIR -- sh`."""
        return self.tree(self.built)[1]

    def create(self, shell: dict[str, str]):
        """`docker compose up --force-recreate egress` there: compose hands on what its file names."""
        self.environment = {name: shell[name] for name in self.tree(self.built)[2] if name in shell}
        self.start()

    def start(self):
        """mitmdump, with the environment of its container."""
        for name in [name for name in os.environ if name.startswith("EGRESS_")]:
            del os.environ[name]
        os.environ.update(self.environment)
        self.egress = self.addon.Egress()
        self.egress.running()
        self.loaded = self.built

    def notice(self):
        """The look that egress takes each second."""
        self.egress.check()
        self.loaded = self.built

    def hang_up(self):
        self.egress.reload()
        self.loaded = self.built

    def sent(self, host: str) -> str | None:
        """The name of the token that a request to the host carries on."""
        flow = tflow.tflow(req=tflow.treq(host=host, port=443, scheme=b"https", authority=b"", path=PATH))
        flow.request.headers.clear()
        flow.request.headers["Host"] = host
        flow.client_conn.sni = host
        self.egress.requestheaders(flow)
        carried = [ref for ref, value in VALUES.items() if value in str(flow.request.headers.fields)]
        assert len(carried) < 2
        assert not carried or flow.response is None, "a refused request goes nowhere"
        return carried[0] if carried else None


def run(world: World, chance: random.Random) -> list[str]:
    """One sequence: what happened, and what was sent where it should not have been."""
    world.build(Manifest(chance.choice((*REFS, None)), ()).edited(chance).edited(chance).edited(chance))
    shells = [world.shell()]
    world.create(shells[0])
    happened, wrong = [], []
    for _ in range(6):
        event = chance.choice(["build", "build", "notice", "hang up", "restart", "exec", "old shell", "open shell"])
        match event:
            case "build":
                world.build(world.built.edited(chance))
            case "notice":
                world.notice()
            case "hang up":
                world.hang_up()
            case "restart":
                world.start()
            case "exec":
                world.create(world.shell())
            case "old shell":
                world.create(chance.choice(shells))
            case "open shell":
                shells.append(world.shell())
        happened.append(f"{event}: {world.built}")
        for host in (PROVIDER, *HOSTS):
            ref = world.sent(host)
            if ref and world.loaded.pairs().get(host) != ref:
                wrong.append(f"{host} gets {ref} after {happened}")
    # It is not that nothing is ever sent.
    world.create(world.shell())
    assert {host: ref for host in (PROVIDER, *HOSTS) if (ref := world.sent(host))} == world.built.pairs()
    return wrong


def wrong_of(folder, count: int) -> list[str]:
    """What went wrong in so many sequences with the addon in the folder."""
    before = dict(os.environ)

    async def all_of_them():
        world = World(folder)
        found = (run(world, random.Random(SEED + number)) for number in range(count))
        return list(itertools.chain.from_iterable(found))

    try:
        return asyncio.run(all_of_them())
    finally:
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture
def folder(tmp_path):
    """A bottle's folder, with the addon as its container has it: mounted, and the copy that runs."""
    bottle = compile_bottle(tmp_path / "first", Manifest(None, ()).text())
    for name in ("egress", "pipelock"):
        (tmp_path / name).mkdir()
    shutil.copy(bottle / "egress/addon.py", tmp_path / "addon.py")
    shutil.copy(bottle / "pipelock/pipelock.yaml", tmp_path / "pipelock/pipelock.yaml")
    return tmp_path


def test_no_order_of_events_sends_a_token_elsewhere(folder, row):
    row("egress", f"no order of events sends a token elsewhere ({SEQUENCES} sequences)")
    shutil.copy(folder / "addon.py", folder / "egress/addon.py")
    assert not wrong_of(folder, SEQUENCES)


def test_without_the_fingerprint_a_token_goes_elsewhere(folder, row):
    row("egress", "without the fingerprint a token goes elsewhere")
    text = (folder / "addon.py").read_text()
    guard = 'self.slots == os.environ.get("EGRESS_SLOTS")'
    assert text.count(guard) == 1
    (folder / "addon.py").write_text(text.replace(guard, "True"))
    shutil.copy(folder / "addon.py", folder / "egress/addon.py")
    wrong = wrong_of(folder, 40)
    assert any("restart" in case for case in wrong) and any("old shell" in case for case in wrong), wrong
