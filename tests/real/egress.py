"""A compiled bottle, and its egress as a process of this machine: what compose.yaml starts, with the
compose file's own words, the paths of its mounts put in place."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import certifi
from ruamel.yaml import YAML

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
BOTTLEC = os.environ.get("BOTTLEC_BIN", str(ROOT / "target/debug/bottlec"))
MITMDUMPS = os.environ.get("BOTTLEC_MITMDUMP_BINS", "mitmdump").split(":")


def compile_bottle(folder: Path, manifest: str, *options: str, environment: dict | None = None) -> Path:
    """Compiles a manifest with the program under test and this environment; returns the bottle's folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bottle.yaml").write_text(manifest)
    command = [BOTTLEC, "build", "bottle.yaml", "-o", "out", "--quiet", *options]
    subprocess.run(command, cwd=folder, check=True, env=environment or {})
    (bottle,) = (folder / "out").iterdir()
    return bottle


def patch(bottle: Path, name: str, changes: list[tuple[str, str]]):
    """Takes a guard out of a compiled file. Each text must be there: a guard that moved is noticed."""
    file = bottle / name
    text = file.read_text()
    for old, new in changes:
        assert text.count(old) == 1, f"{name} has not exactly one {old!r}"
        text = text.replace(old, new)
    keep(bottle)
    file.write_text(text)


def as_built(bottle: Path) -> Path:
    """Where `keep` puts the copy of a bottle's folder."""
    return bottle.with_name(bottle.name + ".as-built")


def keep(bottle: Path):
    """Keeps a copy of the folder before it is edited: `bottlec exec` starts no tree that says what no build writes,
    so an edited one is started with the environment that the copy gets."""
    if not as_built(bottle).exists():
        shutil.copytree(bottle, as_built(bottle), symlinks=True)


def rewrite(file: Path, text: str):
    """Puts another file in the place of one at once, as a build does."""
    new = file.with_name(file.name + ".new")
    new.write_text(text)
    new.replace(file)


def binding(bottle: Path) -> dict[str, str]:
    """What `bottlec exec` gives egress beside the tokens."""
    slots = YAML(typ="safe").load((bottle / "egress/routes.yaml").read_text()).get("slots")
    return {"EGRESS_SLOTS": slots} if slots else {}


def compose_of(bottle: Path) -> dict:
    return YAML(typ="safe").load((bottle / "compose.yaml").read_text())


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def wait_for(condition, what: str, seconds: float = 30):
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.05)
    return value


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


class FrontedFarEnd:
    """The fake internet as a process, behind a CONNECT front that judges nothing."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True)
        self.tls, self.front = free_port(), free_port()
        program = [sys.executable, str(HERE / "fake_internet.py"), "--folder", str(folder)]
        ports = ["--tls", f"127.0.0.1:{self.tls}", "--connect-port", str(self.front)]
        self.process = subprocess.Popen([*program, *ports])
        wait_for((folder / "ready").exists, "the far end")

    def log(self) -> list[dict]:
        lines = (self.folder / "log.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def forget(self):
        os.truncate(self.folder / "log.jsonl", 0)

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Egress:
    """mitmdump with the bottle's addon and routes, as compose.yaml starts it."""

    def __init__(self, bottle: Path, far_end: FrontedFarEnd, folder: Path, environment: dict, mitmdump: str = MITMDUMPS[0]):
        folder.mkdir(parents=True)
        self.bottle, self.port, self.log_file = bottle, free_port(), folder / "egress.log"
        shutil.copy(bottle / "egress/addon.py", folder / "addon.py")
        roots = Path(certifi.where()).read_bytes() + (far_end.folder / "ca.pem").read_bytes()
        (folder / "upstream.pem").write_bytes(roots)
        places = {
            "http://pipelock:8888": f"http://127.0.0.1:{far_end.front}",
            "/egress-ca": str(folder),
            "/tmp/egress": str(folder),
            "9099": str(self.port),
        }
        command = [mitmdump, "--listen-host", "127.0.0.1", "--set", f"routes={bottle}/egress/routes.yaml"]
        command += ["--set", f"pipelock={bottle}/pipelock/pipelock.yaml"]
        for word in compose_of(bottle)["services"]["egress"]["command"]:
            for place, here in places.items():
                word = word.replace(place, here)
            command.append(word)
        with self.log_file.open("wb") as log:
            clean = {"PATH": os.environ["PATH"], "HOME": str(folder)}
            self.process = subprocess.Popen(command, env={**clean, **environment}, stdout=log, stderr=log)
        self.proxy = ("127.0.0.1", self.port)
        self.authority = folder / "mitmproxy-ca-cert.pem"
        wait_for(lambda: answers(self.port) or self.process.poll() is not None, "egress")
        assert self.process.poll() is None, self.log()
        # mitmproxy listens a moment before the routes are read.
        wait_for(self.has_routes, "the routes")

    def has_routes(self) -> bool:
        assert self.process.poll() is None, self.log()
        return b'"host"' in self.own("/allowlist")

    def own(self, path: str) -> bytes:
        """What egress answers itself."""
        question = f"GET http://_egress.local{path} HTTP/1.1\r\nHost: _egress.local\r\nConnection: close\r\n\r\n"
        answer = b""
        with suppress(OSError), socket.create_connection(self.proxy, 5) as sock:
            sock.sendall(question.encode())
            sock.settimeout(5)
            while piece := sock.recv(65536):
                answer += piece
        return answer

    def health(self) -> dict:
        head, _, body = self.own("/health").partition(b"\r\n\r\n")
        health = json.loads(body)
        assert head.split(b" ")[1] == (b"200" if health["healthy"] else b"503"), head
        return health

    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def reload(self):
        """SIGHUP; returns when the addon has said what came of it."""
        before = len(self.log())
        self.process.send_signal(signal.SIGHUP)
        return wait_for(lambda: re.search('"event": "(reloaded|closed)', self.log()[before:]), "the reload").group(1)

    def memory(self) -> int:
        """Resident memory in bytes."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def sockets(self) -> int:
        """How many sockets are open."""
        count = 0
        for place in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile
                count += os.readlink(place).startswith("socket:")
        return count

    def stop(self):
        self.process.terminate()
        self.process.wait()


@contextmanager
def running(bottle: Path, folder: Path, environment: dict | None = None, mitmdump: str = MITMDUMPS[0]):
    """A far end and the bottle's egress in front of it, with its tokens; both end with the block."""
    far_end = FrontedFarEnd(folder / "far-end")
    try:
        egress = Egress(bottle, far_end, folder / "egress", {**binding(bottle), **(environment or {})}, mitmdump)
        try:
            yield egress, far_end
        finally:
            egress.stop()
    finally:
        far_end.stop()
