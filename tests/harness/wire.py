"""The Redis protocol for tests: encode commands, parse replies without losing their type, compare and print them.

A reply is a tuple (kind, value). kind is the type's byte as text: + - : $ * % ~ , # _ = ( > and the value is bytes, an
int (for :), None (null) or a tuple of replies (aggregates; a map is flat: key, value, key, value ...).
"""

import select
import socket

NULLS = {("$", None), ("*", None), ("_", None)}


class Incomplete(Exception):
    """The bytes end before the reply does."""


def as_bytes(arg):
    return arg if isinstance(arg, bytes) else str(arg).encode("utf-8", "surrogateescape")


def encode(args):
    """One command as its bytes on the wire; arguments are bytes, str, int or float."""
    parts = [b"*%d\r\n" % len(args)]
    for arg in args:
        arg = as_bytes(arg)
        parts.append(b"$%d\r\n%b\r\n" % (len(arg), arg))
    return b"".join(parts)


def parse(data, pos=0):
    """(reply, position after it) of the reply at `pos`; raises Incomplete, or ValueError for what is no reply."""
    end = data.find(b"\r\n", pos)
    if end < 0:
        raise Incomplete
    kind, rest, after = chr(data[pos]), bytes(data[pos + 1 : end]), end + 2
    if kind in "+-,#(":
        return (kind, rest), after
    if kind == ":":
        return (kind, int(rest)), after
    if kind == "_":
        return (kind, None), after
    if kind in "$=!":
        size = int(rest)
        if size < 0:
            return (kind, None), after
        if len(data) < after + size + 2:
            raise Incomplete
        if data[after + size : after + size + 2] != b"\r\n":
            raise ValueError(f"bulk of {size} bytes is not ended by CRLF")
        return (kind, bytes(data[after : after + size])), after + size + 2
    if kind in "*%~>|":
        count = int(rest)
        if count < 0:
            return (kind, None), after
        out = []
        for _ in range(count * 2 if kind in "%|" else count):
            item, after = parse(data, after)
            out.append(item)
        return (kind, tuple(out)), after
    raise ValueError(f"not a reply: {bytes(data[pos:pos + 60])!r}")


class Scanner:
    """Counts whole replies in a growing buffer without building them."""

    def __init__(self, wanted):
        self.need = wanted  # replies and parts of replies still to come
        self.pos = 0

    def feed(self, data):
        """True when all replies wanted are in `data` (the whole buffer, longer than at the last call)."""
        need, pos, size = self.need, self.pos, len(data)
        find = data.find
        while need:
            end = find(b"\r\n", pos)
            if end < 0:
                break
            kind = data[pos]
            if kind in b"$=!":
                length = int(data[pos + 1 : end])
                if length >= 0:
                    end += length + 2
                    if end + 2 > size:
                        break
            elif kind in b"*~>":
                count = int(data[pos + 1 : end])
                if count > 0:
                    need += count
            elif kind == 37:
                need += 2 * int(data[pos + 1 : end])
            elif kind not in b"+-:,#_(":
                raise ValueError(f"not a reply: {bytes(data[pos:pos + 60])!r}")
            need -= 1
            pos = end + 2
        self.need, self.pos = need, pos
        return need == 0


class Closed(Exception):
    """The server closed the connection."""


