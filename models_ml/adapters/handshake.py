"""What packet counts and TCP flags of a flow tell in Zeek's words: its connection state, and its payload.

Zeek follows the handshake packet by packet; flow exporters keep the union of the flags that each side sent. From those
the state follows but for the order of packets, which Zeek's own definitions (`conn_state` in its documentation) use in
rare cases only: a reset after both sides said FIN counts as SF here, as it does there.
"""

from __future__ import annotations

from functools import lru_cache

FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10

IPV4_HEADER, IPV6_HEADER = 20, 40
_TRANSPORT_HEADERS = {"tcp": 20, "udp": 8, "icmp": 8}
UNOPENED = frozenset(("S0", "REJ", "RSTOS0", "RSTRH", "SH", "SHR"))
"""States of TCP in which neither side can have sent payload."""


@lru_cache(maxsize=4096)
def tcp_state(client: int, server: int) -> str:
    """Zeek's state of a TCP flow, of the flags that were seen of each side (0: no packet, or none with a flag)."""
    if client & SYN and server & SYN:
        return _of_established(client, server)
    if client & SYN:
        if server & RST:
            return "REJ"
        if not server:
            return "RSTOS0" if client & RST else "SH" if client & FIN else "S0"
        return "OTH"
    if server & SYN and not client:
        return "RSTRH" if server & RST else "SHR" if server & FIN else "OTH"
    return "OTH"


def _of_established(client: int, server: int) -> str:
    if client & FIN and server & FIN:
        return "SF"
    if client & RST:
        return "RSTO"
    if server & RST:
        return "RSTR"
    if client & FIN:
        return "S2"
    return "S3" if server & FIN else "S1"


def datagram_state(sent: int, received: int) -> str:
    """Zeek's state of a flow without connections, of the packets of originator and responder."""
    if sent and received:
        return "SF"
    return "S0" if sent else "SHR"


def payload(octets: int, packets: int, proto: str, state: str, header: int) -> int:
    """Payload of one side, at least 0: `octets` on the wire without the headers of `packets`.

    Options of IP and TCP are not known and stay in it, but for TCP flows that were never opened, which carry nothing.

    Args:
        header: bytes of each packet below the transport protocol: the IP header, and the frame's where that counts.
    """
    if proto == "tcp" and state in UNOPENED:
        return 0
    return max(0, octets - packets * (header + _TRANSPORT_HEADERS.get(proto, 0)))
