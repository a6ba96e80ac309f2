"""Much at once and much at a time, in the real mitmproxy with the compiled addon: long bodies in bounded
memory, slow clients, many connections, routes that change while requests fly.

`BOTTLEC_LOAD=full tests/real/run -k test_load` sends 2 GiB each way and holds 1,000 connections; without it
a quarter of that, which finds the same faults in less time."""

import asyncio
import os
import shutil
import socket
import ssl
import threading
import time
from contextlib import contextmanager

import pytest

import attacks
import wire
from attacks import FORGE, INSIDE, OPEN
from egress import rewrite, running, wait_for

FULL = os.environ.get("BOTTLEC_LOAD") == "full"
LONG = (2 << 30) if FULL else (256 << 20)
MANY = 1_000 if FULL else 250
# What egress may grow by, whatever passes through it.
GROWTH = 300 << 20
PIECE = bytes(1 << 20)


@pytest.fixture(scope="module")
def bottle(tmp_path_factory):
    return wire.compiled(tmp_path_factory.mktemp("bottle"))


@pytest.fixture(scope="module")
def chain(bottle, tmp_path_factory):
    with running(bottle, tmp_path_factory.mktemp("load") / "run", wire.TOKENS) as chain:
        yield chain


@contextmanager
def growth(egress):
    """A list that has, after the block, by how many bytes the resident memory grew at most."""
    before, seen, ended = egress.memory(), [0], threading.Event()

    def watch():
        while not ended.wait(0.05):
            seen[0] = max(seen[0], egress.memory() - before)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


def tunnel(egress, host, tls=True):
    """A tunnel on which nothing takes longer than this."""
    return wire.open_case(socket.create_connection(egress.proxy, 30), wire.Case(b"", [], host, tls=tls))


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


def said(what: str):
    """A number for the report (`-s` shows it)."""
    print(f"load: {what}", flush=True)


