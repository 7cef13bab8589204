"""Run inside the cluster's network by `up`: does DNS answer, and does the API server's service address lead anywhere?

Ends with 0 when both work, else with 1 and a line that says which does not. Stands alone: started by its file name, imports nothing of ours.
"""

from __future__ import annotations

import socket
import struct
import sys


def main(server: str, name: str, service: str) -> int:
    """Ask `server` for `name`, expect `service`, connect to its port 443."""
    question = b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0" + struct.pack(">HH", 1, 1)
    packet = struct.pack(">HHHHHH", 7, 0x0100, 1, 0, 0, 0) + question
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.settimeout(2)
            asking.sendto(packet, (server, 53))
            answer = asking.recv(4096)
    except OSError as error:
        print(f"DNS at {server}: {error}")
        return 1
    if socket.inet_aton(service) not in answer:
        print(f"DNS at {server} does not know {name}")
        return 1
    try:
        socket.create_connection((service, 443), timeout=2).close()
    except OSError as error:
        print(f"service address {service}: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
