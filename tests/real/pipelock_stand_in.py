#!/usr/bin/python3
"""Stands in for /pipelock where the real one cannot be had. IT PROVES NOTHING ABOUT PIPELOCK.

It takes the commands with which the chain starts pipelock, wants the files that pipelock wants, and then leads every
CONNECT to where it asks to go, judging nothing: what is refused was refused before it.

    tls init --out DIR [--force]      ca.pem and ca-key.pem (EC P-256, SEC1, 0600); exit 1 if there are some
    run --config FILE --listen A:P    a proxy; exit 1 without the configuration or its authority
    healthcheck [--addr A:P]          exit 0 when the proxy's port answers
"""
import argparse
import asyncio
import contextlib
import os
import pathlib
import re
import socket
import subprocess
import sys

LOUD = "THIS IS A STAND-IN FOR PIPELOCK: it judges nothing and proves nothing about pipelock"


async def read_connect(reader):
    """What a CONNECT asks for, as (target, headers); target None when it is none."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
        return None, []
    first, *lines = head[:-4].split("\r\n")
    match = re.fullmatch(r"CONNECT (\S+:[0-9]{1,5}) HTTP/1\.[01]", first)
    return match and match[1], [list(line.partition(": ")[::2]) for line in lines]


async def relay(near, far):
    """Says 200 to the near end, then carries bytes both ways until both are done."""
    async def carry(reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
            writer.write_eof()

    near[1].write(b"HTTP/1.1 200 Connection established\r\n\r\n")
    try:
        await asyncio.gather(carry(near[0], far[1]), carry(far[0], near[1]))
    finally:
        near[1].close()
        far[1].close()


async def serve(reader, writer):
    target, _ = await read_connect(reader)
    print("CONNECT", target, flush=True)
    host, _, port = (target or "").rpartition(":")
    try:
        far = await asyncio.open_connection(host.strip("[]"), int(port))
    except (OSError, ValueError) as problem:
        print("failed:", problem, flush=True)
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
        return writer.close()
    await relay((reader, writer), far)


def run(config, listen):
    text = config.read_text()
    for key in ("ca_cert", "ca_key"):
        named = re.search(rf'^\s*{key}:\s*"?([^"\n]+)"?$', text, re.MULTILINE)
        if not named:
            sys.exit(f"{config}: no {key}")
        (config.parent / named[1]).read_bytes()

    async def forever():
        address, _, port = listen.rpartition(":")
        server = await asyncio.start_server(serve, address, int(port))
        await server.serve_forever()
    asyncio.run(forever())


def tls_init(out, force):
    certificate, key = out / "ca.pem", out / "ca-key.pem"
    if not force and (certificate.exists() or key.exists()):
        sys.exit(f"{out}: an authority is there already; --force replaces it")
    out.mkdir(parents=True, exist_ok=True)
    os.umask(0o077)
    openssl = lambda *words: subprocess.run(["openssl", *words], check=True, capture_output=True, text=True).stdout
    sec1 = openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout")
    for file in (certificate, key):
        file.unlink(missing_ok=True)
    key.write_text(sec1)
    certificate.write_text(openssl(
        "req", "-x509", "-new", "-key", str(key), "-days", "3650", "-subj", "/O=Stand-in/CN=Pipelock stand-in CA",
        "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign"))


def main():
    parser = argparse.ArgumentParser(description=LOUD)
    commands = parser.add_subparsers(dest="command", required=True)
    init = commands.add_parser("tls").add_subparsers(dest="tls", required=True).add_parser("init")
    init.add_argument("--out", type=pathlib.Path, required=True)
    init.add_argument("--force", action="store_true")
    started = commands.add_parser("run")
    started.add_argument("--config", type=pathlib.Path, required=True)
    started.add_argument("--listen", default="127.0.0.1:8888")
    commands.add_parser("healthcheck").add_argument("--addr", default="127.0.0.1:8888")
    asked = parser.parse_args()

    if asked.command == "healthcheck":
        address, _, port = asked.addr.rpartition(":")
        socket.create_connection((address, int(port)), 2).close()
        return
    print(LOUD, file=sys.stderr, flush=True)
    if asked.command == "tls":
        tls_init(asked.out, asked.force)
    else:
        run(asked.config, asked.listen)


if __name__ == "__main__":
    main()
