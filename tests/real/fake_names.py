"""The far end's name server: every name has the far end's address, unless the configuration says otherwise.

    names: {"gone.example": null, "inward.example": "10.0.0.1"}     null: there is no such name

Only A records exist. Each question is one line in the log.
"""
import asyncio
import ipaddress
import struct

A, NO_SUCH_NAME = 1, 3


class NameServer(asyncio.DatagramProtocol):
    def __init__(self, address, config, log):
        self.address, self.config, self.log = address, config, log

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, packet, peer):
        labels, at = [], 12
        try:
            while size := packet[at]:
                labels.append(packet[at + 1 : at + 1 + size].decode("latin-1"))
                at += 1 + size
            (kind,) = struct.unpack_from("!H", packet, at + 1)
        except (IndexError, struct.error):
            return
        name = ".".join(labels).lower()
        address = self.config().get("names", {}).get(name, self.address)
        self.log({"event": "name", "name": name, "type": kind, "peer": f"{peer[0]}:{peer[1]}", "answer": address if kind == A else None})
        answers = b""
        if kind == A and address:
            answers = struct.pack("!HHHIH", 0xC00C, A, 1, 0, 4) + ipaddress.IPv4Address(address).packed
        flags = 0x8580 | (0 if address else NO_SUCH_NAME)
        header = packet[:2] + struct.pack("!HHHHH", flags, 1, 1 if answers else 0, 0, 0)
        self.transport.sendto(header + packet[12 : at + 5] + answers, peer)


async def serve_names(listen, address, config, log):
    """Answers at `listen` (address, port); `config()` is what fake_services.py describes."""
    await asyncio.get_running_loop().create_datagram_endpoint(lambda: NameServer(address, config, log), local_addr=listen)
