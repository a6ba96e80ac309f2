"""The compiled addon in the real mitmproxy against an agent that attacks it. Each attack fails, and
works once its guard is taken out of the addon."""

import json
import re
import shutil
import socket
import ssl
import time

import pytest

import attacks
from egress import compile_bottle, patch, rewrite, running, wait_for

MANIFEST = f"""\
name: target
agent_provider: {{ template: claude }}
egress:
  routes:
    - host: {attacks.API}
      auth: {{ scheme: Bearer, token_ref: API_TOKEN }}
      pipelock: {{ tls_passthrough: true }}
    - host: {attacks.FORGE}
      path_allowlist: [{attacks.INSIDE}]
    - host: {attacks.OPEN}
""" + "".join(
    f"    - host: {host}\n      auth: {{ scheme: Bearer, token_ref: API_TOKEN }}\n      pipelock: {{ tls_passthrough: true }}\n"
    for host in (attacks.OLD, attacks.GOOGLE, attacks.OPENAI, attacks.CHATGPT)
)
TOKENS = {"EGRESS_TOKEN_0": "real-token-5d1e"}


@pytest.fixture(scope="module")
def bottle(tmp_path_factory):
    return compile_bottle(tmp_path_factory.mktemp("bottle"), MANIFEST)


@pytest.fixture(scope="module")
def guarded(bottle, tmp_path_factory):
    with running(bottle, tmp_path_factory.mktemp("guarded") / "run", TOKENS) as chain:
        yield chain


@pytest.fixture(scope="module")
def unguarded(bottle, tmp_path_factory):
    """The same without some guards. Chains are kept: attacks share guards."""
    chains, contexts = {}, []

    def start(changes):
        key = tuple(changes)
        if key not in chains:
            folder = tmp_path_factory.mktemp("unguarded")
            shutil.copytree(bottle, folder / "target")
            patch(folder / "target", "egress/addon.py", changes)
            context = running(folder / "target", folder / "run", TOKENS)
            chains[key] = context.__enter__()
            contexts.append(context)
        return chains[key]

    yield start
    for context in contexts:
        context.__exit__(None, None, None)


def strike(chain, attack):
    egress, far_end = chain
    far_end.forget()
    seen = attack.run(egress.proxy).decode("latin-1")
    return attack.worked(far_end.log(), seen), seen, far_end.log()


@pytest.mark.parametrize("name", attacks.ALL)
def test_attack(name, guarded, unguarded, row):
    row("attack on egress", name)
    attack = attacks.ALL[name]
    worked, seen, log = strike(guarded, attack)
    assert not worked, (seen, log)
    worked, seen, log = strike(unguarded(attack.guard), attack)
    assert worked, ("without its guard the attack should have worked", seen, log)


def test_a_good_request_gets_through_and_is_signed(guarded, row):
    row("egress", "a good request gets through and is signed")
    egress, far_end = guarded
    far_end.forget()
    answer = attacks.request(egress.proxy, attacks.API, "/v1/x?y=1", "Authorization: Bearer egress-placeholder")
    assert answer.startswith(b"HTTP/1.1 200"), answer
    (arrived,) = [entry for entry in far_end.log() if entry["event"] == "request"]
    given = [value for name, value in arrived["headers"] if name.lower() == "authorization"]
    assert given == ["Bearer real-token-5d1e"] and arrived["target"] == "/v1/x?y=1"


REFUSALS = {
    "host": lambda p: attacks.absolute(p, f"http://{attacks.FOREIGN}/", attacks.FOREIGN),
    "port": lambda p: attacks.absolute(p, f"http://{attacks.OPEN}/", attacks.OPEN),
    "authority": lambda p: attacks.request(p, attacks.OPEN, "/", host_header=attacks.FOREIGN),
    "method": lambda p: attacks.request(p, attacks.OPEN, "/", method="TRACE"),
    "path": lambda p: attacks.request(p, attacks.FORGE, "/elsewhere"),
    "header": lambda p: attacks.request(p, attacks.OPEN, "/", "X-A: b\0c"),
    "git-push": lambda p: attacks.request(p, attacks.OPEN, "/a.git/git-receive-pack"),
    "size": lambda p: attacks.request(p, attacks.OPEN, "/" + "a" * (16 << 10)),
    "framing": lambda p: attacks.request(p, attacks.OPEN, "/", "Upgrade: h2c"),
}


