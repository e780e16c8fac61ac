"""The floor as a whole command: a fresh process imports paramiko, connects to every host and runs floor_agent.py there.

python floor.py KNOWN_HOSTS KEY SPEC ADDRESS [ADDRESS ..]      prints the number of differences
"""

from __future__ import annotations

import json
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import paramiko


class QuickSocket(socket.socket):
    """Acknowledges at once, as cookline's own connections do."""

    def recv(self, size: int, flags: int = 0) -> bytes:
        data = super().recv(size, flags)
        self.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return data


def check(address: str, known_hosts: str, key: paramiko.PKey, spec: str) -> int:
    connection = QuickSocket(socket.AF_INET, socket.SOCK_STREAM)
    connection.connect((address, 22))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client = paramiko.SSHClient()
    client.load_host_keys(known_hosts)
    client.connect(address, username="root", pkey=key, allow_agent=False, look_for_keys=False, sock=connection)
    stdin, stdout, _ = client.exec_command("python3 /var/tmp/floor_agent.py")
    stdin.write(spec + "\n")
    stdin.flush()
    found = json.loads(stdout.readline())
    client.close()
    return len(found)


def main() -> None:
    known_hosts, key_path, spec_path, *addresses = sys.argv[1:]
    spec = Path(spec_path).read_text().strip()
    key = paramiko.Ed25519Key.from_private_key_file(key_path)
    with ThreadPoolExecutor(20) as threads:
        print(sum(threads.map(lambda address: check(address, known_hosts, key, spec), addresses)))


main()
