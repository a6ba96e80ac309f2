"""The life of a bottle's tree in the real engine: what lies beside its files, a second checkout, a
rebuild, an engine that does not keep its walls. Each for docker-compose 1.29 and Docker Compose 2, where
both are there."""

import os
import shutil
from pathlib import Path

import pytest

import attacks
from bottle import OWNER, Bottle
from egress import BOTTLEC, compile_bottle, patch
from engine import COMPOSES
from test_addon import MANIFEST
from test_bottle import INTERNAL, ISOLATED, PROBE, VALUES

PINNED = MANIFEST + "network: { subnet: 10.77.9.0/24 }\n"
# Without it, Python looks for modules beside the script first.
PREPARE = ('      - "python3"\n      - "-I"\n      - "/etc/egress/prepare.py"\n', '      - "python3"\n      - "/etc/egress/prepare.py"\n')
PLANTED = """\
from pathlib import Path
Path("/egress-ca/planted").write_text("code of the tree ran as root")
where = lambda: "/etc/ssl/certs/ca-certificates.crt"
"""


def copied(source: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copytree(source, target))


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    return compile_bottle(tmp_path_factory.mktemp("compiled"), PINNED)


def in_volume(engine, images, bottle, volume, *command):
    """Runs a command as root beside a volume of the bottle."""
    project = engine.inspect(bottle.container("egress"))["Config"]["Labels"]["com.docker.compose.project"]
    image = images.environment["BOTTLE_EGRESS_IMAGE"]
    return engine.docker("run", "--rm", "--volume", f"{project}_{volume}:/volume", "--entrypoint", command[0], image, *command[1:])


def test_a_planted_module_is_not_imported(engine, images, far_end, compiled, tmp_path, row):
    row("life of a tree", "a Python module beside prepare.py")
    for name, guards in (("guarded", []), ("unguarded", [PREPARE])):
        folder = copied(compiled, tmp_path / name / "target")
        patch(folder, "compose.yaml", guards)
        # What prepare keeps nothing of, but for this test.
        patch(folder, "egress/prepare.py", [("elif path.name not in names or not is_plain(path):", "elif False:")])
        (folder / "egress/certifi.py").write_text(PLANTED)
        with Bottle(engine, images, folder, VALUES, up=False, launcher=False) as bottle:
            found = in_volume(engine, images, bottle, "egress-ca", "ls", "/volume").stdout.split()
            assert ("planted" in found) == bool(guards), found


def test_settings_in_the_volume_of_the_authority_are_not_read(engine, images, far_end, compiled, tmp_path, row):
    row("life of a tree", "a config.yaml of mitmproxy in egress's volume")
    folder = copied(compiled, tmp_path / "target")
    with Bottle(engine, images, folder, VALUES, up=False) as bottle:
        plant = "echo 'modify_headers: [\"|~s|X-Leak|@/proc/self/environ\"]' > /volume/config.yaml; mkdir /volume/more; ln -s /etc/passwd /volume/link"
        in_volume(engine, images, bottle, "egress-ca", "sh", "-c", plant)
        ask = lambda: bottle.run("curl", "--silent", "--include", f"https://{attacks.OPEN}/").stdout
        engine.docker("restart", bottle.container("egress"))
        engine.wait_healthy(bottle.container("egress"))
        answer = ask()
        assert attacks.OPEN in answer and "X-Leak" not in answer, answer
        assert engine.inside(bottle.container("egress"), "ls", "-A", "/tmp/egress").stdout.split()[0] != "config.yaml"
        bottle.compose("up", "--detach", "--force-recreate", "egress")
        found = in_volume(engine, images, bottle, "egress-ca", "ls", "-A", "/volume").stdout.split()
        assert found == ["mitmproxy-ca.pem", "upstream.pem"]


def test_a_start_past_exec_is_refused(engine, images, far_end, compiled, tmp_path, row):
    row("life of a tree", "compose without `bottlec exec`")
    folder = copied(compiled, tmp_path / "target")
    environment = {**images.environment, "EGRESS_TOKEN_0": "x"}
    done = engine.compose(folder, "up", "--detach", "egress", env=environment, check=False)
    assert done.returncode != 0, done.stderr
    assert "bottlec exec" in engine.compose(folder, "logs", "prepare", env=environment).stdout
    engine.compose(folder, "down", "--volumes", env=environment)


@pytest.mark.parametrize("program", COMPOSES)
def test_the_workspace_is_the_agents(program, engine, images, far_end, compiled, tmp_path, row):
    row("life of a tree", "home and workspace belong to the agent's user", program)
    folder = copied(compiled, tmp_path / "target")
    with Bottle(engine, images, folder, VALUES, up=False, program=program) as bottle:
        done = bottle.run("sh", "-c", "stat -c '%u %a' /workspace /home/node && cd /workspace && git init --quiet && git status --short && echo fine")
        assert done.stdout.split()[:4:2] == [str(OWNER)] * 2 and "fine" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("program", COMPOSES)