@pytest.mark.parametrize("rule", REFUSALS)
def test_a_refusal_is_a_403_that_names_host_rule_and_remedy(rule, guarded, row):
    row("egress", f"a refusal by `{rule}` is a 403 with host, rule and remedy")
    answer = REFUSALS[rule](guarded[0].proxy)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 403 ")
    refusal = json.loads(body)
    assert refusal["rule"] == rule and refusal["host"] in head.decode() + str(vars(attacks)), refusal
    assert "real-token" not in str(refusal)
    # npm and others print `error` as it is, clients of model services `message`.
    assert refusal["message"] in refusal["error"] and refusal["remedy"] in refusal["error"] and rule in refusal["error"]


def test_an_empty_slot_refuses(bottle, tmp_path, row):
    row("egress", "an empty token slot refuses, and nothing is forwarded bare")
    for environment in ({}, {"EGRESS_TOKEN_0": ""}, {"EGRESS_TOKEN_0": "a\nb"}, TOKENS | {"EGRESS_SLOTS": ""}, TOKENS | {"EGRESS_SLOTS": "0" * 64}):
        with running(bottle, tmp_path / str(len(str(environment))), environment) as (egress, far_end):
            answer = attacks.request(egress.proxy, attacks.API, "/")
            assert b" 403 " in answer and b'"rule": "slot"' in answer, answer
            assert not [entry for entry in far_end.log() if entry["event"] == "request"]


def test_an_error_in_the_rules_refuses(bottle, tmp_path, row):
    row("egress", "an error in the addon refuses")
    errors = [
        (attacks.OPEN, "def judge_request(", "def judge_request(nonsense, "),
        (attacks.OPEN, "names = [host", "names = 1 / 0, [host"),
        (attacks.OPEN, "def drop(", "def drop(nonsense, "),
        # What egress answers itself would go on to a server if there were no answer.
        ("_egress.local", "routes = [\n", "routes = 1 / 0, [\n"),
        # Another route than the one that was judged would be signed.
        (attacks.OPEN, "def clean(", "def clean(nonsense, "),
        # The log's reader has gone.
        (attacks.FOREIGN, "    print(json.dumps(", "    raise OSError\n    print(json.dumps("),
    ]
    for number, (host, *change) in enumerate(errors):
        shutil.copytree(bottle, tmp_path / f"{number}/target")
        patch(tmp_path / f"{number}/target", "egress/addon.py", [change])
        with running(tmp_path / f"{number}/target", tmp_path / f"{number}/run", TOKENS) as (egress, far_end):
            if host == attacks.OPEN:
                answer = attacks.request(egress.proxy, host, "/")
            else:
                answer = attacks.absolute(egress.proxy, f"http://{host}/allowlist", host)
            assert b" 403 " in answer and b'"rule": "internal"' in answer, answer
            assert not [entry for entry in far_end.log() if entry["event"] in ("connect", "request")]


def test_sighup_reads_the_routes_again_and_a_broken_file_closes(bottle, tmp_path, row):
    row("egress", "SIGHUP reloads; a broken routes.yaml closes")
    shutil.copytree(bottle, tmp_path / "target")
    routes = tmp_path / "target/egress/routes.yaml"
    with running(tmp_path / "target", tmp_path / "run", TOKENS) as (egress, _):
        status = lambda host: attacks.request(egress.proxy, host, "/").split(b"\r\n")[0].split(b" ")[1]
        assert (status(attacks.OPEN), status(attacks.FOREIGN)) == (b"200", b"403")
        good = routes.read_text()
        rewrite(routes, good.replace(attacks.OPEN, attacks.FOREIGN))
        assert egress.reload() == "reloaded"
        assert (status(attacks.OPEN), status(attacks.FOREIGN)) == (b"403", b"200")
        for broken in (
            good + "  - host: x.example\n    surprise: 1\n",
            good.replace("routes:", "route:"),
            good + f"  - host: {attacks.OPEN}\n",
            good + "  - host: x.example\n    path_allowlist: /\n",
            good + "  - host: x.example\n    auth_scheme: Bearer\n",
            good + "  - host: x.example\n    keep_authorization: 7\n",
            good + "  - host: x.example\n    opened: 7\n",
            re.sub("slots: .*\n", "", good),
            re.sub("slots: .*\n", "slots: 7\n", good),
            re.sub('slots: "', 'slots: "0', good),
            "slots: \"" + "0" * 64 + "\"\nroutes:\n  - host: x.example\n",
            "routes: [",
            "",
        ):
            rewrite(routes, broken)
            assert egress.reload() == "closed", broken
            assert status(attacks.OPEN) == b"403" and status(attacks.FOREIGN) == b"403"
            assert not egress.health()["healthy"]
        rewrite(routes, good)
        assert egress.reload() == "reloaded" and status(attacks.OPEN) == b"200" and egress.health()["healthy"]


