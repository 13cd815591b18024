"""What an attacker on a host sends: Python for there."""

from __future__ import annotations

COPIES = 5  # of each packet, which FORGE sends
# What a sender with a raw socket can make up: ip(…, tcp(…)), gre(…) around it, and what a router says of it.
FORGE = (
    f"COPIES = {COPIES}"
    """
import socket, struct, sys
def checksum(data):
    data += b"\\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
def ends(source, to):
    return socket.inet_aton(source) + socket.inet_aton(to)
def ip(source, to, protocol, payload):
    start = struct.pack("!BBHHHBB", 0x45, 0, 20 + len(payload), 7, 0, 64, protocol)
    return start + struct.pack("!H", checksum(start + b"\\0\\0" + ends(source, to))) + ends(source, to) + payload
def tcp(source, to, sport, dport, flags, payload=b""):
    start = struct.pack("!HHLLBBH", sport, dport, 1000, 1000, 5 << 4, flags, 8192)
    pseudo = ends(source, to) + struct.pack("!BBH", 0, 6, 20 + len(payload))
    return start + struct.pack("!HH", checksum(pseudo + start + b"\\0" * 4 + payload), 0) + payload
def gre(key, packet, flags=0x2000):
    return struct.pack("!HHL", flags, 0x0800, key) + (b"\\0\\0\\0\\1" if flags & 0x1000 else b"") + packet
def frag_needed(packet, mtu):
    start = struct.pack("!BBHHH", 3, 4, 0, 0, mtu) + packet
    return start[:2] + struct.pack("!H", checksum(start)) + start[4:]
def send(packet, to):
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    for _ in range(COPIES):
        try:
            raw.sendto(packet, (to, 0))
        except OSError as error:
            print(error)
"""
)
