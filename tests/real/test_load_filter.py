"""The real pipelock under what an agent puts on it, with the file as it is compiled. SKIPPED where BOTTLEC_PIPELOCK_BIN
does not name it.

`BOTTLEC_LOAD=hour tests/real/run -k test_load_filter` holds a stream for an hour, in the place of seconds that stand for it."""

import os
import re
import subprocess
import threading
import time

import pytest

import pipelock_stand_in
from bottle import Bottle
from egress import compile_bottle, compose_of
from filter import HOST, PIPELOCK, filtering, peak

OPENED, SPLICED = "opened.example.com", "spliced.example.com"
MANIFEST = f"""\
agent_provider: {{ template: claude, auth_token: AGENT }}
egress:
  routes:
    - host: {OPENED}
    - host: {SPLICED}
      pipelock: {{ tls_passthrough: true }}
"""
needs_pipelock = pytest.mark.skipif(not PIPELOCK, reason="pipelock is not there: BOTTLEC_PIPELOCK_BIN is not set")
UNITS = {"k": 10, "m": 20, "g": 30}


@pytest.fixture(scope="module")
def bottle(tmp_path_factory):
    return compile_bottle(tmp_path_factory.mktemp("filter"), MANIFEST)


def number(bottle, key: str) -> int:
    """A number of the compiled file."""
    (found,) = re.findall(rf"^ +{key}: ([0-9]+)$", (bottle / "pipelock/pipelock.yaml").read_text(), re.M)
    return int(found)


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


@needs_pipelock
def test_the_stand_in_takes_the_files_that_pipelock_takes(bottle, tmp_path, row):
    row("load: pipelock", "the stand-in refuses the files that pipelock refuses")
    file = tmp_path / "pipelock/pipelock.yaml"
    file.parent.mkdir()
    subprocess.run([PIPELOCK, "tls", "init", "--out", tmp_path / "pipelock-ca"], check=True, capture_output=True)
    text = (bottle / "pipelock/pipelock.yaml").read_text()
    broken = [
        ("", ""),
        ("enforce:", "enforced:"),
        ("scan_headers:", "scan_header:"),
        ("enforce: true", "enforce: true\nenforce: true"),
        ("sni_verification: true", "sni_verification: true\n  sni_require_tls: true"),
        ("max_tunnel_seconds: ", "max_tunnel_seconds: some"),
        (f'    - "{SPLICED}"', f'  - "{SPLICED}"'),
        ("sentry:\n", "---\nsentry:\n"),
        ("pipelock-ca/ca.pem", "pipelock-ca/none.pem"),
    ]
    for old, new in broken:
        assert old in text
        file.write_text(text.replace(old, new) if old else text)
        checked = subprocess.run([PIPELOCK, "check", "--config", file], capture_output=True)
        try:
            pipelock_stand_in.read_config(file)
            taken = True
        except (OSError, ValueError):
            taken = False
        assert (checked.returncode == 0) == taken == (not old), (new, checked.stderr)


@needs_pipelock
def test_a_stream_of_hours_is_not_cut(bottle, tmp_path, row):
    row("load: pipelock", "a stream is not cut however long the client says nothing")
    by_hand = os.environ.get("BOTTLEC_LOAD") == "hour"
    # Every limit a 900th: 8 seconds stand for two hours.
    scale, chunks, pause = (1, 360, 10) if by_hand else (900, 16, 0.5)
    keys = ("idle_timeout_seconds", "max_tunnel_seconds")
    changes = [] if by_hand else [(f"{key}: {number(bottle, key)}\n", f"{key}: {number(bottle, key) // scale}\n") for key in keys]
    with filtering(bottle, SPLICED, tmp_path, changes) as (pipelock, _):
        answer = pipelock.ask(f"GET /stream?chunks={chunks}&size=100&pause={pause} HTTP/1.1", seconds=120)
    assert status(answer) == 200 and answer.endswith(b"0\r\n\r\n") and answer.count(b"x") == chunks * 100, len(answer)


@needs_pipelock
def test_six_thousand_requests_a_minute(bottle, tmp_path, row):
    row("load: pipelock", "6,000 requests in a minute, a tunnel each")
    with filtering(bottle, SPLICED, tmp_path) as (pipelock, _):
        began, codes = time.monotonic(), []
        while len(codes) < 6_000:
            code, sock = pipelock.connect()
            sock.close()
            codes.append(code)
        seconds = time.monotonic() - began
        assert status(pipelock.ask("GET / HTTP/1.1")) == 200
    assert set(codes) == {200}
    assert seconds < 60, f"too slow a machine to say: {seconds:.0f} s"


