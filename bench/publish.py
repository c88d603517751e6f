#!/usr/bin/python3
"""PUBLISH to many subscribers who read. usage: publish.py 'SERVER COMMAND' ['SERVER COMMAND'...]

1000 subscribers of one channel in a process on core 1, a publisher beside them that sends 20 messages of 32 bytes and
waits for their replies, again and again; the server has core 0. Messages a second from the first PUBLISH to the last
message's arrival, and server CPU per message and subscriber, in rounds that visit every server in turn; medians.
"""

import multiprocessing
import os
import select
import socket
import sys
import time

from resp import encode
from rounds import Servers, medians
from slow_collections import allow_connections

SUBSCRIBERS, MESSAGES, ROUNDS, BURST = 1000, 2000, 5, 20
TEXT = b"m" * 32
PUSHED = len(b"*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$32\r\n") + len(TEXT) + 2


def subscribe(port):
    out = []
    for _ in range(SUBSCRIBERS):
        s = socket.create_connection(("127.0.0.1", port))
        s.sendall(encode("SUBSCRIBE", "news"))
        answer = b""
        while answer.count(b"\n") < 6:
            answer += s.recv(100)
        s.setblocking(False)
        out.append(s)
    return out


def drain(pipe, port):
    """Reads all until the announced number of bytes has come to everybody."""
    os.sched_setaffinity(0, {1})
    sockets = subscribe(port)
    by_fd = {s.fileno(): s for s in sockets}
    poll = select.epoll()
    for fd in by_fd:
        poll.register(fd, select.EPOLLIN)
    pipe.send("ready")
    left = MESSAGES * PUSHED * SUBSCRIBERS
    while left > 0:
        for fd, _ in poll.poll(30):
            data = by_fd[fd].recv(1 << 16)
            if not data:
                raise SystemExit("a subscriber was cut")
            left -= len(data)
    pipe.send("done")


def one_round(server):
    """(messages a second, server CPU microseconds per message and subscriber)"""
    mine, far = multiprocessing.Pipe()
    reader = multiprocessing.get_context("fork").Process(target=drain, args=(far, server.port), daemon=True)
    reader.start()
    if not mine.poll(60):
        raise SystemExit("no subscribers")
    mine.recv()
    before, start = server.cpu_seconds(), time.monotonic()
    wire = encode("PUBLISH", "news", TEXT) * BURST
    for _ in range(MESSAGES // BURST):
        server.connection.burst(wire, BURST)
    if not mine.poll(120):
        raise SystemExit("messages are missing")
    took, cpu = time.monotonic() - start, server.cpu_seconds() - before
    reader.join(10)
    return MESSAGES / took, cpu / MESSAGES / SUBSCRIBERS * 1e6


def measure(commands, rounds=ROUNDS):
    """One {"rate", "cpu_us", "ratio" to the first server's CPU} a server."""
    allow_connections(None, SUBSCRIBERS)
    with Servers(commands) as servers:
        return medians([[one_round(server) for server in servers] for _ in range(rounds)])


if __name__ == "__main__":
    for command, result in zip(sys.argv[1:], measure(sys.argv[1:])):
        print(command, result)