def rule_of(egress, host, *headers) -> str:
    """The rule by which a request is refused; nothing if it is not."""
    answer = attacks.request(egress.proxy, host, "/", *headers)
    head, _, body = answer.partition(b"\r\n\r\n")
    return json.loads(body)["rule"] if b" 403 " in head.split(b"\r\n")[0] + b" " else ""


def test_what_runs_is_what_lies_there(bottle, tmp_path, row):
    row("egress", "it reads other routes by itself, and refuses all when another file has changed")
    for number, name in enumerate(("egress/routes.yaml", "egress/addon.py", "pipelock/pipelock.yaml")):
        target = tmp_path / f"{number}/target"
        shutil.copytree(bottle, target)
        with running(target, tmp_path / f"{number}/run", TOKENS) as (egress, far_end):
            assert egress.health() == {"healthy": True} and not rule_of(egress, attacks.OPEN)
            text = (target / name).read_text()
            if name == "egress/routes.yaml":
                narrowed = f"  - host: \"{attacks.OPEN}\"\n    path_allowlist:\n      - \"/inside\"\n"
                rewrite(target / name, text.replace(f'  - host: "{attacks.OPEN}"\n', narrowed))
                wait_for(lambda: rule_of(egress, attacks.OPEN) == "path", "the narrowed route", 5)
                assert egress.health() == {"healthy": True} and not rule_of(egress, attacks.API)
                # What egress was given is for other slots now.
                rewrite(target / name, re.sub('slots: "[0-9a-f]*"', f'slots: "{"0" * 64}"', text))
                wait_for(lambda: not egress.health()["healthy"], "the other slots", 5)
                assert rule_of(egress, attacks.API) == "slot" and not rule_of(egress, attacks.OPEN)
                (target / name).unlink()
                wait_for(lambda: rule_of(egress, attacks.OPEN) == "stale", "the missing file", 5)
            else:
                rewrite(target / name, text + "# another\n")
                wait_for(lambda: not egress.health()["healthy"], "the other file", 5)
                for again in (text + "# another\n", text):
                    rewrite(target / name, again)
                    egress.reload()
                    assert {rule_of(egress, host) for host in (attacks.API, attacks.OPEN)} == {"stale"}
                    assert not egress.health()["healthy"]
            tunnel = attacks.Tunnel(egress.proxy, attacks.OPEN)
            assert not tunnel.open and b'"stale"' in tunnel.answer


