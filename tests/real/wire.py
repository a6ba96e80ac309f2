"""What a client may put on the wire: bytes that are not HTTP, almost HTTP, or HTTP that two servers
read in two ways. Each case says what egress answers, status by status; everything that is answered
with 200 has reached the far end once, and nothing else has reached it.

API is signed with a token of its own, FORGE with another one and narrowed to INSIDE, OPEN is free.
"""

import socket
import ssl
import time
from dataclasses import dataclass
from pathlib import Path

from attacks import API, CANARY, FOREIGN, FORGE, INSIDE, OPEN
from egress import compile_bottle, patch

MANIFEST = f"""\
name: target
agent_provider: {{ template: claude }}
egress:
  routes:
    - host: {API}
      auth: {{ scheme: Bearer, token_ref: API_TOKEN }}
      pipelock: {{ tls_passthrough: true }}
    - host: {FORGE}
      auth: {{ scheme: token, token_ref: FORGE_TOKEN }}
      path_allowlist: [{INSIDE}]
      pipelock: {{ tls_passthrough: true }}
    - host: {OPEN}
    - host: misnamed.example.com
      auth: {{ scheme: Bearer, token_ref: API_TOKEN }}
      pipelock: {{ tls_passthrough: true }}
    - host: unknown.example.com
      auth: {{ scheme: Bearer, token_ref: API_TOKEN }}
      pipelock: {{ tls_passthrough: true }}
"""
TOKENS = {f"EGRESS_TOKEN_{slot}": f"token-{slot}-of-egress" for slot in range(2)}
SIGNED = {API: f"Bearer {TOKENS['EGRESS_TOKEN_0']}", FORGE: f"token {TOKENS['EGRESS_TOKEN_1']}"}
ROUTED = {API: "/", FORGE: INSIDE, OPEN: "/"}


def compiled(folder: Path) -> Path:
    """The cases' bottle. That pipelock opens OPEN is left out: egress would end each connection behind its first answer."""
    bottle = compile_bottle(folder, MANIFEST)
    patch(bottle, "egress/routes.yaml", [("    opened: true\n", "")])
    return bottle


# A client waits no longer than this for the next byte; a case that takes longer hangs.
DEADLINE = 15


@dataclass
class Case:
    """`sent` goes through a tunnel to `host`, or as the first bytes to egress if that is None."""

    sent: bytes
    statuses: list[int]
    host: str | None = OPEN
    # Whether the client ends its side when it has sent all: what is left open then has to be closed.
    ends: bool = False
    alpn: tuple[str, ...] = ("http/1.1",)
    sni: str | None = None
    tls: bool = True
    # The TLS of a client that speaks it with egress itself, before any CONNECT.
    outer: str | None = None
    # Begun requests that the far end may see and refuse since they never end.
    cut: int = 0
    # What is sent when the far end has been reached.
    later: bytes = b""
    # How many requests reach the far end, if it is not one for each 200 and 101.
    arrive: int | None = None

    def arriving(self) -> int:
        return self.arrive if self.arrive is not None else self.statuses.count(200) + self.statuses.count(101)


CASES: dict[str, Case] = {}


def case(name: str, sent: bytes | str, *statuses: int, **more):
    assert name not in CASES, name
    sent = sent.encode("latin-1") if isinstance(sent, str) else sent
    CASES[name] = Case(sent, list(statuses), **more)


def good(host=OPEN, path="/", *headers, method="GET", body="", close=True) -> str:
    end = ["Connection: close"] if close else []
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {host}", *headers, *end, "", ""]) + body


