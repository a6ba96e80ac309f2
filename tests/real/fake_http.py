"""How the far end speaks: a strict HTTP/1.1, HTTP/2 (h2) and websockets (wsproto) over a TLS connection.

Each request becomes a `Request`, is given to `answer(request)` of fake_services.py, and leaves one
line in the log, with the request as it was received: header list with duplicates, and for HTTP/1.1
the bytes of the head, so that a smuggled request shows as what it is.
"""
import asyncio
import contextlib
import hashlib
import re
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import wsproto
import wsproto.events
import wsproto.extensions

LOGGED = 4096  # bytes of a body or message that the log shows
KEPT = 1 << 20  # bytes of a body that an answer may look into
TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
REQUEST_LINE = re.compile(rb"(" + TOKEN + rb") ([\x21-\x7e]+) HTTP/1\.1")
FIELD = re.compile(rb"(" + TOKEN + rb"):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*")


class Refused(Exception):
    """What was received is not HTTP/1.1 as the far end understands it."""


@dataclass
class Request:
    connection: dict  # what the log says of the connection: id, address, sni ...
    http: str  # "1.1" or "2"
    method: str
    target: str
    headers: list  # [name, value], as received
    raw: bytes = b""
    length: int = 0
    kept: bytes = b""
    complete: bool = False
    digest: object = field(default_factory=hashlib.sha256)

    @property
    def host(self):
        return self.connection["sni"] or ""

    def values(self, name):
        return [value for key, value in self.headers if key.lower() == name]

    def feed(self, data):
        self.length += len(data)
        self.digest.update(data)
        self.kept += data[: KEPT - len(self.kept)]

    def log_line(self, status):
        return {
            "event": "request", **self.connection, "http": self.http, "host": self.host,
            "method": self.method, "target": self.target, "headers": self.headers,
            "raw": self.raw.decode("latin-1"), "status": status, "complete": self.complete,
            "body_length": self.length, "body_sha256": self.digest.hexdigest(),
            "body": self.kept[:LOGGED].decode("latin-1"),
        }


@dataclass
class Response:
    status: int
    headers: list
    body: object = b""  # bytes, or an asynchronous iterator of bytes, which is sent piece by piece


@dataclass
class Websocket:
    """Accept the upgrade; each message is given to `reply`, an asynchronous generator of messages."""
    reply: object


async def serve(reader, writer, connection, answer, log):
    """Serves one connection whose TLS handshake is done, until its end."""
    if connection["alpn"] == "h2":
        await Http2(reader, writer, connection, answer, log).run()
    else:
        await serve_http1(reader, writer, connection, answer, log)


def parse_head(raw):
    """The request line and fields of a head that ends in an empty line."""
    first, *lines = raw[:-4].split(b"\r\n")
    match = REQUEST_LINE.fullmatch(first)
    if not match:
        raise Refused("request line")
    fields = [FIELD.fullmatch(line) for line in lines]
    if not all(fields):
        raise Refused("header line")
    text = lambda part: part.decode("latin-1")
    return text(match[1]), text(match[2]), [[text(f[1]), text(f[2])] for f in fields]


async def read_body(reader, writer, request):
    """Reads the body. Two ways to tell its length, or an unknown one, are refused."""
    if len(request.values("host")) != 1:
        raise Refused("not exactly one Host")
    lengths, codings = request.values("content-length"), request.values("transfer-encoding")
    if len(lengths) + len(codings) > 1:
        raise Refused("more than one body length")
    if request.values("expect"):
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if lengths:
        if not re.fullmatch("[0-9]{1,15}", lengths[0]):
            raise Refused("Content-Length")
        await read_piece(reader, request, int(lengths[0]))
    elif codings:
        if codings[0].lower() != "chunked":
            raise Refused("Transfer-Encoding")
        while True:
            line = await reader.readuntil(b"\r\n")
            if not re.fullmatch(rb"[0-9A-Fa-f]{1,12}\r\n", line):
                raise Refused("chunk size")
            size = int(line, 16)
            await read_piece(reader, request, size)
            if await reader.readexactly(2) != b"\r\n":  # trailers are refused, too
                raise Refused("end of chunk")
            if size == 0:
                break
    request.complete = True


async def read_piece(reader, request, size):
    while size:
        data = await reader.read(min(size, 1 << 16))
        if not data:
            raise asyncio.IncompleteReadError(b"", size)
        request.feed(data)
        size -= len(data)


async def serve_http1(reader, writer, connection, answer, log):
    while True:
        request, raw = None, b""
        try:
            raw = await reader.readuntil(b"\r\n\r\n")
            request = Request(connection, "1.1", *parse_head(raw), raw=raw)
            if request.target == "/switch-at-once":
                return await switch(reader, writer, request, log)
            await read_body(reader, writer, request)
        except (Refused, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError) as problem:
            if isinstance(problem, asyncio.LimitOverrunError):
                raw = raw or await reader.read(1 << 16)
            raw = raw or getattr(problem, "partial", b"")
            if request:
                log(request.log_line(400) | {"refused": str(problem)})
            elif raw:
                log({"event": "refused", **connection, "reason": str(problem), "raw": raw.decode("latin-1")})
            if raw:
                writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        reply = await answer(request)
        if isinstance(reply, Websocket):
            log(request.log_line(101))
            return await serve_websocket(reader, writer, request, reply, log)
        log(request.log_line(reply.status))
        await send_http1(writer, request, reply)
        if "close" in ",".join(request.values("connection")).lower():
            return