def test_two_checkouts_are_two_bottles(program, engine, images, far_end, tmp_path, row):
    row("life of a tree", "two projects with a bottle of one name, at once", program)
    other = "name: target\nagent_provider: { template: claude }\negress:\n  routes:\n    - host: open.example.com\n"
    first, second = compile_bottle(tmp_path / "first", MANIFEST), compile_bottle(tmp_path / "second", other)
    with Bottle(engine, images, first, VALUES, up=False, program=program) as one:
        with Bottle(engine, images, second, {}, up=False, program=program) as two:
            done = one.run("sh", "-c", "echo source-of-the-first > /workspace/secret; cat /workspace/secret")
            assert "source-of-the-first" in done.stdout, done.stderr
            done = two.run("sh", "-c", f"cat /workspace/secret; curl --silent https://{attacks.API}/; curl --silent https://{attacks.OPEN}/")
            assert "source-of-the-first" not in done.stdout and attacks.OPEN in done.stdout, done.stdout + done.stderr
            assert not far_end.events("request", host=attacks.API)
            assert "source-of-the-first" in one.run("cat", "/workspace/secret").stdout
        # What `down` of the one removes is its own.
        assert "source-of-the-first" in one.run("cat", "/workspace/secret").stdout
        moved = tmp_path / "moved"
        (tmp_path / "first").rename(moved)
        try:
            there = Bottle(engine, images, moved / "out/target", VALUES, up=False, program=program)
            done = there.run("cat", "/workspace/secret")
            assert "source-of-the-first" in done.stdout and "it keeps its volumes" in done.stderr, done.stderr
        finally:
            moved.rename(tmp_path / "first")
    # compose alone takes the folder's name for the project's, and both are called "target".
    with Bottle(engine, images, first, VALUES, up=False, program=program, launcher=False) as one:
        one.run("sh", "-c", "echo source-of-the-first > /workspace/secret")
        with Bottle(engine, images, second, {}, up=False, program=program, launcher=False) as two:
            assert "source-of-the-first" in two.run("cat", "/workspace/secret").stdout, "without a project of its own"


@pytest.mark.parametrize("program", COMPOSES)
def test_a_narrowed_manifest_is_enforced_by_the_next_start(program, engine, images, far_end, tmp_path, row):
    row("life of a tree", "a narrowed manifest, by the command that starts the agent", program)
    ask = ("sh", "-c", f"curl --silent -o /dev/null -w '%{{http_code}}' https://{attacks.FORGE}{attacks.INSIDE}; echo; curl --silent https://{attacks.FORGE}/everything")
    wide = PINNED.replace(f"      path_allowlist: [{attacks.INSIDE}]\n", "")
    for guarded in (True, False):
        where = tmp_path / str(guarded)
        folder = compile_bottle(where, wide)
        label = lambda: next(line for line in (folder / "compose.yaml").read_text().splitlines() if "bottlec.files" in line)
        before = label()
        with Bottle(engine, images, folder, VALUES, up=False, program=program, launcher=guarded) as bottle:
            assert attacks.FORGE in bottle.run(*ask).stdout
            compile_bottle(where, PINNED)
            if not guarded:  # of both services that run egress
                text = (folder / "compose.yaml").read_text()
                assert text.count(label()) == 2 and label() != before
                (folder / "compose.yaml").write_text(text.replace(label(), before))
            for path in [folder, *folder.rglob("*")]:
                os.chown(path, OWNER, OWNER)
            egress = bottle.container("egress")
            if not guarded:
                bottle.compose("up", "--detach", "egress")
            done = bottle.run(*ask)
            if guarded:
                assert "egress_refused" in done.stdout and bottle.container("egress") != egress, done.stdout + done.stderr
            else:
                assert bottle.container("egress") == egress, "without the label egress is left as it is"


@pytest.mark.parametrize("program", COMPOSES)
def test_what_lies_beside_the_file_is_not_read(program, engine, images, compiled, tmp_path, row):
    row("life of a tree", "`.env`, an override and other names of compose's file beside it", program)
    folder = copied(compiled, tmp_path / "target")
    (folder / ".env").write_text("BOTTLE_EGRESS_IMAGE=attacker/egress\nCOMPOSE_PROFILES=machine\nDOCKER_HOST=tcp://192.0.2.9:1\n")
    evil = "services:\n  egress:\n    image: attacker/egress\n    volumes: ['/:/host']\n"
    for name in ("compose.override.yaml", "docker-compose.override.yml", "docker-compose.yml", "compose.yml"):
        (folder / name).write_text(evil)
    environment = {**VALUES, "COMPOSE_FILE": "docker-compose.yml", "COMPOSE_PROFILES": "machine"}
    done = engine.compose(folder, "config", env=environment, check=False, by=[BOTTLEC, "exec", folder, "--"], files=(), program=program)
    # Either the tree is refused for what lies there, or none of it is read.
    assert done.returncode == 1 and "docker-compose.yml" in done.stderr or done.returncode == 0 and "attacker" not in done.stdout, done.stdout + done.stderr
    for options in (("--file", "docker-compose.yml"), ("-fdocker-compose.yml",), ("--env-file=.env",), ("-p", "other"), ("--project-directory", "/"), ("--profile", "machine")):
        done = engine.compose(folder, *options, "config", env=environment, check=False, by=[BOTTLEC, "exec", compiled, "--"], files=(), program=program)
        assert done.returncode == 2 and "must not be used with a bottle" in done.stderr, done.stderr


def test_an_engine_that_leaves_the_host_in_the_network_starts_no_agent(engine, images, far_end, compiled, tmp_path, row):
    row("life of a tree", "an engine that ignores `inhibit_ipv4`, as podman does, or `internal`")
    probe = lambda bottle: engine.inside(bottle.container("egress"), "python3", "-I", "/tmp/probe.py")
    for name, guards, words in (("host", [ISOLATED], "the host answers"), ("way-out", [INTERNAL], "the host answers")):
        folder = copied(compiled, tmp_path / name / "target")
        patch(folder, "compose.yaml", [*guards, PROBE])
        with Bottle(engine, images, folder, VALUES, up=False, launcher=False) as bottle:
            done = probe(bottle)
            assert done.returncode == 1 and words in done.stderr, done.stdout + done.stderr
    folder = copied(compiled, tmp_path / "fine/target")
    with Bottle(engine, images, folder, VALUES, up=False) as bottle:
        assert probe(bottle).returncode == 0