def open_case(sock: socket.socket, what: Case):
    """Leads the connection to where the case's bytes go; returns the last statuses if it ends before."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if what.outer is not None:
        sock = context.wrap_socket(sock, server_hostname=what.outer)
    if what.host is None:
        return sock
    sock.sendall(f"CONNECT {what.host}:443 HTTP/1.1\r\nHost: {what.host}:443\r\n\r\n".encode())
    head = b""
    while b"\r\n\r\n" not in head:
        piece = sock.recv(1)
        if not piece:
            raise ConnectionError(head)
        head += piece
    assert b" 200 " in head, head
    if not what.tls:
        return sock
    context.set_alpn_protocols(list(what.alpn))
    if what.outer is None:
        sock = context.wrap_socket(sock, server_hostname=what.sni or what.host)
        assert sock.selected_alpn_protocol() in (None, "http/1.1")
        return sock
    return Nested(sock, context, what.sni or what.host)


class Nested:
    """TLS in TLS, which a socket cannot do."""

    def __init__(self, outer: ssl.SSLSocket, context: ssl.SSLContext, name: str):
        self.outer, self.incoming, self.outgoing = outer, ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=name)
        self.step(self.tls.do_handshake)

    def step(self, action, *arguments):
        while True:
            try:
                return action(*arguments)
            except ssl.SSLWantReadError:
                self.flush()
                piece = self.outer.recv(65536)
                if not piece:
                    raise ConnectionError("the tunnel has ended")
                self.incoming.write(piece)
            finally:
                self.flush()

    def flush(self):
        self.outer.sendall(self.outgoing.read())

    def sendall(self, data):
        self.step(self.tls.write, data)

    def recv(self, size):
        return self.step(self.tls.read, size)

    def settimeout(self, seconds):
        self.outer.settimeout(seconds)

    def close(self):
        self.outer.close()


def converse(proxy, what: Case, deadline: float = DEADLINE) -> bytes:
    """All that the client gets until egress closes, or None in time's place: TimeoutError."""
    sock = socket.create_connection(proxy, deadline)
    try:
        sock = open_case(sock, what)
        sock.settimeout(deadline)
        seen = b""
        try:
            sock.sendall(what.sent)
            if what.later:
                time.sleep(0.2)
                sock.sendall(what.later)
            if what.ends:
                # Python's TLS cannot end one side alone.
                return quiet(sock)
            while piece := sock.recv(65536):
                seen += piece
        except TimeoutError:
            raise TimeoutError(f"nothing for {deadline} s after {seen!r}") from None
        except OSError:
            pass
        return seen
    finally:
        sock.close()


def quiet(sock, patience: float = 0.3) -> bytes:
    """All that comes until the other side is quiet."""
    sock.settimeout(patience)
    seen = b""
    try:
        while piece := sock.recv(65536):
            seen += piece
    except OSError:
        pass
    return seen


def answers(seen: bytes) -> list[tuple[int, bytes]]:
    """Status and body of each answer; 0 for what is no answer."""
    found = []
    while seen:
        head, end, rest = seen.partition(b"\r\n\r\n")
        words = head.split(b"\r\n")[0].split(b" ")
        if not end or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
            return [*found, (0, seen)]
        fields = [line.lower().partition(b": ") for line in head.split(b"\r\n")[1:]]
        length = next((int(value) for name, _, value in fields if name == b"content-length"), 0)
        found.append((int(words[1]), rest[:length]))
        seen = rest[length:]
    return found


OWN = f"Authorization: Bearer {CANARY}"
NEXT = good(OPEN, f"/{CANARY}")

# What is not a request.
case("nothing", "", host=None, ends=True)
case("nothing in the tunnel", "", ends=True)
case("empty lines alone", "\r\n\r\n\r\n", ends=True)
# mitmproxy reads on behind empty lines when more comes; until then nothing is sent on.
case("empty lines before a request", "\r\n" + good(), ends=True)
case("a method alone", "GET\r\n\r\n", 400)
case("no version", "GET /\r\n\r\n", 400)
case("four words", f"GET / x HTTP/1.1\r\nHost: {OPEN}\r\n\r\n", 400)
case("a version that is none", f"GET / HTTP/x.y\r\nHost: {OPEN}\r\n\r\n", 400)
case("version 11", f"GET / HTTP/11\r\nHost: {OPEN}\r\n\r\n", 400)
case("another protocol's version", f"OPTIONS / RTSP/1.0\r\nHost: {OPEN}\r\n\r\n", 400)
case("version in small letters", f"GET / http/1.1\r\nHost: {OPEN}\r\n\r\n", 400)
for version in ("0.9", "1.2", "1.9", "2.0", "3.0", "9.9"):
    case(f"version {version}", f"GET / HTTP/{version}\r\nHost: {OPEN}\r\nConnection: close\r\n\r\n", 403)