async def switch(reader, writer, request, log):
    """Takes up whatever is asked for before the body is read, and logs what comes then."""
    log(request.log_line(101))
    upgrade = (request.values("upgrade") or ["other"])[0]
    writer.write(f"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: {upgrade}\r\n\r\n".encode("latin-1"))
    while raw := await reader.read(1 << 16):
        log({"event": "refused", **request.connection, "reason": "switched", "raw": raw[:LOGGED].decode("latin-1")})


async def send_http1(writer, request, reply):
    whole = isinstance(reply.body, bytes)
    length = ["content-length", str(len(reply.body))] if whole else ["transfer-encoding", "chunked"]
    lines = [f"HTTP/1.1 {reply.status} Far End", *(f"{n}: {v}" for n, v in [*reply.headers, length])]
    writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
    if request.method == "HEAD":
        pass
    elif whole:
        writer.write(reply.body)
    else:
        async for piece in reply.body:
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
    await writer.drain()


async def serve_websocket(reader, writer, request, reply, log):
    connection = wsproto.WSConnection(wsproto.ConnectionType.SERVER)
    connection.receive_data(request.raw)
    received = []

    def log_message(sender, message):
        content = message.encode() if isinstance(message, str) else bytes(message)
        log({"event": "message", **request.connection, "host": request.host, "target": request.target,
             "from": sender, "length": len(content), "content": content[:LOGGED].decode("latin-1")})

    while True:
        for event in connection.events():
            if isinstance(event, wsproto.events.Request):
                deflate = wsproto.extensions.PerMessageDeflate()
                writer.write(connection.send(wsproto.events.AcceptConnection(extensions=[deflate])))
            elif isinstance(event, wsproto.events.Ping):
                writer.write(connection.send(event.response()))
            elif isinstance(event, wsproto.events.CloseConnection):
                if connection.state is wsproto.connection.ConnectionState.REMOTE_CLOSING:
                    writer.write(connection.send(event.response()))
                return
            elif isinstance(event, wsproto.events.Message):
                received.append(event.data)
                if event.message_finished:
                    message = type(event.data)().join(received)
                    received = []
                    log_message("client", message)
                    async for back in reply.reply(message):
                        log_message("server", back)
                        kind = wsproto.events.TextMessage if isinstance(back, str) else wsproto.events.BytesMessage
                        writer.write(connection.send(kind(back)))
                        await writer.drain()
        await writer.drain()
        connection.receive_data(await reader.read(1 << 16) or None)


class Http2:
    """One HTTP/2 connection; its streams are answered side by side."""

    def __init__(self, reader, writer, connection, answer, log):
        self.reader, self.writer, self.about, self.answer, self.log = reader, writer, connection, answer, log
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(
            client_side=False, header_encoding="latin-1", validate_inbound_headers=False, normalize_inbound_headers=False))
        self.requests, self.tasks, self.window = {}, {}, asyncio.Event()

    async def run(self):
        self.h2.initiate_connection()
        await self.flush()
        try:
            while data := await self.reader.read(1 << 16):
                for event in self.h2.receive_data(data):
                    self.handle(event)
                await self.flush()
        except h2.exceptions.ProtocolError as problem:
            self.log({"event": "refused", **self.about, "reason": repr(problem), "raw": ""})
            await self.flush()
        finally:
            for task in self.tasks.values():
                task.cancel()
            for request in self.requests.values():  # never ended by the client
                self.log(request.log_line(None))

    async def flush(self):
        self.writer.write(self.h2.data_to_send())
        await self.writer.drain()

    def handle(self, event):
        stream = getattr(event, "stream_id", None)
        if isinstance(event, h2.events.RequestReceived):
            pairs = [list(pair) for pair in event.headers]
            names = dict(pairs)
            self.requests[stream] = Request(self.about, "2", names.get(":method", ""), names.get(":path", ""), pairs)
        elif isinstance(event, h2.events.DataReceived):
            self.requests[stream].feed(event.data)
            self.h2.acknowledge_received_data(event.flow_controlled_length, stream)
        elif isinstance(event, h2.events.TrailersReceived):
            self.requests[stream].headers += [list(pair) for pair in event.headers]
        elif isinstance(event, h2.events.StreamEnded):
            request = self.requests.pop(stream)
            request.complete = True
            self.tasks[stream] = asyncio.create_task(self.respond(stream, request))
        elif isinstance(event, h2.events.StreamReset):
            if stream in self.tasks:
                self.tasks.pop(stream).cancel()
            if stream in self.requests:
                self.log(self.requests.pop(stream).log_line(None))
        elif isinstance(event, (h2.events.WindowUpdated, h2.events.RemoteSettingsChanged)):
            self.window.set()

    async def respond(self, stream, request):
        with contextlib.suppress(h2.exceptions.ProtocolError, ConnectionError):  # the client has left
            await self.send_reply(stream, request, await self.answer(request))

    async def send_reply(self, stream, request, reply):
        if isinstance(reply, Websocket):
            reply = Response(501, [])
        self.log(request.log_line(reply.status))
        self.h2.send_headers(stream, [(":status", str(reply.status)), *map(tuple, reply.headers)])
        await self.flush()
        if isinstance(reply.body, bytes):
            await self.send(stream, reply.body)
        else:
            async for piece in reply.body:
                await self.send(stream, piece)
        self.h2.end_stream(stream)
        await self.flush()

    async def send(self, stream, data):
        while data:
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
            if room <= 0:
                self.window.clear()
                await self.window.wait()
                continue
            self.h2.send_data(stream, data[:room])
            data = data[room:]
            await self.flush()
