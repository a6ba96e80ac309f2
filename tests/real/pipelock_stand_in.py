#!/usr/bin/python3
"""Stands in for /pipelock where the real one cannot be had. IT PROVES NOTHING ABOUT PIPELOCK.

It takes the commands with which the chain starts pipelock, wants the files that pipelock wants, reads its configuration as
strictly as 2.3.0 does, and then leads each CONNECT to a host of `api_allowlist` to where it asks to go. It opens nothing,
scans nothing, limits nothing and looks at no address: of what is refused, the rest was refused before it.

    tls init --out DIR [--force]      ca.pem and ca-key.pem (EC P-256, SEC1, 0600); exit 1 if there are some
    run --config FILE --listen A:P    a proxy; exit 1 without the configuration or its authority, or with what 2.3.0 refuses
    healthcheck [--addr A:P]          exit 0 when the proxy's port answers
"""
import argparse
import asyncio
import contextlib
import os
import pathlib
import re
import socket
import stat
import subprocess
import sys

LOUD = "THIS IS A STAND-IN FOR PIPELOCK: it scans nothing and proves nothing about pipelock"

SWITCH = {"enabled": bool}
# The keys of 2.3.0 that a compiled file may have, and what they hold; any other key is an error there, at any depth.
KNOWN = {
    "version": int, "mode": str, "enforce": bool, "explain_blocks": bool,
    "api_allowlist": [str], "trusted_domains": [str], "internal": [str], "ssrf": {"ip_allowlist": [str]},
    "fetch_proxy": {
        "listen": str, "timeout_seconds": int, "max_response_mb": int,
        "monitoring": {
            "max_url_length": int, "entropy_threshold": float, "subdomain_entropy_threshold": float,
            "max_requests_per_minute": int, "max_data_per_minute": int,
            "blocklist": [str], "subdomain_entropy_exclusions": [str],
        },
    },
    "metrics_listen": str,
    "forward_proxy": {"enabled": bool, "max_tunnel_seconds": int, "idle_timeout_seconds": int, "sni_verification": bool},
    "websocket_proxy": SWITCH,
    "tls_interception": {
        "enabled": bool, "ca_cert": str, "ca_key": str, "passthrough_domains": [str],
        "cert_ttl": str, "cert_cache_size": int, "max_response_bytes": int,
    },
    "request_body_scanning": {
        "enabled": bool, "action": str, "max_body_bytes": int, "scan_headers": bool,
        "header_mode": str, "sensitive_headers": [str], "ignore_headers": [str],
    },
    "dlp": {"include_defaults": bool, "scan_env": bool, "min_env_secret_length": int},
    "seed_phrase_detection": {"enabled": bool, "min_words": int, "verify_checksum": bool},
    "response_scanning": {
        "enabled": bool, "action": str, "include_defaults": bool, "exempt_domains": [str],
        "sse_streaming": {"enabled": bool, "action": str, "max_event_bytes": int},
    },
    "session_profiling": SWITCH, "adaptive_enforcement": SWITCH, "cross_request_detection": SWITCH,
    "mcp_input_scanning": SWITCH, "mcp_tool_scanning": SWITCH, "mcp_tool_policy": SWITCH, "mcp_session_binding": SWITCH,
    "a2a_scanning": SWITCH, "git_protection": SWITCH, "kill_switch": SWITCH,
    "default_agent_identity": str, "bind_default_agent_identity": bool,
    "logging": {"format": str, "output": str, "include_allowed": bool, "include_blocked": bool},
    "sentry": SWITCH,
}


def check(value, known, at=""):
    """Raises ValueError for a key that is not known and for a value of another type."""
    if isinstance(known, dict):
        if not isinstance(value, dict):
            raise ValueError(f"{at or 'the file'} is not a mapping")
        for key, below in value.items():
            if key not in known:
                raise ValueError(f"field {key} not found in {at or 'the file'}")
            check(below, known[key], f"{at}.{key}".lstrip("."))
    elif isinstance(known, list):
        if not isinstance(value, list):
            raise ValueError(f"{at} is not a list")
        for item in value:
            check(item, known[0], at)
    elif type(value) is not known and not (known is float and type(value) is int):
        raise ValueError(f"{at} is not a {known.__name__}: {value!r}")


def read_config(file):
    """The configuration; ValueError for what 2.3.0 does not start with."""
    from ruamel.yaml import YAML, YAMLError  # takes a while, and a health check has no use for it

    try:
        # One document, in which no key stands twice.
        config = YAML(typ="safe", pure=True).load(file.read_bytes())
    except YAMLError as problem:
        raise ValueError(f"not YAML: {problem}") from None
    check(config, KNOWN)
    if config.get("mode") != "strict" or not config.get("api_allowlist"):
        raise ValueError("strict mode requires at least one domain in api_allowlist")
    authority = config["tls_interception"]
    (file.parent / authority["ca_cert"]).read_bytes()
    key = file.parent / authority["ca_key"]
    if stat.S_IMODE(key.stat().st_mode) not in (0o600, 0o640):
        raise ValueError(f"CA key {key} too permissive")
    return config


def is_listed(hosts, host):
    """Whether an entry of `api_allowlist` is the host or, as `*.d`, above it."""
    host = host.lower().removesuffix(".")
    above = lambda entry: entry.startswith("*.") and (host == entry[2:] or host.endswith(entry[1:]))
    return any(host == entry or above(entry) for entry in map(str.lower, hosts))


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


def run(file, listen):
    try:
        hosts = read_config(file)["api_allowlist"]
    except (OSError, ValueError, KeyError) as problem:
        sys.exit(f"parsing config {file}: {problem}")

    async def serve(reader, writer):
        target, _ = await read_connect(reader)
        host, _, port = (target or "").rpartition(":")
        if not is_listed(hosts, host):
            print("CONNECT", target, "blocked: domain not in allowlist", flush=True)
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            return writer.close()
        print("CONNECT", target, flush=True)
        try:
            far = await asyncio.open_connection(host, int(port))
        except (OSError, ValueError) as problem:
            print("failed:", problem, flush=True)
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            return writer.close()
        await relay((reader, writer), far)

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
