"""The far end alone, on loopback: what it refuses, what it writes down, and how it plays the services."""
import json
import pathlib
import socket
import ssl
import subprocess
import sys
import time

import pytest
import wsproto
from wsproto.events import AcceptConnection, Message, Request

PROGRAM = pathlib.Path(__file__).with_name("fake_internet.py")


class FarEnd:
    def __init__(self, folder):
        self.folder = folder
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0)), second.bind(("127.0.0.1", 0))
            tls, self.port = first.getsockname()[1], second.getsockname()[1]
        self.process = subprocess.Popen([sys.executable, PROGRAM, "--folder", folder, "--tls", f"127.0.0.1:{tls}", "--connect-port", str(self.port)])
        while not (folder / "ready").exists():
            assert self.process.poll() is None
            time.sleep(0.05)

    def tunnel(self, host):
        """What a CONNECT says, and the TLS connection behind it."""
        plain = socket.create_connection(("127.0.0.1", self.port), 10)
        plain.sendall(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n".encode())
        said = plain.recv(4096).split(b"\r\n")[0].decode()
        context = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))
        return said, context.wrap_socket(plain, server_hostname=host) if "200" in said else plain

    def ask(self, host, raw):
        """Sends bytes and reads until the far end closes."""
        said, tls = self.tunnel(host)
        if "200" not in said:
            return said
        tls.sendall(raw)
        return b"".join(iter(lambda: tls.recv(4096), b"")).decode("latin-1")

    def log(self, event):
        lines = map(json.loads, (self.folder / "log.jsonl").read_text().splitlines())
        return [line for line in lines if line["event"] == event]

    def configure(self, config):
        (self.folder / "config.json").write_text(json.dumps(config))


@pytest.fixture
def far_end(tmp_path):
    far_end = FarEnd(tmp_path)
    yield far_end
    far_end.process.terminate()
    far_end.process.wait()


def get(path, *headers):
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: any", "Connection: close", *headers, "", ""]).encode()


def test_a_request_is_logged_as_it_came(far_end):
    reply = far_end.ask("any.example", get("/a?b", "Authorization: Bearer one", "authorization: Bearer two"))
    assert reply.startswith("HTTP/1.1 200") and "Bearer" not in reply
    (line,) = far_end.log("request")
    assert (line["host"], line["connect"], line["target"], line["http"]) == ("any.example", "any.example:443", "/a?b", "1.1")
    assert ["Authorization", "Bearer one"] in line["headers"] and ["authorization", "Bearer two"] in line["headers"]
    assert line["raw"].startswith("GET /a?b HTTP/1.1\r\nHost: any\r\n")


@pytest.mark.parametrize("raw", [
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
])
def test_what_can_be_read_in_two_ways_is_refused_and_logged(far_end, raw):
    assert far_end.ask("any.example", raw).startswith("HTTP/1.1 400")
    (line,) = far_end.log("refused") + far_end.log("request")
    assert raw.startswith(line["raw"].encode()) and line.get("status", 400) == 400


def test_a_service_wants_its_token_and_this_alone(far_end):
    far_end.configure({"require": {"api.anthropic.com": "Bearer X"}})
    status = lambda *headers: far_end.ask("api.anthropic.com", get("/v1/none", *headers)).split()[1]
    assert status("Authorization: Bearer X") == "404"
    assert status() == status("Authorization: Bearer Y") == status("Authorization: Bearer X", "Authorization: Bearer Y") == "401"


def test_a_websocket_echoes(far_end):
    _, tls = far_end.tunnel("any.example")
    client, seen = wsproto.WSConnection(wsproto.ConnectionType.CLIENT), []
    tls.sendall(client.send(Request(host="any.example", target="/ws-echo")))
    while not seen or not isinstance(seen[-1], Message):
        client.receive_data(tls.recv(4096))
        seen += client.events()
        if isinstance(seen[-1], AcceptConnection):
            tls.sendall(client.send(Message("hello")))
    assert seen[-1].data == "hello"
    assert [line["from"] for line in far_end.log("message")] == ["client", "server"]