@needs_pipelock
def test_four_large_answers_at_once(bottle, tmp_path, row):
    row("load: pipelock", "four of the largest answers at once fit the service's memory; a larger one is refused")
    largest = number(bottle, "max_response_bytes")
    limit = compose_of(bottle)["services"]["pipelock"]["mem_limit"]
    limit = int(limit[:-1]) << UNITS[limit[-1]]
    answers = []

    def ask(pipelock):
        answers.append(pipelock.ask(f"GET /stream?chunks={largest >> 14}&size={1 << 14}&pause=0 HTTP/1.1", seconds=600))

    with filtering(bottle, OPENED, tmp_path) as (pipelock, _):
        threads = [threading.Thread(target=ask, args=[pipelock]) for _ in range(4)]
        with peak(pipelock) as memory:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        too_large = pipelock.ask(f"GET /stream?chunks={(largest >> 14) + 1}&size={1 << 14}&pause=0 HTTP/1.1")
    print(f"load: 4 x {largest >> 20} MiB, memory {memory[0] >> 20} MiB", flush=True)
    assert [status(answer) for answer in answers] == [200] * 4 and all(len(answer) >= largest for answer in answers)
    assert status(too_large) == 403 and b"too large" in too_large
    # Far below: a hostile agent asks for more than four.
    assert memory[0] < min(400 << 20, limit / 2), memory


@needs_pipelock
def test_no_header_carries_a_secret_to_an_opened_host(bottle, tmp_path, row):
    row("load: pipelock", "a secret in any header of an opened host is refused; ids of requests and versions are not")
    secret = "ghp_" + "aB3d" * 9
    names = ["X-Odd", "User-Agent", "Accept", "Content-Type", "Traceparent", "X-Request-Id", "Te", "Cookie", "Authorization"]
    ordinary = {
        "Traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "X-Amzn-Trace-Id": "Root=1-67891233-abcdef012345678912345678",
        "X-Request-Id": "7b1e5d2c-90a4-4b5f-8f3b-2f1f6d1c9a7e",
        "If-None-Match": 'W/"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822c"',
        "User-Agent": "npm/10.8.2 node/v20.20.2 linux x64 workspaces/false",
        "Accept": "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*",
    }
    with filtering(bottle, OPENED, tmp_path) as (pipelock, far_end):
        for name in names:
            answer = pipelock.ask(f"GET / HTTP/1.1\r\n{name}: {secret}")
            assert status(answer) == 403 and b"header contains secret" in answer, (name, answer)
        assert not [entry for entry in far_end.log() if entry["event"] == "request"]
        lines = "".join(f"\r\n{name}: {value}" for name, value in ordinary.items())
        assert status(pipelock.ask(f"GET / HTTP/1.1{lines}")) == 200
        assert {entry["host"] for entry in far_end.log() if entry["event"] == "request"} == {HOST}


@needs_pipelock
def test_no_address_or_body_carries_a_secret_to_an_opened_host(bottle, tmp_path, row):
    row("load: pipelock", "a secret in the address or the body of a request to an opened host is refused")
    secret = "ghp_" + "aB3d" * 9
    body = b'{"note": "' + secret.encode() + b'"}'
    post = f"POST /notes HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    with filtering(bottle, OPENED, tmp_path) as (pipelock, far_end):
        for head, sent in ((f"GET /?q={secret} HTTP/1.1", b""), (f"GET /{secret} HTTP/1.1", b""), (post, body)):
            assert status(pipelock.ask(head, sent)) == 403, head
        assert not [entry for entry in far_end.log() if entry["event"] == "request"]
        harmless = body.replace(secret.encode(), b"nothing secret"[: len(secret)].ljust(len(secret)))
        assert status(pipelock.ask(post, harmless)) == 200


@needs_pipelock
@pytest.mark.parametrize("host", [OPENED, SPLICED])
def test_no_routed_name_leads_to_a_private_address(host, bottle, tmp_path, row):
    row("load: pipelock", "a routed name that resolves to a private address is refused", host)
    for trusts in (False, True):  # with the guard, and without it
        with filtering(bottle, host, tmp_path / str(trusts), trusts=trusts) as (pipelock, _):
            code, sock = pipelock.connect()
            sock.close()
            assert code == (200 if trusts else 403)


def test_a_client_that_keeps_its_connection(engine, images, far_end, bottle, row):
    row("load: pipelock", "300 requests of one client to an opened host, through egress")
    if not images.pipelock_is_real:
        pytest.skip("pipelock is not there: BOTTLEC_PIPELOCK_BIN is not set")
    with Bottle(engine, images, bottle, {"AGENT": "token-of-the-agent"}) as running:
        asked = ["curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}\\n", f"https://{OPENED}/p[1-300]"]
        codes = running.agent(*asked, timeout=200).stdout.split()
    assert len(codes) == 300 and set(codes) == {"200"}, {code: codes.count(code) for code in codes}