class Connection:
    """A connection to 127.0.0.1:port (or a unix socket's path) that keeps replies typed."""

    def __init__(self, port, timeout=10, resp=2):
        if isinstance(port, str):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            self.socket.connect(port)
        else:
            self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()
        self.timeout = timeout
        if resp == 3:
            self.call("HELLO", "3")

    def send_raw(self, data):
        """Send bytes; replies that arrive meanwhile are kept, so that no side waits for the other forever."""
        if len(data) <= 32768:
            try:
                self.socket.sendall(data)
            except (BrokenPipeError, ConnectionResetError) as e:
                raise Closed from e
            return
        view, sock = memoryview(data), self.socket
        sock.setblocking(False)
        try:
            while view:
                readable, writable, _ = select.select([sock], [sock], [], self.timeout)
                if not readable and not writable:
                    raise TimeoutError("the server neither reads nor writes")
                if readable:
                    got = sock.recv(1 << 18)
                    if not got:
                        raise Closed
                    self.buffer += got
                if writable:
                    view = view[sock.send(view) :]
        except (BrokenPipeError, ConnectionResetError) as e:
            raise Closed from e
        finally:
            sock.settimeout(self.timeout)

    def send(self, *args):
        self.send_raw(encode(args))

    def _more(self):
        try:
            try:
                got = self.socket.recv(1 << 18)
            except TimeoutError:
                # A machine that stood still has let the time pass for the server too: once more.
                got = self.socket.recv(1 << 18)
        except ConnectionResetError as e:
            raise Closed from e
        if not got:
            raise Closed
        self.buffer += got

    def read(self):
        """The next reply; waits up to the connection's timeout (raises TimeoutError)."""
        while True:
            if self.buffer:
                try:
                    reply, after = parse(self.buffer)
                    del self.buffer[:after]
                    return reply
                except Incomplete:
                    pass
            self._more()

    def read_raw(self, count):
        """The bytes of the next `count` replies."""
        scanner = Scanner(count)
        while not scanner.feed(self.buffer):
            self._more()
        raw = bytes(self.buffer[: scanner.pos])
        del self.buffer[: scanner.pos]
        return raw

    def call(self, *args):
        self.send(*args)
        return self.read()

    def value(self, *args):
        """The reply as plain Python; raises RuntimeError for an error reply."""
        reply = self.call(*args)
        if reply[0] == "-":
            raise RuntimeError(f"{args[:4]}: {reply[1].decode(errors='replace')}")
        return plain(reply)

    def pipeline(self, commands):
        """The replies of all commands, sent at once."""
        commands = list(commands)
        if not commands:
            return []
        self.send_raw(b"".join(map(encode, commands)))
        return [self.read() for _ in commands]

    def quiet_for(self, seconds):
        """True when nothing arrives in that time and nothing is waiting."""
        if self.buffer:
            return False
        return not select.select([self.socket], [], [], seconds)[0]

    def closed_within(self, seconds):
        """True when the server ends the connection in that time; what it sends before stays readable."""
        self.socket.settimeout(seconds)
        try:
            while True:
                self._more()
        except Closed:
            return True
        except (TimeoutError, OSError):
            return False
        finally:
            self.socket.settimeout(self.timeout)

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def split(raw):
    """All replies in the bytes, which end where a reply ends."""
    out, pos = [], 0
    while pos < len(raw):
        reply, pos = parse(raw, pos)
        out.append(reply)
    return out


def plain(reply):
    """bytes, int, float, bool, None, list or dict; errors stay (kind, text)."""
    kind, value = reply
    if kind in "*~>":
        return None if value is None else [plain(v) for v in value]
    if kind == "%":
        return {plain(k): plain(v) for k, v in zip(value[::2], value[1::2])}
    if kind == ",":
        return float(value)
    if kind == "#":
        return value == b"t"
    if kind == "-":
        return reply
    return value


_SAFE = set(b"!#$%&()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_`abcdefghijklmnopqrstuvwxyz{|}~")
_NAMED = {10: "\\n", 13: "\\r", 9: "\\t", 7: "\\a", 8: "\\b", 34: '\\"', 92: "\\\\"}


def quoted(data, longest=0):
    """The bytes between quotes, as redis-cli accepts them; cut when longer than `longest` (0: never)."""
    cut = longest and len(data) > longest
    shown = data[:longest] if cut else data
    text = "".join(_NAMED.get(c) or (chr(c) if 32 <= c < 127 else f"\\x{c:02x}") for c in shown)
    return f'"{text}"' + (f"<...{len(data)} bytes>" if cut else "")


def quote(data, longest=0):
    """An argument of a command line: bare where that is possible."""
    data = as_bytes(data)
    if data and all(c in _SAFE for c in data) and (not longest or len(data) <= longest):
        return data.decode()
    return quoted(data, longest)


def show(reply, longest=200, items=40, inner=False):
    """A reply on one line, with its type."""
    kind, value = reply
    if value is None:
        return {"$": "nil", "*": "nil-array", "_": "null"}.get(kind, f"nil({kind})")
    if kind in "*%~>|":
        parts = [show(v, longest, items, True) for v in value[:items]]
        if len(value) > items:
            parts.append(f"... {len(value)} in all")
        return {"*": "", "%": "map", "~": "set", ">": "push", "|": "attribute"}[kind] + "[" + " ".join(parts) + "]"
    if kind == ":":
        return str(value)
    if kind == "$":
        return quoted(value, longest)
    if kind in "-+" and (inner and kind == "-" or value.strip() != value or b"\n" in value):
        return kind + quoted(value, longest)
    return kind + value[: longest or None].decode("utf-8", "backslashreplace")
