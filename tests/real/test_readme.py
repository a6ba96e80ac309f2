"""The README, typed: each of its commands, in order, in a shell on a terminal in a fresh clone, as somebody does who has never
seen bottlec. Around it are the suite's engine, its images by the variables that docs/running.md names, and a host with a
Codex login. The release is compiled without its optimizations, which take minutes and change nothing here."""

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import termios
import time
from pathlib import Path

import pytest

from bottle import OWNER
from egress import ROOT
from engine import PATH
from test_turn import CLAUDE_TOKEN, SERVICES, TEXT, host  # noqa: F401  a fixture

FOLDER = ROOT / "target" / "readme"
# What is not typed here, and who types it.
ELSEWHERE = {"cargo test --locked": "in .ci/run", "tests/real/run": "what runs this"}
# What ends otherwise than with 0, and why.
ENDS = {"bottlec why": 1, "bottlec diff": 1}  # the starter has no such route; the two bottles of the walk are new
# What an agent shows once it can be asked something.
PROMPTS = {"claude": "for shortcuts|/effort|Welcome back", "codex": "OpenAI Codex"}
TRANSCRIPT = FOLDER / "transcript.txt"
# Questions of a terminal program, about the cursor, the terminal's kind and its colours, and a terminal's answers.
ANSWERS = {b"\x1b[6n": b"\x1b[1;1R", b"\x1b[c": b"\x1b[?62c", b"\x1b]10;?": b"\x1b]10;rgb:ffff/ffff/ffff\x1b\\", b"\x1b]11;?": b"\x1b]11;rgb:0000/0000/0000\x1b\\"}
ESCAPES = re.compile(rb"\x1b\[[0-9;?<>=]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[()][A-Z0-9]|\x1b.|\r")


def commands():
    """The lines of the README's shell blocks, without comments."""
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    return [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]


class Shell:
    """A shell on a terminal of 120 columns. All that was on the screen goes to `transcript`."""

    def __init__(self, folder, environment, transcript):
        self.process, self.terminal = pty.fork()
        if not self.process:
            os.chdir(folder)
            os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"], {**environment, "PS1": "<<$?>>", "TERM": "xterm-256color"})
        termios.tcsetwinsize(self.terminal, (40, 120))
        self.text, self.transcript = "", transcript
        self.wait("<<0>>", 10)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.transcript.write(self.text)
        os.kill(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)
        os.close(self.terminal)

    def type(self, text):
        """Types, and forgets what was on the screen."""
        self.transcript.write(self.text)
        self.text = ""
        os.write(self.terminal, text.encode())

    def wait(self, wanted, seconds):
        """Reads until the screen has had a text that matches, and returns the match."""
        end, raw = time.monotonic() + seconds, self.text.encode()
        while not (found := re.search(wanted, self.text)):
            if time.monotonic() > end:
                raise TimeoutError(f"no {wanted!r} in {seconds} s:\n{self.text[-4000:]}")
            if not select.select([self.terminal], [], [], 0.2)[0]:
                continue
            piece = os.read(self.terminal, 65536)
            for question, answer in ANSWERS.items():
                if question in piece:
                    os.write(self.terminal, answer)
            raw += piece
            # Programs move the cursor where there could be a space.
            self.text = ESCAPES.sub(lambda escape: b" " if escape[0].endswith(b"C") else b"", raw).decode(errors="replace")
        return found


@pytest.fixture
def clone():
    """A fresh clone of what is committed; of what lies here, where git has no history of it."""
    folder = FOLDER / "clone"
    shutil.rmtree(folder, ignore_errors=True)
    if subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", ROOT, folder]).returncode:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(ROOT, folder, symlinks=True, ignore=shutil.ignore_patterns("target", ".git"))
        name = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.com"]
        for words in (["init", "--quiet"], ["add", "--all"], [*name, "commit", "--quiet", "--message", "All"]):
            subprocess.run(["git", *words], cwd=folder, check=True)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_every_command_of_the_readme(engine, images, far_end, host, clone, tmp_path, row):  # noqa: F811
    _, tokens, secrets = host
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "login").rename(home / ".codex")
    (home / ".codex/auth.json").chmod(0o600)
    tools = Path(shutil.which("cargo")).parent
    # What is set for this machine counts, what is set for an agent, an engine or this suite does not.
    others = ("BOTTLE", "CLAUDE", "CODEX", "COMPOSE", "DOCKER", "EGRESS", "GIT", "XDG")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(others)},
        **images.environment,
        "CARGO_HOME": os.environ.get("CARGO_HOME", str(Path.home() / ".cargo")),
        "RUSTUP_HOME": os.environ.get("RUSTUP_HOME", str(Path.home() / ".rustup")),
        "HOME": str(home),
        "PATH": f"{FOLDER}/installed/bin:{tools}:{PATH}",
        "DOCKER_HOST": f"unix://{engine.socket}",
        "CARGO_INSTALL_ROOT": str(FOLDER / "installed"),
        "CARGO_TARGET_DIR": str(FOLDER / "target"),
        "CARGO_PROFILE_RELEASE_LTO": "off",
        "CARGO_PROFILE_RELEASE_OPT_LEVEL": "0",
        "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16",
    }
    shutil.rmtree(FOLDER / "installed", ignore_errors=True)
    far_end.configure({"text": TEXT, "require": {SERVICES[client]: "Bearer " + token for client, token in tokens.items()}})
    has_plugin = subprocess.run(["docker", "compose", "version"], env=environment, capture_output=True).returncode == 0
    typed = commands()
    assert len(typed) > 12 and set(ELSEWHERE) <= set(typed), typed
    with TRANSCRIPT.open("w") as transcript, Shell(clone, environment, transcript) as shell:
        for command in typed:
            if command in ELSEWHERE:
                row("the README, typed", f"{command}: {ELSEWHERE[command]}")
                continue
            start = time.monotonic()
            shell.type((command if has_plugin else command.replace("docker compose", "docker-compose")) + "\n")
            if command.startswith("read "):
                time.sleep(0.5)
                shell.type(CLAUDE_TOKEN + "\n")
            agent = re.fullmatch(r"bottlec exec out/(\w+)", command)
            if agent:
                talk(shell, agent[1])
            code = int(shell.wait(r"<<(\d+)>>", 900)[1])
            wanted = next((code for start, code in ENDS.items() if command.startswith(start)), 0)
            assert code == wanted, f"{command}: exit {code}\n{shell.text}"
            assert not [secret for secret in secrets if secret.decode() in shell.text], command
            row("the README, typed", f"{command}: {time.monotonic() - start:.1f} s")
            if command.startswith("bottlec build"):
                # root is nobody's user; this is what the folder of somebody else looks like.
                for path in [clone / "out", *(clone / "out").rglob("*")]:
                    os.chown(path, OWNER, OWNER)


def talk(shell, agent):
    """Agrees to the tokens, waits for the agent's prompt, says something, sees the answer, and leaves."""
    shell.wait(r"\[y/N\]", 60)
    assert SERVICES[agent] in shell.text, shell.text
    shell.type("y\n")
    shell.wait(PROMPTS[agent], 240)
    # Where the cursor moves, no space is printed.
    say(shell, "hi", r"\s*".join(TEXT.split()))
    say(shell, "/exit", r"<<\d+>>")


def say(shell, text, answer):
    """Types a line into a prompt, which takes what comes at once for pasted text, and may not listen yet."""
    for attempt in range(3):
        shell.type(text)
        time.sleep(1.5)
        shell.type("\r")
        try:
            return shell.wait(answer, 60)
        except TimeoutError:
            if attempt == 2:
                raise
