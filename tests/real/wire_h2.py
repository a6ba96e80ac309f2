"""HTTP/2 as a client may send it, frame by frame. Egress speaks none: it agrees to none by ALPN, and a
client that goes on regardless is cut off before a header is read. These cases hold it to that."""

import struct

from hpack import Encoder

from attacks import API, CANARY, FOREIGN, FORGE, OPEN
from wire import OWN, case

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, CONTINUATION = 0, 1, 3, 4, 9
END_STREAM, END_HEADERS = 1, 4


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def headers(*fields, flags=END_STREAM | END_HEADERS, stream=1) -> bytes:
    return frame(HEADERS, flags, stream, Encoder().encode(list(fields)))


def pseudo(host=OPEN, path="/", method="GET", scheme="https") -> list:
    return [(":method", method), (":scheme", scheme), (":authority", host), (":path", path)]


SMUGGLED = f"GET /{CANARY} HTTP/1.1\r\nHost: {OPEN}\r\n\r\n".encode()
REQUESTS = {
    "a good request": headers(*pseudo()),
    "two methods": headers(*pseudo(), (":method", "POST")),
    "two authorities": headers(*pseudo(), (":authority", FOREIGN)),
    "another Host": headers(*pseudo(), ("host", FOREIGN)),
    "another authority": headers(*pseudo(FOREIGN)),
    "pseudo-headers behind others": headers(("x-a", "b"), *pseudo()),
    "no path": headers(*pseudo()[:3]),
    "an unknown pseudo-header": headers(*pseudo(), (":odd", CANARY)),
    "a name in capitals": headers(*pseudo(), ("Authorization", CANARY)),
    "Connection": headers(*pseudo(), ("connection", "authorization")),
    "Transfer-Encoding": headers(*pseudo(), ("transfer-encoding", "chunked")),
    "TE": headers(*pseudo(), ("te", "chunked")),
    "a line break in a value": headers(*pseudo(), ("x-a", f"b\r\n{OWN}")),
    "a line break in a name": headers(*pseudo(), (f"x-a: b\r\n{OWN}\r\nx", "b")),
    "a line break in the path": headers(*pseudo(path=f"/ HTTP/1.1\r\n{OWN}\r\nx: ")),
    "a line break in the method": headers(*pseudo(method="GET / HTTP/1.1\r\nx: y")),
    "a line break in the authority": headers(*pseudo(f"{OPEN}\r\n{OWN}")),
    "an absolute path": headers(*pseudo(path=f"https://{FOREIGN}/")),
    "a path outside": headers(*pseudo(FORGE, "/elsewhere")),
    "a path without a slash": headers(*pseudo(path="x")),
    "another scheme": headers(*pseudo(scheme="http")),
    "a scheme with a host": headers(*pseudo(scheme=f"https://{FOREIGN}/?")),
    "CONNECT": headers((":method", "CONNECT"), (":authority", f"{FOREIGN}:443")),
    "extended CONNECT": headers(*pseudo(method="CONNECT"), (":protocol", "websocket")),
    "a body without a length": headers(*pseudo(method="POST"), flags=END_HEADERS) + frame(DATA, END_STREAM, 1, SMUGGLED),
    "a body longer than its length": headers(*pseudo(method="POST"), ("content-length", "1"), flags=END_HEADERS) + frame(DATA, END_STREAM, 1, SMUGGLED),
    "two lengths": headers(*pseudo(method="POST"), ("content-length", "0"), ("content-length", "9"), flags=END_HEADERS) + frame(DATA, END_STREAM, 1, SMUGGLED),
    "trailers": headers(*pseudo(API, method="POST"), flags=END_HEADERS) + headers(("authorization", CANARY)),
    "a stream that is even": headers(*pseudo(), stream=2),
    "headers without an end": headers(*pseudo(), flags=0) + frame(CONTINUATION, 0, 1) * 5_000,
    "rapid resets": b"".join(headers(*pseudo(), stream=n) + frame(RST_STREAM, 0, n, struct.pack(">I", 8)) for n in range(1, 4_001, 2)),
    "settings without an end": frame(SETTINGS, 0, 0) * 20_000,
    "a frame of 16 MiB": frame(DATA, 0, 1, bytes((1 << 24) - 1)),
}
for name, sent in REQUESTS.items():
    case(f"HTTP/2: {name}", PREFACE + frame(SETTINGS, 0, 0) + sent, alpn=("h2",))
case("HTTP/2 without TLS", PREFACE + frame(SETTINGS, 0, 0) + headers(*pseudo()), 400, host=None)
case("HTTP/2 for egress itself", PREFACE + frame(SETTINGS, 0, 0) + headers(*pseudo("_egress.local", "/allowlist", scheme="http")), 400, host=None)
case("HTTP/2 with TLS to egress", PREFACE + frame(SETTINGS, 0, 0) + headers(*pseudo(API)), 400, host=None, outer=API)
case("HTTP/2 frames without the preface", frame(SETTINGS, 0, 0) + headers(*pseudo()), alpn=("h2",), ends=True)
