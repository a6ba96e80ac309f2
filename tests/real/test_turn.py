"""A turn of each client in its compiled bottle, and the three failures that the reference system hit,
each brought back by taking our answer to it out of the compiled files."""

import base64
import contextlib
import json
import os
import re
import subprocess
import threading
import time
from pathlib import Path

import pytest

from bottle import Bottle
from egress import BOTTLEC, binding, compile_bottle, keep, patch, wait_for

TEXT = "spoken by the far end"
EMAIL = "somebody.real@example.com"
ACCOUNT = "11111111-2222-4333-8444-555555555555"
CLAUDE_TOKEN = "sk-ant-oat01-real-5f0c93b1d2"
MANIFESTS = {
    "codex": "agent_provider: { template: codex, forward_host_credentials: true }\n",
    "claude": "agent_provider: { template: claude, auth_token: CLAUDE_TOKEN }\n",
}
TURNS = {"codex": ["exec", "--skip-git-repo-check", "hi"], "claude": ["-p", "hi"]}
SERVICES = {"codex": "chatgpt.com", "claude": "api.anthropic.com"}


def clients():
    """The agents that bottlec knows, each with the same name as its program."""
    listed = subprocess.run([BOTTLEC, "providers"], check=True, capture_output=True, text=True).stdout
    return [line.split()[0] for line in listed.splitlines() if not line.startswith(" ")]


def releases():
    """(client, release) of each client that `.ci/install-consumers` put there."""
    found = []
    for client in clients():
        for program in filter(None, os.environ.get(f"BOTTLEC_{client.upper()}_BINS", "").split(":")):
            package = Path(program).resolve().parents[1] / "package.json"
            found.append((client, json.loads(package.read_text())["version"]))
    return list(dict.fromkeys(found)) or [(client, "none") for client in clients()]


@pytest.mark.parametrize("client", clients())
def test_every_agent_has_its_row(client):
    tables = {"MANIFESTS": MANIFESTS, "TURNS": TURNS, "SERVICES": SERVICES, "OWN_LOGINS": OWN_LOGINS}
    missing = [name for name, table in tables.items() if client not in table]
    assert not missing, f"the agent `{client}` has no row in {', '.join(missing)}: it takes no turn"


def part(value: dict) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def jwt(seconds: int, signature: str) -> str:
    claim = {"chatgpt_account_id": ACCOUNT, "chatgpt_plan_type": "plus", "chatgpt_user_id": "user-real"}
    claims = {"exp": int(time.time()) + seconds, "email": EMAIL, "https://api.openai.com/auth": claim}
    return f"{part({'alg': 'RS256'})}.{part(claims)}.{signature}"


@pytest.fixture
def host(tmp_path):
    """The host: a Codex login and a Claude token. `tokens` must never reach the agent."""
    access = jwt(86400, "real-signature-of-the-access-token")
    tokens = {
        "id_token": jwt(86400, "real-signature-of-the-id-token"),
        "access_token": access,
        "refresh_token": "real-refresh-token",
        "account_id": ACCOUNT,
    }
    login = {"auth_mode": "chatgpt", "OPENAI_API_KEY": None, "tokens": tokens, "last_refresh": "2026-11-01T00:00:00Z"}
    (tmp_path / "login").mkdir()
    (tmp_path / "login/auth.json").write_text(json.dumps(login))
    values = {"CODEX_HOME": str(tmp_path / "login"), "CLAUDE_TOKEN": CLAUDE_TOKEN}
    secrets = [part.encode() for token in (access, tokens["id_token"]) for part in token.split(".")[2:]]
    secrets += [access.encode(), b"real-refresh-token", CLAUDE_TOKEN.encode(), EMAIL.encode()]
    return values, {"codex": access, "claude": CLAUDE_TOKEN}, secrets


def compiled(folder, client, values):
    return compile_bottle(folder / client, MANIFESTS[client], environment=values)


def processes_of(container: str):
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if container in (process / "cgroup").read_text():
                yield process
        except OSError:
            pass