case("version 1.0", f"GET / HTTP/1.0\r\nHost: {OPEN}\r\n\r\n", 403)
case("blanks before the method", f"  GET / HTTP/1.1\r\nHost: {OPEN}\r\nConnection: close\r\n\r\n", 200)
case("tabs between words", f"GET\t/\tHTTP/1.1\r\nHost: {OPEN}\r\nConnection: close\r\n\r\n", 200)
case("form feeds between words", f"GET\f/\fHTTP/1.1\r\nHost: {OPEN}\r\nConnection: close\r\n\r\n", 200)
case("bare line feeds", f"GET / HTTP/1.1\nHost: {OPEN}\nConnection: close\n\n", 200)
case("bare carriage returns", f"GET / HTTP/1.1\rHost: {OPEN}\r\r", ends=True)
case("a carriage return in the target", f"GET /\rx HTTP/1.1\r\nHost: {OPEN}\r\n\r\n", 400)
case("a NUL in the target", good(path="/\0x"), 403)
case("a NUL in the method", good(method="G\0T"), 403)
case("a NUL in the version", f"GET / HTTP/1.1\0\r\nHost: {OPEN}\r\n\r\n", 400)
case("bytes above ASCII in the target", good(path="/\xe4"), 403)
case("bytes above ASCII in the method", good(method="G\xc4T"), 403)
case("a method of punctuation", good(method="(){}"), 403)
case("a method of 64 KiB", good(method="A" * 65536), 200)
case("a fragment in the target", good(path="/a#b"), 403)
case("a target without a slash", good(path="a"), 400)
case("an empty target", good(path=""), 400)
case("the target *", good(path="*", method="OPTIONS"), 403)
case("an absolute target for the tunnel's host", good(path=f"https://{OPEN}/a"), 200)
case("an absolute target for another host", good(path=f"https://{FOREIGN}/a"), 403)
case("an absolute target in plain http", good(path=f"http://{OPEN}/a"), 200)
case("an absolute target with a user", good(path=f"https://u:{CANARY}@{OPEN}/a"), 400)
case("an absolute target of another scheme", good(path=f"ftp://{OPEN}/a"), 400)
case("an absolute target for a port", good(path=f"https://{OPEN}:8443/a"), 403)
case("CONNECT in the tunnel", f"CONNECT {FOREIGN}:443 HTTP/1.1\r\nHost: {FOREIGN}:443\r\n\r\n", 400)
case("CONNECT in small letters in the tunnel", good(path="/", method="connect"), 400)
case("TRACE in small letters", good(API, method="trace"), 403, host=API)
case("an Upgrade that the server takes up", good(OPEN, "/switch", "Connection: Upgrade", "Upgrade: other", close=False) + CANARY + "\r\n\r\n", 403, 400)
case("an Upgrade to HTTP/2", good(OPEN, "/", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA", close=False) + "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 403)
case("a websocket of no version, raw bytes behind it", good(OPEN, "/switch", "Connection: Upgrade", "Upgrade: websocket", close=False) + NEXT, 101)
UPGRADE = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
for name, lines in {
    "a length": [*UPGRADE, f"Content-Length: {len(CANARY)}"], "a length of 0": [*UPGRADE, "Content-Length: 0"], "chunks": [*UPGRADE, "Transfer-Encoding: chunked"],
}.items():
    body = {"a length": CANARY, "a length of 0": "", "chunks": f"{len(CANARY):x}\r\n{CANARY}\r\n0\r\n\r\n"}[name]
    # A refused body in chunks is cut off without an answer.
    case(f"a websocket with {name}", good(OPEN, "/switch-at-once", *lines, body=body), *([] if name == "chunks" else [403]))
case("a websocket by POST", good(OPEN, "/switch-at-once", *UPGRADE, method="POST"), 403)
case("two Upgrades", good(OPEN, "/switch-at-once", *UPGRADE, "Upgrade: h2c"), 403)

# Headers.
case("no Host", "GET / HTTP/1.1\r\nConnection: close\r\n\r\n", 403)
case("an empty Host", "GET / HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n", 403)
case("the same Host twice", good(OPEN, "/", f"Host: {OPEN}"), 200)
case("another Host first", f"GET / HTTP/1.1\r\nHost: {FOREIGN}\r\nHost: {OPEN}\r\nConnection: close\r\n\r\n", 403)
case("two hosts in one Host", good(f"{OPEN}, {FOREIGN}"), 403)
case("a Host with a port", good(f"{OPEN}:443"), 200)
case("a Host with another port", good(f"{OPEN}:80"), 403)
case("a Host with two ports", good(f"{OPEN}:443:443"), 403)
case("a Host with a dot at the end", good(f"{OPEN}."), 403)
case("a Host in capitals", good(OPEN.upper()), 200)
case("a Host with a path", good(f"{OPEN}/x"), 403)
case("a Host with a user", good(f"{CANARY}@{OPEN}"), 403)
case("a Host above ASCII", good(f"{OPEN}\xe4"), 403)
case("a Host in full-width letters", good("\uff4fpen.example.com".encode().decode("latin-1")), 403)
case("a Host in a folded line", f"GET / HTTP/1.1\r\nHost:\r\n {OPEN}\r\nConnection: close\r\n\r\n", 403)
case("a Host with a blank before its colon", f"GET / HTTP/1.1\r\nHost : {OPEN}\r\nConnection: close\r\n\r\n", 400)
case("a blank before the colon", good(OPEN, "/", f"Authorization : Bearer {CANARY}"), 400)
case("a tab before the colon", good(OPEN, "/", f"Authorization\t: Bearer {CANARY}"), 400)
case("a header without a colon", good(OPEN, "/", "nonsense"), 400)
case("a header without a name", good(OPEN, "/", ": x"), 400)
case("a name above ASCII", good(OPEN, "/", "X-\xe4: x"), 400)
case("a control character in a name", good(OPEN, "/", "X-\x01: x"), 400)
case("a NUL in a name", good(OPEN, "/", f"Auth\0orization: {CANARY}"), 400)
case("a NUL in a value", good(OPEN, "/", "X-A: b\0c"), 403)
case("a bare carriage return in a value", good(OPEN, "/", f"X-A: b\r{OWN}"), 403)
case("a control character in a value", good(OPEN, "/", "X-A: b\x01c"), 403)
case("a DEL in a value", good(OPEN, "/", "X-A: b\x7fc"), 403)
case("a value above ASCII", good(OPEN, "/", "X-A: \xe4\xff"), 200)
case("a folded line", good(OPEN, "/", "X-A: b", " c"), 403)
case("a folded first line", f"GET / HTTP/1.1\r\n X-A: b\r\nHost: {OPEN}\r\n\r\n", 400)
case("a folded credential", good(OPEN, "/", "X-A: b", f" {OWN}"), 403)
case("a line feed alone that begins a credential", good(OPEN, "/", f"X-A: b\n{OWN}"), 200)
case("own credential", good(API, "/", OWN), 200, host=API)
case("own credential, twice", good(API, "/", OWN, OWN.upper()), 200, host=API)
case("own credential that Connection names", good(API, "/", OWN, "Connection: Authorization"), 403, host=API)
case("egress's credential that Connection names", good(API, "/", "Connection: keep-alive, authorization"), 403, host=API)
case("the Host that Connection names", good(API, "/", "Connection: Host"), 403, host=API)
case("Connection with what clients say", good(OPEN, "/", "Connection: TE, Keep-Alive"), 200)
for name in ("Proxy_Authorization", "X_Original_URL", "x-rewrite_url", "X_HTTP_Method_Override", "X-HTTP_Method", "proxy_authorization"):
    case(f"with underscores: {name}", good(OPEN, "/", f"{name}: {CANARY}"), 200)
for name in (
    "Via", "Forwarded", "X-Forwarded-Host", "X-Forwarded-For", "x-forwarded-anything", "X-Host", "X-Real-IP", "X.Forwarded~Host", "Proxy-Connection",
    "X-Method-Override", "X-HTTP-Method-Override",
):
    case(f"for the way: {name}", good(OPEN, "/", f"{name}: {CANARY}"), 200)
for name in (
    "X_Api_Key", "API_KEY", "Private_Token", "x_goog-api_key", "X.Api.Key", "X!Api~Key", "JOB-TOKEN", "Deploy-Token", "X-Auth-Token", "X-Token",
    "Ocp-Apim-Subscription-Key", "X-Authorization", "apikey",
):
    for host in (API, OPEN):
        case(f"a key of its own at {host}: {name}", good(host, "/", f"{name}: {CANARY}"), 200, host=host)
case("an underscore that means nothing", good(OPEN, "/", "session_id: 7"), 200)
case("a header of 1 MB", good(OPEN, "/", "X-A: " + "b" * 1_000_000), 403)
case("a header of 60 KB", good(OPEN, "/", "X-A: " + "b" * 60_000), 200)
case("a header of 256 KiB and more", good(OPEN, "/", "X-A: " + "b" * (256 << 10)), 403)
case("a target of 1 MB", good(FORGE, INSIDE + "/" + "%2561" * 200_000), 403, host=FORGE)
case("a target of 16 KiB", good(FORGE, f"{INSIDE}/".ljust(16 << 10, "b")), 200, host=FORGE)
case("a target of 16 KiB and a byte", good(FORGE, f"{INSIDE}/".ljust((16 << 10) + 1, "b")), 403, host=FORGE)
case("2,000 headers", good(OPEN, "/", *(f"X-{n}: {n}" for n in range(2_000))), 200)
case("50,000 headers", good(OPEN, "/", *(f"X-{n}: {n}" for n in range(50_000))), 403)
case("12,000 headers that are dropped", good(OPEN, "/", *(f"X-Forwarded-{n}: {n}" for n in range(12_000))), 200)
case("5,000 credentials of its own", good(API, "/", *([OWN] * 5_000)), 200, host=API)

# How long a body is, said in two ways.
for name, lines in {
    "length and chunks": ["Content-Length: 4", "Transfer-Encoding: chunked"],
    "chunks and length": ["Transfer-Encoding: chunked", "Content-Length: 4"],
    "chunks and length 0": ["Transfer-Encoding: chunked", "Content-Length: 0"],
    "two lengths": ["Content-Length: 4", "Content-Length: 44"],
    "one length twice": ["Content-Length: 4", "Content-Length: 4"],
    "two lengths in one": ["Content-Length: 4, 44"],
    "one length twice in one": ["Content-Length: 4, 4"],
    "a length with a sign": ["Content-Length: +4"],
    "a length below zero": ["Content-Length: -4"],
    "a length with an underscore": ["Content-Length: 1_0"],
    "a length in hexadecimal": ["Content-Length: 0x4"],
    "a length that begins with 0": ["Content-Length: 04"],
    "a length with a fraction": ["Content-Length: 4.0"],
    "a length with words": ["Content-Length: 4 4"],
    "a length in other digits": ["Content-Length: \xd9\xa4"],
    "a length of 5,000 digits": ["Content-Length: " + "9" * 5_000],
    "a length with a blank before its colon": ["Content-Length : 4"],
    "a length in a folded line": ["Content-Length:", " 4"],
    "coding with a blank before its colon": ["Transfer-Encoding : chunked"],
    "coding in a folded line": ["Transfer-Encoding:", " chunked"],
    "coding xchunked": ["Transfer-Encoding: xchunked"],
    "coding twice": ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
    "coding twice in one": ["Transfer-Encoding: chunked, chunked"],
    "coding identity": ["Transfer-Encoding: identity"],
    "coding identity beside chunked": ["Transfer-Encoding: identity", "Transfer-Encoding: chunked"],
    "coding chunked, identity": ["Transfer-Encoding: chunked, identity"],
    "coding gzip": ["Transfer-Encoding: gzip"],
    "coding cow": ["Transfer-Encoding: chunked, cow"],
    "coding in quotes": ['Transfer-Encoding: "chunked"'],
    "coding with a semicolon": ["Transfer-Encoding: chunked;q=1"],
    "coding behind a vertical tab in it": ["Transfer-Encoding: x\x0bchunked"],
    "coding with a NUL": ["Transfer-Encoding: chunked\0"],
    "coding with a letter above ASCII": ["Transfer-Encoding: chun\u212aed".encode().decode("latin-1")],
    "coding with a bare carriage return": ["X: x\rTransfer-Encoding: chunked", "Content-Length: 4"],
}.items():
    statuses = [403] if "\r" in lines[0] else [400]
    case(f"smuggling: {name}", good(OPEN, "/", *lines, method="POST", body="0\r\n\r\n" + NEXT), *statuses)
case("smuggling: coding gzip, chunked", good(OPEN, "/", "Transfer-Encoding: gzip, chunked", method="POST", body="0\r\n\r\n"))
for name in ("Transfer_Encoding: chunked", "Content_Length: 40", "transfer-encoding_: chunked"):
    case(f"smuggling: {name}", good(OPEN, "/", name, "Content-Length: 5", method="POST", body="0\r\n\r\n" + NEXT), 200 if name.endswith("_: chunked") else 403)
case("smuggling: coding in HTTP/1.0", f"POST / HTTP/1.0\r\nHost: {OPEN}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + NEXT, 400)
case("smuggling: a body of a GET", good(OPEN, "/", f"Content-Length: {len(NEXT)}", body=NEXT), 200)
case("smuggling: a body of a GET without a length", good(OPEN, "/", close=False) + good(FORGE, "/elsewhere"), 200, 403)

CHUNKED = "Transfer-Encoding: chunked"


def chunked(body: str, *headers, host=OPEN, path="/upload") -> str:
    return good(host, path, CHUNKED, *headers, method="POST", body=body)


case("chunks", chunked("3\r\nabc\r\n0\r\n\r\n"), 200)
case("chunks in capitals", chunked("A\r\n0123456789\r\n0\r\n\r\n").replace("chunked", "CHUNKED"), 200)
case("chunks with an extension", chunked(f'3;a="{CANARY}"\r\nabc\r\n0;b\r\n\r\n'), 200)
case("chunks with zeros before the size", chunked("0003\r\nabc\r\n000\r\n\r\n"), 200)
case("chunks without their ends", chunked("3\r\nabcXX0\r\n\r\n"), 200)
for name, body in {
    "no size": "\r\n\r\n", "a size of other letters": "g\r\n\r\n", "a size below zero": "-1\r\n\r\n", "a size with 0x": "0x3\r\nabc\r\n0\r\n\r\n",
    "a size with an underscore": "1_0\r\n\r\n", "a size with blanks before": " 3\r\nabc\r\n0\r\n\r\n", "a size of 30 digits": "f" * 30 + "\r\nabc",
    "a size with a NUL": "3\0\r\nabc\r\n0\r\n\r\n",
}.items():
    case(f"chunks with {name}", chunked(body))
    case(f"chunks, the second with {name}", chunked("3\r\nabc\r\n"), later=body.encode(), cut=1)
case("chunks with a bare line feed behind the size", chunked("3\nabc\r\n0\r\n\r\n"), ends=True)
# mitmproxy reads no trailer: the request does not end, and ends with its connection.
for name, trailer in {"a trailer": OWN, "a trailer that is no header": CANARY, "an empty trailer": "X:", "a folded trailer": f"X: y\r\n {OWN}"}.items():
    case(f"chunks with {name}", chunked(f"3\r\nabc\r\n0\r\n{trailer}\r\n\r\n"), ends=True)
    case(f"chunks, and later {name}", chunked("3\r\nabc\r\n"), later=f"0\r\n{trailer}\r\n\r\n".encode(), ends=True, cut=1)
case("chunks with an announced trailer", chunked(f"3\r\nabc\r\n0\r\n{OWN}\r\n\r\n", "Trailer: Authorization"), ends=True)
case("chunks, and later a trailer for a signed host", chunked("3\r\nabc\r\n", host=API), later=f"0\r\n{OWN}\r\n\r\n".encode(), host=API, ends=True, cut=1)
case("chunks that do not end", chunked("3\r\nabc\r\n"), ends=True, cut=1)
case("chunks of a request that is refused", chunked("3\r\nabc\r\n0\r\n\r\n", host=FORGE, path="/elsewhere"), host=FORGE)

# One request behind the other.
case("two requests", good(close=False) + good(), 200, 200)
case("two requests, the second to another host", good(close=False) + good(FOREIGN), 200, 403)
case("two requests, the first refused", good(FOREIGN, close=False) + good(), 403, 200)
case("two requests, the second outside the prefix", good(FORGE, INSIDE, close=False) + good(FORGE, "/elsewhere"), 200, 403, host=FORGE)
case("two requests, the first outside the prefix", good(FORGE, "/elsewhere", close=False) + good(FORGE, INSIDE), 403, 200, host=FORGE)
case("a refused body that is a request", good(FORGE, "/elsewhere", f"Content-Length: {len(NEXT)}", close=False, body=NEXT) + good(FORGE, INSIDE), 403, 200, host=FORGE)
case("a body that is a request", good(FORGE, INSIDE, f"Content-Length: {len(NEXT)}", method="POST", close=False, body=NEXT) + good(FORGE, INSIDE), 200, 200, host=FORGE)
case("a request behind Connection: close", good() + NEXT, 200)
case("30 requests", good(close=False) * 29 + good(), *[200] * 30)
case("30 requests, every second refused", (good(close=False) + good(FOREIGN, close=False)) * 14 + good(close=False) + good(FOREIGN), *[200, 403] * 15)
case("a request behind one that waits for 100", good(OPEN, "/upload", "Expect: 100-continue", "Content-Length: 3", method="POST", close=False, body="abc") + good(), 100, 200, 200)
case("an Expect of something else", good(OPEN, "/", f"Expect: {CANARY}"), 200)

# Half of a request.
HALF = good(OPEN, "/", "X-A: b")
for name, at in {"in the method": 2, "in the target": 5, "in the version": 10, "in a header": 30, "before the last line feed": len(HALF) - 1}.items():
    case(f"cut {name}", HALF[:at], ends=True)
case("cut in the body", good(OPEN, "/upload", "Content-Length: 100", method="POST", body="abc"), ends=True, cut=1)
case("cut in the body of a refused request", good(FOREIGN, "/", "Content-Length: 100", method="POST", body="abc"), ends=True)
case("cut behind a CONNECT", f"CONNECT {OPEN}:443 HTTP/1.1\r\nHost: {OPEN}:443\r\n\r\n\x16\x03\x01", 200, host=None, ends=True, arrive=0)

# What is said to egress itself.
case("a request for itself", good("_egress.local", "/allowlist"), 200, host=None, arrive=0)
case("a request for itself, absolute", good("_egress.local", "http://_egress.local/allowlist"), 200, host=None, arrive=0)
case("itself, with POST", good("_egress.local", "/allowlist", method="POST"), 404, host=None)
case("itself, other path", good("_egress.local", "/../allowlist"), 404, host=None)
case("an origin target with a Host, without a tunnel", good(OPEN), 403, host=None)
case("an origin target without a Host, without a tunnel", "GET / HTTP/1.1\r\n\r\n", 400, host=None)
case("an absolute https target without a tunnel", good(OPEN, f"https://{OPEN}/"), 403, host=None)
case("an absolute https target for a signed host without a tunnel", good(API, f"https://{API}/"), 403, host=None)
case("a CONNECT without a port", f"CONNECT {OPEN} HTTP/1.1\r\nHost: {OPEN}\r\n\r\n", 400, host=None)
case("a CONNECT with a user", f"CONNECT u@{OPEN}:443 HTTP/1.1\r\nHost: {OPEN}\r\n\r\n", 400, host=None)
case("a CONNECT with a path", f"CONNECT {OPEN}:443/x HTTP/1.1\r\nHost: {OPEN}\r\n\r\n", 400, host=None)
case("a CONNECT in small letters", f"connect {OPEN}:443 HTTP/1.1\r\nHost: {OPEN}\r\n\r\n", 400, host=None)
case("a CONNECT for two hosts", f"CONNECT {OPEN}:443,{FOREIGN}:443 HTTP/1.1\r\nHost: {OPEN}\r\n\r\n", 400, host=None)
case("a CONNECT for an IPv6 address", "CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n\r\n", 403, host=None, ends=True)
case("a CONNECT for port 0", f"CONNECT {OPEN}:0 HTTP/1.1\r\nHost: {OPEN}\r\n\r\n", 400, host=None)
case("a CONNECT for port 65536", f"CONNECT {OPEN}:65536 HTTP/1.1\r\nHost: {OPEN}\r\n\r\n", 400, host=None)
case("a CONNECT for a name of 1,000 letters", f"CONNECT {'a' * 1000}:443 HTTP/1.1\r\nHost: x\r\n\r\n", 400, host=None)
case("a CONNECT with both lengths", f"CONNECT {OPEN}:443 HTTP/1.1\r\nHost: {OPEN}\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400, host=None)
case("a CONNECT for a foreign host, a request behind it", f"CONNECT {FOREIGN}:443 HTTP/1.1\r\nHost: {FOREIGN}:443\r\n\r\n" + NEXT, 403, 403, host=None)
case("SOCKS", b"\x05\x01\x00", host=None, ends=True)
case("SSH", "SSH-2.0-x\r\n\r\n", 400, host=None)
case("plain http in the tunnel", good(), 403, tls=False)
case("plain http in the tunnel of a signed host", good(API), 403, host=API, tls=False)
case("TLS to another server name", good(), 403, sni=FOREIGN)
case("TLS to a signed server name in an open tunnel", good(API), 403, sni=API)
case("TLS with egress, and a request without a tunnel", good(API), 200, host=None, outer=API)
case("TLS with egress, and a request for another host", good(API), 403, host=None, outer=OPEN)
case("TLS with egress, and an absolute target", good(API, f"https://{API}/"), 200, host=None, outer=API)
case("TLS with egress, and an absolute target for another host", good(OPEN, f"https://{API}/"), 403, host=None, outer=OPEN)
case("TLS with egress, a tunnel in it and plain http", good(API), 403, host=API, outer=API, tls=False)
case("TLS with egress, and TLS in a tunnel", good(API), 200, host=API, outer=OPEN)
case("TLS with egress, and TLS in a tunnel to another name", good(API), 403, host=OPEN, outer=API, sni=API)

# Servers that are not who they should be get neither a request nor a token.
case("a server with another name's certificate", good("misnamed.example.com"), 502, host="misnamed.example.com")
case("a server with a certificate of nobody's", good("unknown.example.com"), 502, host="unknown.example.com")

# What holds some of the cases: changes of `egress/addon.py`, and cases that then go wrong.
GUARDS = {
    "framing": ([("judge_framing(asked.version, asked.method, asked.headers)", "pass")], ["version 2.0", "version 0.9", "own credential that Connection names", "smuggling: Content_Length: 40", "smuggling: coding gzip, chunked"]),
    "upgrades": ([('if upgrades and (upgrades != ["websocket"]', 'if False and (upgrades != ["websocket"]')], ["an Upgrade that the server takes up"]),
    "size": ([("judge_size(asked.target, asked.headers.fields)", "pass")], ["a header of 1 MB", "a target of 16 KiB and a byte"]),
    "one Host": ([('headers["Host"] = route.host', "pass")], ["the same Host twice"]),
    "names with other signs": ([('names.fullmatch(folded(name.decode("latin-1")))', 'names.fullmatch(name.decode("latin-1").lower())')], ["with underscores: X_Original_URL", f"a key of its own at {API}: API_KEY", f"a key of its own at {OPEN}: X!Api~Key"]),
    "header": ([("judge_headers(asked.headers.fields)", "pass")], ["a folded line", "a bare carriage return in a value"]),
    "own credential": ([("drop(headers, CREDENTIALS, kept=", "dict(kept="), ("        sign(request, route)", "        pass")], ["own credential", "5,000 credentials of its own", f"a key of its own at {OPEN}: JOB-TOKEN"]),
    "for the way": ([("drop(headers, DROPPED)", "pass")], ["for the way: Via", "for the way: X-Forwarded-Host"]),
    "validation": ([('"validate_inbound_headers": True', '"validate_inbound_headers": False')], ["smuggling: length and chunks", "a blank before the colon"]),
    "no raw bytes": ([('"rawtcp": False', '"rawtcp": True'), ("judge_framing(asked.version, asked.method, asked.headers)", "pass")], ["an Upgrade that the server takes up"]),
    "authority": ([("if sni is None or sni.lower() != route.host or not names or any(name != route.host for name in names):", "if False:")], ["TLS with egress, and an absolute target for another host", "an absolute https target for a signed host without a tunnel"]),
    "the server's certificate": ([('"upstream_cert": False,', '"upstream_cert": False, "ssl_insecure": True,')], ["a server with another name's certificate", "a server with a certificate of nobody's"]),
}
