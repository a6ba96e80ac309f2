"""Sends requests through the real mitmdump with the compiled addon and says what became of each.

    python agree.py MITMDUMP FOLDER < CASES > OUTCOMES

Runs with the Python of mitmproxy. FOLDER holds addon.py. CASES are lines of JSON, made
by tests/agreement.rs: first the environment of mitmdump, then sets of routes, each followed by its
cases. Bytes are latin-1. OUTCOMES has one line a case, in their order, and the number of tunnels that
the far end was asked for.
"""
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


TIMEOUT = 20
LOOPBACK = "127.0.0.1"


class FarEnd:
    """Stands for pipelock and the internet: accepts every CONNECT, TLS for every name, one request."""

    def __init__(self, certificate):
        self.certificate, self.arrived, self.tunnels = certificate, {}, 0
        self.socket = socket.create_server((LOOPBACK, 0), backlog=128)
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            connection, _ = self.socket.accept()
            connection.settimeout(TIMEOUT)
            threading.Thread(target=self.serve, args=[connection], daemon=True).start()

    def serve(self, connection):
        names = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate)
        context.sni_callback = lambda _, name, __: names.append(name)
        try:
            asked = read_head(connection)
            self.tunnels += 1
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            connection = context.wrap_socket(connection, server_side=True)
            head = read_head(connection)
            fields = [line.partition(b":") for line in head.split(b"\r\n")[1:]]
            credentials = [b"authorization", b"proxy-authorization"]
            sent = [value.strip().decode("latin-1") for name, _, value in fields if name.lower() in credentials]
            alike = lambda name: re.sub(rb"[^a-z0-9]", b"-", name.lower()) == b"x-example-key"
            keys = [value.strip().decode("latin-1") for name, _, value in fields if alike(name)]
            self.log(head, {
                "connect": asked.split(b" ")[1].decode("latin-1").lower(), "sni": (names[0] or "").lower(),
                "target": head.split(b" ")[1].decode("latin-1"), "authorization": sent, "keys": keys,
            })
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Far-End: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            connection.unwrap()
        except OSError:
            pass  # mitmdump went away; its client says why
        finally:
            connection.close()

    def log(self, received, what):
        for case in re.findall(rb"x-case: *([0-9]+)", received.lower()):
            self.arrived.setdefault(int(case), []).append(what)


class Mitmdump:
    """The proxy, started once; each set of routes is read at a SIGHUP."""

    def __init__(self, program, folder, far_end, environment):
        self.routes, self.said, self.has_said = folder / "routes.yaml", [], threading.Condition()
        self.routes.write_text("routes: []\n")
        (folder / "pipelock.yaml").write_text("")
        with socket.create_server((LOOPBACK, 0)) as free:
            self.port = free.getsockname()[1]
        options = [
            f"routes={self.routes}", f"pipelock={folder}/pipelock.yaml", f"confdir={folder}", "ssl_insecure=true", "flow_detail=0", "termlog_verbosity=warn",
        ]
        self.process = subprocess.Popen(
            [program, "--mode", f"upstream:http://{LOOPBACK}:{far_end.port}", "--listen-host", LOOPBACK,
             "--listen-port", str(self.port), "--scripts", folder / "addon.py",
             *(word for option in options for word in ["--set", option])],
            env={"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONUNBUFFERED": "1", **environment},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        for line in self.process.stdout:
            with self.has_said:
                self.said.append(line)
                self.has_said.notify_all()

    def accepts(self):
        try:
            socket.create_connection((LOOPBACK, self.port), 1).close()
            return True
        except OSError:
            return False

    def wait(self, is_done, what):
        end = time.monotonic() + TIMEOUT
        while not is_done():
            if time.monotonic() > end or self.process.poll() is not None:
                sys.exit(f"waited in vain for mitmdump {what}: {''.join(self.said[-20:])}")
            with self.has_said:
                self.has_said.wait(0.02)

    def reload(self, routes):
        new = self.routes.with_suffix(".new")
        new.write_text(routes, encoding="utf-8")
        new.replace(self.routes)
        start = len(self.said)
        self.process.send_signal(signal.SIGHUP)
        self.wait(lambda: any('"reloaded"' in line for line in self.said[start:]), "to reload")


def read_head(connection):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        piece = connection.recv(1)
        if not piece:
            raise ConnectionError("closed")
        head += piece
    return head


def read_answer(connection):
    """The status, whether it is the far end's, and the body."""
    head = read_head(connection)
    length = re.search(rb"\r\ncontent-length: *([0-9]+)", head.lower())
    body = b""
    while length and len(body) < int(length[1]):
        piece = connection.recv(65536)
        if not piece:
            break
        body += piece
    return int(head.split(b" ")[1]), b"x-far-end" in head.lower(), body


def outcome(status, is_far_end, body):
    if is_far_end:
        return "allowed"
    if status == 403:
        return json.loads(body)["rule"]
    return "malformed" if status == 400 else f"answered {status} {body[:200]!r}"


CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
CONTEXT.check_hostname, CONTEXT.verify_mode = False, ssl.CERT_NONE


def send(case, port):
    """What the agent gets for one request."""
    with socket.create_connection((LOOPBACK, port), TIMEOUT) as connection:
        if case["connect"] is not None:
            connection.sendall(case["connect"].encode("latin-1"))
            answer = read_answer(connection)
            if answer[0] != 200:
                return outcome(*answer)
        if case["tls"]:
            connection = CONTEXT.wrap_socket(connection, server_hostname=case["sni"])
        connection.sendall(case["head"].encode("latin-1"))
        return outcome(*read_answer(connection))


def attempt(case, port):
    try:
        return send(case, port)
    except (ConnectionError, ssl.SSLEOFError):
        return "malformed"
    except OSError as error:
        return f"failed {error!r}"


def main():
    program, folder = sys.argv[1], Path(sys.argv[2])
    lines = [json.loads(line) for line in sys.stdin]
    # mitmproxy's own certificate serves the far end too: nobody looks at it.
    subprocess.run(
        [sys.executable, "-c", "import sys; from mitmproxy.certs import CertStore; CertStore.from_store(sys.argv[1], 'mitmproxy', 2048)", folder],
        check=True,
    )
    far_end = FarEnd(folder / "mitmproxy-ca.pem")
    proxy = Mitmdump(program, folder, far_end, lines[0]["environment"])
    outcomes = []
    try:
        proxy.wait(proxy.accepts, "to listen")
        with ThreadPoolExecutor(4) as pool:
            for line in lines[1:]:
                proxy.reload(line["routes"])
                outcomes += pool.map(lambda case: (case["id"], attempt(case, proxy.port)), line["cases"])
                unanswered = [case for case, said in outcomes if said.startswith("failed")]
                if len(unanswered) > 3:
                    sys.exit(f"mitmdump does not answer the cases {unanswered}: {''.join(proxy.said[-20:])}")
    finally:
        proxy.process.terminate()
        proxy.process.wait()
    for case, said in outcomes:
        print(json.dumps({"id": case, "outcome": said, "arrived": far_end.arrived.get(case, [])}))
    print(json.dumps({"tunnels": far_end.tunnels}))
    errors = [line for line in proxy.said if '"event": "error"' in line or "Traceback" in line]
    sys.exit(f"mitmdump says: {''.join(errors[:20])}" if errors else 0)


if __name__ == "__main__":
    main()
