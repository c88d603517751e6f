"""The Redis protocol as a bench client needs it: encode commands, read replies, keep a pipeline full."""

import socket


def encode(*args):
    """One command as its bytes on the wire; arguments are bytes, str or int."""
    parts = [b"*%d\r\n" % len(args)]
    for arg in args:
        if not isinstance(arg, bytes):
            arg = str(arg).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(arg), arg))
    return b"".join(parts)


class Refused(Exception):
    """An error reply."""


class Connection:
    """A blocking connection to 127.0.0.1:port."""

    def __init__(self, port, timeout=60):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream = self.socket.makefile("rb", 1 << 18)

    def read(self):
        """The next reply; an error reply is returned as a Refused, not raised."""
        line = self.stream.readline()
        if not line:
            raise EOFError("the server closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        if kind == b"$":
            size = int(rest)
            return None if size < 0 else self.stream.read(size + 2)[:-2]
        if kind == b"*":
            count = int(rest)
            return None if count < 0 else [self.read() for _ in range(count)]
        if kind == b"-":
            return Refused(rest.decode(errors="replace"))
        raise ValueError(line)

    def call(self, *args):
        """Send one command and return its reply; raises Refused for an error reply."""
        self.socket.sendall(encode(*args))
        reply = self.read()
        if isinstance(reply, Refused):
            raise reply
        return reply

    def burst(self, wire, count):
        """Send `count` encoded commands at once; returns how many were refused."""
        self.socket.sendall(wire)
        read = self.read
        return sum(isinstance(read(), Refused) for _ in range(count))

    def load(self, commands, depth=2000):
        """Pipeline an iterator of argument tuples, `depth` at a time; returns how many were refused."""
        refused, waiting = 0, []
        for command in commands:
            waiting.append(encode(*command))
            if len(waiting) == depth:
                refused += self.burst(b"".join(waiting), depth)
                waiting.clear()
        return refused + (self.burst(b"".join(waiting), len(waiting)) if waiting else 0)

    def info(self, field, section="everything"):
        """A field of INFO as text, or None."""
        prefix = field.encode() + b":"
        for line in self.call("INFO", section).split(b"\r\n"):
            if line.startswith(prefix):
                return line[len(prefix) :].decode()
        return None

    def close(self):
        self.stream.close()
        self.socket.close()