def test_a_reload_closes_what_the_new_routes_refuse(bottle, tmp_path, row):
    row("egress", "a reload closes websockets, uploads and answers that the new routes refuse, and no others")
    shutil.copytree(bottle, tmp_path / "target")
    routes = tmp_path / "target/egress/routes.yaml"
    with running(tmp_path / "target", tmp_path / "run", TOKENS) as (egress, far_end):
        held = {}
        for host in (attacks.OPEN, attacks.API):
            upload = attacks.Tunnel(egress.proxy, host)
            assert upload.send(f"POST /upload HTTP/1.1\r\nHost: {host}\r\nContent-Length: 9\r\n\r\nhalf".encode()) == b""
            # Its pieces are further apart than what `ask` takes for the end.
            answer = attacks.Tunnel(egress.proxy, host)
            assert b" 200 " in answer.send(f"GET /stream?chunks=200&pause=0.7&size=10 HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            held[host] = [open_websocket(egress, host), upload, answer]

        def are_open(host):
            socket, upload, answer = held[host]
            # An empty ping; its pong comes back. Of the answer, something had come before: more comes if it goes on.
            pong, taken = socket.send(b"\x89\x80\x00\x00\x00\x00"), upload.send(b"-more")
            return [bool(pong), bool(taken), bool(answer.send(b"") and answer.send(b""))]

        good = routes.read_text()
        rewrite(routes, good + "  - host: \"another.example.com\"\n")
        assert egress.reload() == "reloaded"
        time.sleep(0.3)
        assert all(are_open(attacks.OPEN)), "what the new routes let through goes on"
        rewrite(routes, re.sub('slots: "[0-9a-f]*"', f'slots: "{"0" * 64}"', good))
        held[attacks.OPEN][1] = attacks.Tunnel(egress.proxy, attacks.OPEN)
        held[attacks.OPEN][1].send(f"POST /upload HTTP/1.1\r\nHost: {attacks.OPEN}\r\nContent-Length: 9\r\n\r\nhalf".encode())
        wait_for(lambda: not egress.health()["healthy"], "the other slots", 5)
        assert not any(are_open(attacks.API)), "egress has other tokens than the routes say"
        far_end.forget()
        rewrite(routes, good.replace(attacks.OPEN, "another.example.com"))
        assert egress.reload() == "reloaded"
        assert not any(are_open(attacks.OPEN))
        assert not [entry for entry in far_end.log() if entry["event"] == "message"]


def open_websocket(egress, host):
    """A tunnel with a websocket in it that echoes."""
    tunnel = attacks.Tunnel(egress.proxy, host)
    lines = ["GET /ws-echo HTTP/1.1", f"Host: {host}", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"]
    lines += ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Extensions: permessage-deflate", "", ""]
    answer = tunnel.send("\r\n".join(lines).encode())
    assert answer.startswith(b"HTTP/1.1 101 ") and b"deflate" not in answer, answer
    return tunnel


def test_a_host_that_pipelock_opens_gets_a_connection_for_each_request(guarded, row):
    row("egress", "on a host that pipelock opens each request has a connection of its own, and the agent is told")
    egress, far_end = guarded
    for host, closes in ((attacks.OPEN, True), (attacks.API, False)):
        far_end.forget()
        answer = attacks.Tunnel(egress.proxy, host).send(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        (arrived,) = [entry for entry in far_end.log() if entry["event"] == "request"]
        said = [value for name, value in arrived["headers"] if name.lower() == "connection"]
        assert (said == ["close"]) == closes and (b"connection: close" in answer.lower()) == closes, (said, answer)


def test_a_services_own_cookies_and_parameters_go_on(guarded, row):
    row("egress", "of a list that may hold a key, what is not one goes on")
    egress, far_end = guarded
    far_end.forget()
    attacks.request(egress.proxy, attacks.GOOGLE, "/v1?key=x&alt=sse&k%65y=y&keys=z&$key=1")
    attacks.request(egress.proxy, attacks.CHATGPT, "/", "Cookie: __cf_bm=1; session=2; cf_clearance=3", "Cookie: _cfuvid=4")
    attacks.request(egress.proxy, attacks.OPENAI, "/", "Sec-WebSocket-Protocol: realtime, Openai-Insecure-Api-Key.x,beta")
    attacks.request(egress.proxy, attacks.API, "/v1?key=x", "Cookie: session=2", "Sec-WebSocket-Protocol: openai-insecure-api-key.x")
    google, chatgpt, openai, api = [entry for entry in far_end.log() if entry["event"] == "request"]
    values = lambda entry, wanted: [value for name, value in entry["headers"] if name.lower() == wanted]
    assert google["target"] == "/v1?alt=sse&keys=z"
    assert values(chatgpt, "cookie") == ["__cf_bm=1; cf_clearance=3; _cfuvid=4"]
    assert values(openai, "sec-websocket-protocol") == ["realtime, beta"]
    assert api["target"] == "/v1?key=x" and values(api, "cookie") == ["session=2"]
    assert values(api, "sec-websocket-protocol") == ["openai-insecure-api-key.x"]


def test_routes_that_cannot_be_read_end_the_start(bottle, tmp_path, row):
    row("egress", "a broken routes.yaml at the start ends egress")
    shutil.copytree(bottle, tmp_path / "target")
    (tmp_path / "target/egress/routes.yaml").write_text("routes: [1]\n")
    with pytest.raises((AssertionError, TimeoutError, ConnectionError)):
        with running(tmp_path / "target", tmp_path / "run", TOKENS):
            pass


def test_no_header_value_is_logged(bottle, tmp_path, row):
    row("egress", "the log holds no header value, path or token")
    canary = "canary-in-a-header-91c2"
    with running(bottle, tmp_path / "run", TOKENS) as (egress, _):
        headers = [f"{name}: {canary}" for name in ("Authorization", "Cookie", "X-Api-Key", "Content-Type", "Expect", "TE")]
        for host in (attacks.API, attacks.FORGE, attacks.OPEN, attacks.FOREIGN):
            attacks.request(egress.proxy, host, f"/{canary}", *headers)
            attacks.request(egress.proxy, host, "/", host_header=canary)
            for broken in (f"Content-Length: {canary}", f"Transfer-Encoding: {canary}", f"Bad {canary} name: x", f"{canary}"):
                attacks.request(egress.proxy, host, "/", broken)
            attacks.request_h2(egress.proxy, host, [*attacks.pseudo(host), ("content-length", canary), ("x y", canary), ("te", canary)])
            attacks.request_h2(egress.proxy, host, [*attacks.pseudo(host), ("Upper", canary), (":odd", canary)])
    log = egress.log()  # once it has ended: mitmproxy's own lines come late
    assert '"event": "refused"' in log
    assert canary not in log and "real-token" not in log, log


def test_a_long_answer_and_an_upload_flow_through(guarded, row):
    row("egress", "answers and uploads are streamed, in bounded memory")
    egress, far_end = guarded
    context = ssl.create_default_context(cafile=egress.authority)
    tunnel = attacks.Tunnel(egress.proxy, attacks.OPEN, tls=False)
    sock = context.wrap_socket(tunnel.sock, server_hostname=attacks.OPEN)
    sock.settimeout(20)
    sock.sendall(f"GET /stream?chunks=6&pause=0.3&size=100 HTTP/1.1\r\nHost: {attacks.OPEN}\r\n\r\n".encode())
    arrivals, received = [], b""
    while not received.endswith(b"0\r\n\r\n"):
        received += sock.recv(65536)
        arrivals.append(time.monotonic())
    assert arrivals[-1] - arrivals[0] > 1, "the first piece comes long before the last"

    sock = attacks.Tunnel(egress.proxy, attacks.OPEN).sock
    before, size = egress.memory(), 200 << 20
    head = f"POST /upload HTTP/1.1\r\nHost: {attacks.OPEN}\r\nContent-Length: {size}\r\n\r\n"
    sock.sendall(head.encode())
    piece = bytes(1 << 20)
    for _ in range(size // len(piece)):
        sock.sendall(piece)
    answer = attacks.ask(sock, b"", 30)
    assert str(size).encode() in answer, answer[:300]
    assert egress.memory() - before < 64 << 20


def test_a_long_refused_upload_is_cut_off(guarded, row):
    row("egress", "a long refused upload is cut off, not held")
    egress, _ = guarded
    before = egress.memory()
    head = f"POST /upload HTTP/1.1\r\nHost: {attacks.FOREIGN}\r\nContent-Length: {1 << 30}\r\n\r\n".encode()
    tunnel = attacks.Tunnel(egress.proxy, attacks.OPEN)
    with pytest.raises(OSError):
        tunnel.sock.settimeout(10)
        tunnel.sock.sendall(head)
        for _ in range(200):
            tunnel.sock.sendall(bytes(1 << 20))
    assert egress.memory() - before < 32 << 20


def test_websocket_messages_flow_both_ways(guarded, row):
    row("egress", "websocket messages flow both ways")
    egress, _ = guarded
    import wsproto
    from wsproto.events import AcceptConnection, Request, TextMessage

    tunnel = attacks.Tunnel(egress.proxy, attacks.OPEN)
    connection = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
    tunnel.sock.settimeout(10)
    tunnel.sock.sendall(connection.send(Request(host=attacks.OPEN, target="/ws-echo")))
    seen = []

    def receive(kind):
        while not any(isinstance(event, kind) for event in seen):
            connection.receive_data(tunnel.sock.recv(65536))
            seen.extend(connection.events())
        return [seen.pop(index) for index, event in enumerate(seen) if isinstance(event, kind)][0]

    receive(AcceptConnection)
    for text in ("one", "two", "x" * 300_000):
        tunnel.sock.sendall(connection.send(TextMessage(text)))
        echoed = ""
        while len(echoed) < len(text):
            echoed += receive(TextMessage).data
        assert echoed == text
