"""The real pipelock as a process of this machine, with a compiled file, in front of the far end.

The one host that it leads to is `localhost`, since a name must resolve: the file's host is renamed and, as an address of
this machine is a private one, trusted. Nothing else of the file changes but what a test says."""

import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import certifi

from egress import FrontedFarEnd, answers, free_port, wait_for

PIPELOCK = os.environ.get("BOTTLEC_PIPELOCK_BIN")
HOST = "localhost"


class Filter:
    """pipelock with the bottle's file, in which `host` is the far end. `changes` are (old, new) texts. Without
    `trusts`, the far end's address is what it is: a private one."""

    def __init__(self, bottle: Path, host: str, far_end: FrontedFarEnd, folder: Path, changes=(), trusts=True):
        (folder / "pipelock").mkdir(parents=True)
        subprocess.run([PIPELOCK, "tls", "init", "--out", folder / "pipelock-ca"], check=True, capture_output=True)
        text = (bottle / "pipelock/pipelock.yaml").read_text().replace(f'"{host}"', f'"{HOST}"')
        trusted = [("trusted_domains: []", f'trusted_domains: ["{HOST}"]')] if trusts else []
        for old, new in [*trusted, ("127.0.0.1:9091", f"127.0.0.1:{free_port()}"), *changes]:
            assert text.count(old) == 1, f"pipelock.yaml has not exactly one {old!r}"
            text = text.replace(old, new)
        file = folder / "pipelock/pipelock.yaml"
        file.write_text(text)
        self.target, self.port = f"{HOST}:{far_end.tls}", free_port()
        self.authorities = [far_end.folder / "ca.pem", folder / "pipelock-ca/ca.pem"]
        roots = folder / "roots.pem"
        shutil.copy(certifi.where(), roots)
        with roots.open("a") as all_roots:
            all_roots.write(self.authorities[0].read_text())
        self.log_file = folder / "pipelock.log"
        command = [PIPELOCK, "run", "--config", file, "--listen", f"127.0.0.1:{self.port}"]
        with self.log_file.open("wb") as log:
            environment = {"SSL_CERT_FILE": str(roots), "HOME": str(folder)}
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        wait_for(lambda: answers(self.port) or self.process.poll() is not None, "pipelock")
        assert self.process.poll() is None, self.log_file.read_text()

    def connect(self) -> tuple[int, socket.socket]:
        """The status of a CONNECT to the far end, and its socket."""
        sock = socket.create_connection(("127.0.0.1", self.port), 30)
        sock.sendall(f"CONNECT {self.target} HTTP/1.1\r\nHost: {self.target}\r\n\r\n".encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            piece = sock.recv(4096)
            if not piece:
                break
            answer += piece
        return int(answer.split(b" ", 2)[1]), sock

    def tunnel(self) -> ssl.SSLSocket:
        """TLS to the far end, or to pipelock where it opens the host."""
        code, sock = self.connect()
        assert code == 200, code
        context = ssl.create_default_context()
        for authority in self.authorities:
            context.load_verify_locations(authority)
        return context.wrap_socket(sock, server_hostname=HOST)

    def ask(self, head: str, body: bytes = b"", seconds: float = 60) -> bytes:
        """The whole answer to one request, whose head has no line of its own for the host."""
        with self.tunnel() as sock:
            sock.settimeout(seconds)
            sock.sendall(f"{head}\r\nHost: {self.target}\r\nConnection: close\r\n\r\n".encode() + body)
            answer = b""
            with suppress(ssl.SSLEOFError, ConnectionResetError):
                while piece := sock.recv(1 << 16):
                    answer += piece
            return answer

    def memory(self) -> int:
        """Resident memory in bytes."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def stop(self):
        self.process.terminate()
        self.process.wait()


@contextmanager
def filtering(bottle: Path, host: str, folder: Path, changes=(), trusts=True):
    """A far end and pipelock in front of it; both end with the block."""
    far_end = FrontedFarEnd(folder / "far-end")
    try:
        pipelock = Filter(bottle, host, far_end, folder / "filter", changes, trusts)
        try:
            yield pipelock, far_end
        finally:
            pipelock.stop()
    finally:
        far_end.stop()


@contextmanager
def peak(process):
    """A list that has, after the block, the resident memory in bytes at its highest."""
    seen, ended = [0], threading.Event()

    def watch():
        while not ended.wait(0.02):
            seen[0] = max(seen[0], process.memory())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()