def test_a_long_upload_in_bounded_memory(chain, row):
    row("load", f"{LONG >> 20} MiB up in bounded memory")
    egress, far_end = chain
    sock, began = tunnel(egress, OPEN), time.monotonic()
    with growth(egress) as grown:
        sock.sendall(f"POST /upload HTTP/1.1\r\nHost: {OPEN}\r\nContent-Length: {LONG}\r\n\r\n".encode())
        for _ in range(LONG // len(PIECE)):
            sock.sendall(PIECE)
        answer = attacks.ask(sock, b"", 30)
    said(f"{LONG >> 20} MiB up in {time.monotonic() - began:.1f} s, memory +{grown[0] >> 20} MiB")
    assert status(answer) == 200 and str(LONG).encode() in answer, answer[:300]
    assert grown[0] < GROWTH


def test_a_long_download_in_bounded_memory(chain, row):
    row("load", f"{LONG >> 20} MiB down in bounded memory, also for a client that stops reading")
    egress, far_end = chain
    sock, began = tunnel(egress, OPEN), time.monotonic()
    received = 0
    with growth(egress) as grown:
        sock.sendall(f"GET /stream?chunks={LONG >> 20}&size={1 << 20}&pause=0 HTTP/1.1\r\nHost: {OPEN}\r\n\r\n".encode())
        received += len(sock.recv(1 << 16))
        time.sleep(1)
        assert status(attacks.request(egress.proxy, OPEN, "/")) == 200
        tail = b""
        while not tail.endswith(b"\r\n0\r\n\r\n"):
            piece = sock.recv(1 << 20)
            assert piece, "the answer has an end"
            received, tail = received + len(piece), (tail + piece)[-8:]
    said(f"{received >> 20} MiB down in {time.monotonic() - began:.1f} s, memory +{grown[0] >> 20} MiB")
    assert received > LONG and grown[0] < GROWTH


def test_slow_clients_keep_nobody_waiting(chain, row):
    row("load", "heads and bodies that drip keep nobody waiting, and end with their connections")
    egress, far_end = chain
    before = egress.sockets()
    heads = [tunnel(egress, OPEN, tls=False) for _ in range(40)]
    bodies = [tunnel(egress, FORGE) for _ in range(20)]
    for sock in bodies:
        sock.sendall(f"POST {INSIDE} HTTP/1.1\r\nHost: {FORGE}\r\nContent-Length: 1000\r\n\r\n".encode())
    downs = [tunnel(egress, OPEN) for _ in range(20)]
    for sock in downs:
        sock.sendall(f"GET /stream?chunks=1000&size=1&pause=0.2 HTTP/1.1\r\nHost: {OPEN}\r\n\r\n".encode())
    slowest, end = 0.0, time.monotonic() + 4
    while time.monotonic() < end:
        for sock in (*heads, *bodies):
            sock.sendall(b"\x16")
        began = time.monotonic()
        assert status(attacks.request(egress.proxy, OPEN, "/")) == 200
        slowest = max(slowest, time.monotonic() - began)
    for sock in (*heads, *bodies, *downs):
        sock.close()
    said(f"80 slow clients; the slowest good request took {slowest:.2f} s")
    assert slowest < 5
    wait_for(lambda: egress.sockets() <= before, "the slow connections' end")


def test_many_connections_at_once(chain, row):
    row("load", f"{MANY} connections at once, every tenth to a host without a route")
    egress, far_end = chain
    far_end.forget()
    context = ssl.create_default_context(cafile=egress.authority)

    async def connect(host):
        reader, writer = await asyncio.open_connection(*egress.proxy)
        writer.write(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n".encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        if status(answer) == 200:
            await writer.start_tls(context, server_hostname=host)
        return status(answer), reader, writer

    async def ask(host, reader, writer):
        writer.write(wire.good(host, close=False).encode())
        return status(await reader.readuntil(b"\r\n\r\n"))

    async def all_of_them():
        hosts = [attacks.FOREIGN if number % 10 == 0 else [OPEN, attacks.API][number % 2] for number in range(MANY)]
        connections = await asyncio.gather(*map(connect, hosts))
        assert [code for code, *_ in connections] == [403 if host == attacks.FOREIGN else 200 for host in hosts]
        open_ones = [(host, *rest) for host, (code, *rest) in zip(hosts, connections) if code == 200]
        assert egress.sockets() > len(open_ones), "all are open at once"
        answers = await asyncio.gather(*(ask(*one) for one in open_ones))
        for _, _, writer in connections:
            writer.close()
        return answers

    began = time.monotonic()
    with growth(egress) as grown:
        answers = asyncio.run(asyncio.wait_for(all_of_them(), 300))
    said(f"{MANY} connections in {time.monotonic() - began:.1f} s, memory +{grown[0] >> 20} MiB")
    requests = [entry for entry in far_end.log() if entry["event"] == "request" and entry["complete"]]
    assert set(answers) == {200} and len(requests) == len(answers)
    for entry in requests:
        signed = [value for name, value in entry["headers"] if name.lower() == "authorization"]
        assert signed == ([wire.SIGNED[attacks.API]] if entry["host"] == attacks.API else []), entry


def test_a_route_is_taken_away_while_requests_fly(bottle, tmp_path, row):
    row("load", "a route that is taken away admits nothing from then on; what had begun ends")
    shutil.copytree(bottle, tmp_path / "target")
    routes = tmp_path / "target/egress/routes.yaml"
    whole = routes.read_text()
    without = whole.replace(f'"{OPEN}"', '"gone.example.com"')
    assert without != whole
    with running(tmp_path / "target", tmp_path / "run", wire.TOKENS) as (egress, far_end):
        outcomes, cut, ended = [], [], threading.Event()

        def answer_on(sock) -> bytes:
            sock.sendall(wire.good(close=False).encode())
            answer = b""
            while b"\r\n\r\n" not in answer or not answer.rstrip().endswith(b"}"):
                piece = sock.recv(65536)
                if not piece:
                    raise ConnectionError
                answer += piece
            return answer

        def ask_on(sock):
            while not ended.is_set():
                began = time.time()
                try:
                    sock = sock or tunnel(egress, OPEN)
                except AssertionError as refused:  # the tunnel is
                    outcomes.append((began, time.time(), 403 if b" 403 " in refused.args[0] else 0))
                    time.sleep(0.01)
                    continue
                except OSError:  # closed while it was made
                    sock = None
                    continue
                try:
                    code = status(answer_on(sock))
                    outcomes.append((began, time.time(), code))
                except OSError:  # a reload closes what was let through; it may have arrived
                    cut.append(began)
                    sock = None

        threads = [threading.Thread(target=ask_on, args=[tunnel(egress, OPEN)]) for _ in range(8)]
        slow = tunnel(egress, OPEN)
        slow.sendall(f"POST /upload HTTP/1.1\r\nHost: {OPEN}\r\nContent-Length: 8\r\n\r\nhalf".encode())
        time.sleep(0.3)
        for thread in threads:
            thread.start()
        closed = []
        for text, outcome in [(without, "reloaded"), (whole, "reloaded"), ("routes: [", "closed"), (whole, "reloaded")] * 3:
            rewrite(routes, text)
            assert egress.reload() == outcome
            since = time.time()
            time.sleep(0.6)
            if text != whole:
                closed.append((since, time.time()))
        ended.set()
        for thread in threads:
            thread.join(wire.DEADLINE)
            assert not thread.is_alive(), "a request hangs"
        # What had begun before the first reload was closed by it.
        assert attacks.ask(slow, b"half") == b""
        slow = tunnel(egress, OPEN)
        assert status(attacks.ask(slow, wire.good(close=False).encode())) == 200
        rewrite(routes, without)
        egress.reload()
        assert attacks.ask(slow, wire.good().encode()) == b"", "what was let through by other routes is closed"

    during = [code for began, ended, code in outcomes if any(since < began and ended < until for since, until in closed)]
    said(f"{len(outcomes)} requests, {len(during)} while the route was away, 12 reloads")
    assert during and set(during) == {403}
    assert {code for *_, code in outcomes} == {200, 403}
    arrived = [entry for entry in far_end.log() if entry["event"] == "request" and entry["target"] == "/"]
    answered = [code for *_, code in outcomes].count(200)
    assert answered <= len(arrived) <= answered + len(cut)
