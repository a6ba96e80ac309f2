"""The far end of the chain: an internet of one program, for tests.

    fake_internet.py --folder DIR [--authority DIR] [--tls ADDRESS:PORT] [--connect-port PORT] [--names ADDRESS:PORT] [--address IP]

- `--tls` (default 127.0.0.1:443): answers for any server name, with a certificate made on the fly and
  signed by ca.pem in the authority's folder (default: DIR), which is made when there is none. HTTP/2, HTTP/1.1, websockets.
- `--connect-port`: a proxy on the same address that answers every CONNECT with 200 and leads it to the server
  above. It stands where pipelock stands when pipelock cannot be had; it judges nothing, so that
  what is refused was refused by egress.
- `--names`: a name server that gives every name the `--address`.

DIR/config.json, if there is one, says how to answer (fake_services.py). DIR/log.jsonl gets one JSON line for
each `connect`, `hello` (a TLS client's first words), `tls` (handshake done), `request`, `refused` request,
websocket `message` and `name` question. DIR/ready is written when all of it listens.
"""
import argparse
import asyncio
import contextlib
import datetime
import ipaddress
import itertools
import json
import pathlib
import ssl
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import fake_http
import fake_names
from fake_services import Services
from pipelock_stand_in import read_connect, relay

DAY = datetime.timedelta(days=1)


class Authority:
    """A certificate authority that lives in a folder, as ca.pem and ca-key.pem."""

    def __init__(self, folder):
        self.folder, self.contexts = pathlib.Path(folder), {}
        self.folder.mkdir(parents=True, exist_ok=True)
        certificate, key = self.folder / "ca.pem", self.folder / "ca-key.pem"
        if not certificate.exists():
            own = ec.generate_private_key(ec.SECP256R1())
            name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test roots of the far end")])
            extensions = [(x509.BasicConstraints(ca=True, path_length=0), True)]
            key.write_bytes(pem(own))
            certificate.write_bytes(sign(name, name, own.public_key(), own, extensions, 3650).public_bytes(serialization.Encoding.PEM))
        self.certificate = x509.load_pem_x509_certificate(certificate.read_bytes())
        self.key = serialization.load_pem_private_key(key.read_bytes(), None)
        self.leaf_key = ec.generate_private_key(ec.SECP256R1())

    def context(self, host):
        """A TLS context whose certificate is for `host`."""
        if host not in self.contexts:
            with contextlib.suppress(ValueError):
                host = ipaddress.ip_address(host)
            # Two servers that cannot show who they are.
            shown = "other.example.com" if str(host).startswith("misnamed.") else host
            names = [x509.DNSName(shown) if isinstance(shown, str) else x509.IPAddress(shown)]
            subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "far end")])
            extensions = [(x509.SubjectAlternativeName(names), False)]
            signer = self.leaf_key if str(host).startswith("unknown.") else self.key
            leaf = sign(subject, self.certificate.subject, self.leaf_key.public_key(), signer, extensions, 300)
            file = self.folder / "leaf.pem"  # the ssl module takes certificates from files only
            file.write_bytes(leaf.public_bytes(serialization.Encoding.PEM) + pem(self.leaf_key))
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(file)
            # Some servers, and what stands in front of others, speak HTTP/1.1 alone.
            context.set_alpn_protocols(["http/1.1"] if str(host).startswith("h1.") else ["h2", "http/1.1"])
            self.contexts[str(host)] = context
        return self.contexts[str(host)]


def sign(subject, issuer, public_key, key, extensions, days):
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder(issuer, subject, public_key, x509.random_serial_number(), now - DAY, now + days * DAY)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(key, hashes.SHA256())


def pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


class FarEnd:
    def __init__(self, folder, authority):
        self.authority = Authority(authority)
        self.services = Services(folder / "config.json")
        self.file = open(folder / "log.jsonl", "a", buffering=1)
        self.ids = itertools.count(1)
        self.connects = {}  # our own port towards the TLS server -> what the CONNECT asked for

    def log(self, line):
        self.file.write(json.dumps({"t": round(time.time(), 3), **line}) + "\n")

    async def listen_tls(self, address, port):
        context = self.authority.context("no-name.invalid")

        def choose(connection, name, _):
            self.log({"event": "hello", "sni": name})
            if name:
                connection.context = self.authority.context(name)
            connection.sni = name

        context.sni_callback = choose
        # Heads of a few MiB are read.
        return await asyncio.start_server(self.serve_tls, address, port, ssl=context, limit=4 << 20)

    async def serve_tls(self, reader, writer):
        tls, peer, own = (writer.get_extra_info(name) for name in ("ssl_object", "peername", "sockname"))
        connection = {
            "connection": next(self.ids), "address": f"{own[0]}:{own[1]}", "peer": f"{peer[0]}:{peer[1]}",
            "connect": self.connects.get(peer[1]), "sni": getattr(tls, "sni", None), "alpn": tls.selected_alpn_protocol(),
        }
        self.log({"event": "tls", **connection, "version": tls.version()})
        try:
            await fake_http.serve(reader, writer, connection, self.services.answer, self.log)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client has left
        finally:
            writer.close()

    async def listen_connect(self, address, port, tls_port):
        async def serve(reader, writer):
            target, headers = await read_connect(reader)
            self.log({"event": "connect", "target": target, "headers": headers})
            if target is None:
                writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
                return writer.close()
            onward = await asyncio.open_connection(address, tls_port)
            own_port = onward[1].get_extra_info("sockname")[1]
            self.connects[own_port] = target
            await relay((reader, writer), onward)
            del self.connects[own_port]
        await asyncio.start_server(serve, address, port)


def endpoint(text):
    address, _, port = text.rpartition(":")
    return address, int(port)


async def main():
    parser = argparse.ArgumentParser(description="The far end of the chain, for tests.")
    parser.add_argument("--folder", type=pathlib.Path, required=True)
    parser.add_argument("--authority", type=pathlib.Path)
    parser.add_argument("--tls", type=endpoint, default=("127.0.0.1", 443))
    parser.add_argument("--connect-port", type=int)
    parser.add_argument("--names", type=endpoint)
    parser.add_argument("--address", default="203.0.113.10")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)

    far_end = FarEnd(asked.folder, asked.authority or asked.folder)
    server = await far_end.listen_tls(*asked.tls)
    if asked.connect_port:
        await far_end.listen_connect(asked.tls[0], asked.connect_port, asked.tls[1])
    if asked.names:
        await fake_names.serve_names(asked.names, asked.address, far_end.services.read_config, far_end.log)
    (asked.folder / "ready").touch()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