WINDOW = 2 << 20  # bytes; of a page map, one 8-byte entry for each 4 KiB page
ABSENT = bytes(WINDOW // 4096 * 8)


def memory_holds(process: Path, texts: list[bytes]) -> set[bytes]:
    """Which of the texts are somewhere in the memory or environment of a process."""
    found = {text for text in texts if text in (process / "environ").read_bytes()}
    regions = re.findall(r"^([0-9a-f]+)-([0-9a-f]+) r", (process / "maps").read_text(), re.M)
    with (process / "mem").open("rb", 0) as memory, (process / "pagemap").open("rb", 0) as pages:
        for start, end in regions:
            at, end, tail = int(start, 16), int(end, 16), b""
            while at < end:
                size = min(WINDOW, end - at)
                pages.seek(at // 4096 * 8)
                if pages.read(size // 4096 * 8) != ABSENT[: size // 4096 * 8]:
                    try:
                        memory.seek(at)
                        piece = tail + memory.read(size)
                    except OSError:
                        break
                    found |= {text for text in texts if text in piece}
                    tail = piece[-200:]
                at += size
    return found


@pytest.mark.parametrize("client, release", releases())
def test_turn(client, release, engine, images, far_end, host, tmp_path, row):
    row("turn: agent, egress, " + ("pipelock" if images.pipelock_is_real else "a stand-in for pipelock") + ", far end", client, release)
    values, tokens, secrets = host
    far_end.configure({"text": TEXT, "pause": 1.5, "require": {SERVICES[client]: "Bearer " + tokens[client]}})
    folder = compiled(tmp_path, client, values)
    with Bottle(engine, images, folder, values, up=False) as bottle:
        result = {}
        command = [f"/opt/{client}-{release}/bin/{client}", *TURNS[client]]
        # Not removed at its end, so that its files can be looked at.
        arguments = ("run", "--name", "turn", "-T", "agent", *command)
        turn = threading.Thread(target=lambda: result.update(done=bottle.compose(*arguments, check=False)))
        turn.start()
        # The answer has begun: the agent is in the middle of its turn.
        wait_for(lambda: far_end.events("request", host=SERVICES[client]) or not turn.is_alive(), "a request", 60)
        placeholder, found = b"egress-placeholder", set()
        container = engine.docker("ps", "--quiet", "--no-trunc", "--filter", "name=turn").stdout.strip()
        for process in processes_of(container):
            with contextlib.suppress(OSError):  # it has ended
                found |= memory_holds(process, [*secrets, placeholder])
        turn.join(120)
        done = result["done"]
        assert done.returncode == 0 and TEXT in done.stdout, done.stdout + done.stderr + bottle.logs("egress")
        arrived = far_end.events("request", host=SERVICES[client])
        given = {value for entry in arrived for name, value in entry["headers"] if name.lower() == "authorization"}
        assert given == {"Bearer " + tokens[client]}, "the service saw the real token and no other"
        assert {entry["host"] for entry in far_end.events("request")} == {SERVICES[client]}

        # Looking through memory finds what is there, and it is not the tokens.
        assert found == {placeholder}, found
        texts = secrets + [base64.b64encode(secret) for secret in secrets]
        for place in ("/", "/home/node", "/workspace", "/bottle"):
            source = ["export", "turn"] if place == "/" else ["cp", f"turn:{place}", "-"]
            if place == "/bottle":
                content = b"".join(path.read_bytes() for path in (folder / "agent").rglob("*") if path.is_file())
            else:
                content = engine.docker_bytes(*source)
            assert not [text for text in texts if text in content], f"the agent's files in {place}"
        assert not [text for text in texts if text.decode() in json.dumps(engine.inspect("turn"))], "its environment and arguments"
        assert not [text for text in texts if text.decode() in bottle.logs("egress") + bottle.logs("pipelock")], "the logs"


LOGIN = {"claudeAiOauth": {"accessToken": "own-login", "refreshToken": "own-refresh", "expiresAt": 0, "scopes": ["user:inference", "user:profile"]}}
# What a client does with a login of its own, and what must arrive where.
OWN_LOGINS = {
    "codex": (["sh", "-c", "timeout 20 PROGRAM login --device-auth; true"], [("auth.openai.com", "/api/accounts/deviceauth/usercode")]),
    "claude": (
        ["sh", "-c", f"mkdir -p ~/.claude && echo '{json.dumps(LOGIN)}' > ~/.claude/.credentials.json && PROGRAM -p hi; true"],
        [("platform.claude.com", "/v1/oauth/token"), ("api.anthropic.com", "/v1/messages")],
    ),
}


@pytest.mark.parametrize("client, release", releases())
def test_login_inside_the_bottle(client, release, engine, images, far_end, tmp_path, row):
    row("login inside the bottle: what it asks for arrives", client, release)
    far_end.configure({"text": TEXT})
    folder = compile_bottle(tmp_path / client, f"agent_provider: {{ template: {client} }}\n")
    command, wanted = OWN_LOGINS[client]
    with Bottle(engine, images, folder, {}, up=False) as bottle:
        done = bottle.run(*[word.replace("PROGRAM", f"/opt/{client}-{release}/bin/{client}") for word in command])
        log = bottle.logs("egress")
    arrived = {(entry["host"], entry["target"].split("?")[0]) for entry in far_end.events("request")}
    assert set(wanted) <= arrived, (arrived, done.stdout, done.stderr, log)
    assert '"rule": "path"' not in log, log


TUI = """
import fcntl, os, pty, select, struct, sys, termios, time
pid, terminal = pty.fork()
if not pid:
    os.environ["TERM"] = "xterm-256color"
    time.sleep(0.5)
    os.execvp(sys.argv[1], sys.argv[1:])
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
answers = {b"\\x1b[6n": b"\\x1b[1;1R", b"\\x1b[c": b"\\x1b[?62c", b"\\x1b]10;?": b"\\x1b]10;rgb:ffff/ffff/ffff\\x1b\\\\", b"\\x1b]11;?": b"\\x1b]11;rgb:0000/0000/0000\\x1b\\\\"}
end, seen = time.monotonic() + 20, b""
while time.monotonic() < end:
    if select.select([terminal], [], [], 0.5)[0]:
        try:
            piece = os.read(terminal, 65536)
        except OSError:
            break
        seen += piece
        for question, answer in answers.items():  # about the cursor, the terminal's kind and its colours
            if question in piece:
                os.write(terminal, answer)
sys.stdout.write(seen.decode(errors="replace"))
"""


def screen_of(bottle, program):
    """What the client shows on a terminal."""
    done = bottle.run("python3", "-c", TUI, program, timeout=120)
    return re.sub(r"\x1b\[[0-9;?<>]*[A-Za-z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b.|\s", "", done.stdout)


CODEX_RELEASES = [release for client, release in releases() if client == "codex"]


@pytest.mark.parametrize("release", CODEX_RELEASES)
def test_failure_refresh_and_sign_in(release, engine, images, far_end, host, tmp_path, row):
    row("failure of the reference system", "refresh and the sign-in screen when the dummy's exp lapses", release)
    values, tokens, _ = host
    program = f"/opt/codex-{release}/bin/codex"
    far_end.configure({"text": TEXT, "require": {"chatgpt.com": "Bearer " + tokens["codex"]}})  # oauth/token says 401
    fixed = compiled(tmp_path / "fixed", "codex", values)
    broken = compiled(tmp_path / "broken", "codex", values)
    # The dummy of the reference system had an exp of its own, and the sign-in host a route.
    dummy = broken / "agent/home/.codex/auth.json"
    keep(broken)
    login = json.loads(dummy.read_text())
    for name in ("id_token", "access_token"):
        login["tokens"][name] = jwt(-60, "dummy")
    dummy.write_text(json.dumps(login))
    wire = (broken / "egress/routes.yaml").read_text()
    (broken / "egress/routes.yaml").write_text(wire + '  - host: "auth.openai.com"\n')
    pipelock = (broken / "pipelock/pipelock.yaml").read_text()
    both, listed = re.subn(r'( +)- "chatgpt.com"\n', r'\1- "auth.openai.com"\n\1- "chatgpt.com"\n', pipelock)
    assert listed == 2
    (broken / "pipelock/pipelock.yaml").write_text(both)
    patch(broken, "compose.yaml", [])

    refusal = subprocess.run([BOTTLEC, "exec", broken, "--", "/bin/true"], env=values, capture_output=True, text=True)
    assert refusal.returncode == 1 and "build" in refusal.stderr, "exec notices such a dummy"
    for folder, values, refreshes in ((fixed, values, False), (broken, {"EGRESS_TOKEN_0": tokens["codex"], **binding(broken)}, True)):
        far_end.forget()
        with Bottle(engine, images, folder, values, up=False, launcher=not refreshes) as bottle:
            done = bottle.run(program, *TURNS["codex"])
            screen = screen_of(bottle, program)
            asked = far_end.events("request", host="auth.openai.com", target="/oauth/token")
            assert bool(asked) == refreshes, (done.stderr, asked)
            assert ("refreshtoken" in re.sub(r"\s", "", done.stderr)) == refreshes, done.stderr
            signs_in = "SigninwithChatGPT" in screen
            # 0.135.0 goes on with the old token, also in the terminal.
            assert signs_in == (refreshes and release != "0.135.0"), screen[-2000:]
            assert signs_in or "OpenAICodex" in screen, "the prompt is there: " + screen[-2000:]


@pytest.mark.parametrize("release", CODEX_RELEASES)
def test_failure_tls(release, engine, images, far_end, host, tmp_path, row):
    row("failure of the reference system", "TLS fails without CODEX_CA_CERTIFICATE", release)
    values, tokens, _ = host
    far_end.configure({"text": TEXT, "require": {"chatgpt.com": "Bearer " + tokens["codex"]}})
    for name, trusts in (("fixed", True), ("broken", False)):
        folder = compiled(tmp_path / name, "codex", values)
        if not trusts:
            # SSL_CERT_FILE, which names our bundle too, would serve Codex as well.
            lines = ['      "CODEX_CA_CERTIFICATE": "/bottle/ca/egress.pem"\n', '      "SSL_CERT_FILE": "/bottle/ca/bundle.pem"\n']
            patch(folder, "compose.yaml", [(line, "") for line in lines])
        far_end.forget()
        with Bottle(engine, images, folder, values, up=False) as bottle:
            done = bottle.run(f"/opt/codex-{release}/bin/codex", *TURNS["codex"])
            assert (TEXT in done.stdout) == trusts, done.stdout + done.stderr
            assert bool(far_end.events("request")) == trusts


@pytest.mark.parametrize("release", CODEX_RELEASES)
def test_failure_refused_then_limited(release, engine, images, far_end, host, tmp_path, row):
    row("failure of the reference system", "403 then 429 without passthrough", release)
    if not images.pipelock_is_real:
        pytest.skip("pipelock is not there: BOTTLEC_PIPELOCK_BIN is not set")
    values, tokens, _ = host
    far_end.configure({"text": TEXT, "require": {"chatgpt.com": "Bearer " + tokens["codex"]}})
    folder = compiled(tmp_path, "codex", values)
    keep(folder)
    file = (folder / "pipelock/pipelock.yaml").read_text()
    head, tail = file.split("passthrough_domains:\n", 1)
    (folder / "pipelock/pipelock.yaml").write_text(head + "passthrough_domains: []\n" + tail.split("\n", 2)[2])
    with Bottle(engine, images, folder, values, up=False) as bottle:
        done = bottle.run(f"/opt/codex-{release}/bin/codex", *TURNS["codex"])
        log = bottle.logs("pipelock")
        assert TEXT not in done.stdout and "header" in log and not far_end.events("request"), done.stdout + log
