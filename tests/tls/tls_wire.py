"""The wire's Connection through TLS, with the encrypted bytes in hand: they can be sent in pieces of any size."""

import os
import select
import socket
import ssl
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from wire import Closed, Connection  # noqa: E402


class TlsConnection(Connection):
    """`piece` tells how many bytes go into each send (None: as many as there are)."""

    def __init__(self, port, context, timeout=10, piece=None, session=None, handshake=True):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.buffer, self.timeout, self.piece = bytearray(), timeout, piece
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost", session=session)
        self.waiting = bytearray()  # encrypted, not yet sent
        self.ended = False
        if handshake:
            self.handshake()

    def handshake(self):
        while True:
            try:
                self.tls.do_handshake()
                self._push()
                return
            except ssl.SSLWantReadError:
                self._push()
                self._receive()
            except ssl.SSLError:
                try:
                    self._push()  # the alert
                except Closed:
                    pass
                raise

    def _send_some(self):
        size = self.piece() if self.piece else len(self.waiting)
        try:
            sent = self.socket.send(self.waiting[:size])
        except (BrokenPipeError, ConnectionResetError) as e:
            raise Closed from e
        del self.waiting[:sent]

    def _push(self):
        """Sends all that is encrypted; what arrives meanwhile is kept."""
        self.waiting += self.outgoing.read()
        while self.waiting:
            readable, writable, _ = select.select([self.socket], [self.socket], [], self.timeout)
            if not readable and not writable:
                raise TimeoutError("the server neither reads nor writes")
            if writable:
                self._send_some()
            if readable and not self.ended:
                self._take()

    def _take(self):
        """Bytes that have arrived go to the TLS object; raises Closed at the end of the stream."""
        try:
            got = self.socket.recv(1 << 18)
        except BlockingIOError:
            return
        except ConnectionResetError as e:
            raise Closed from e
        if got:
            self.incoming.write(got)
        else:
            self.ended = True
            self.incoming.write_eof()

    def _receive(self):
        if not select.select([self.socket], [], [], self.timeout)[0]:
            raise TimeoutError("nothing arrives")
        self._take()
        if self.ended:
            raise Closed

    def send_raw(self, data):
        view = memoryview(data)
        for start in range(0, len(view), 65536):
            self.tls.write(view[start : start + 65536])
            self._push()
            self._decrypt()

    def _decrypt(self):
        """True when plain bytes came out."""
        before = len(self.buffer)
        try:
            while True:
                self.buffer += self.tls.read(1 << 18) or self._raise_closed()
        except ssl.SSLWantReadError:
            pass
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError) as e:
            if len(self.buffer) == before:
                raise Closed from e
        return len(self.buffer) > before

    def _raise_closed(self):
        raise ssl.SSLZeroReturnError

    def _more(self):
        while not self._decrypt():
            if self.ended:
                raise Closed
            if not select.select([self.socket], [], [], self.timeout)[0]:
                raise TimeoutError("no reply")
            self._take()

    def quiet_for(self, seconds):
        self._decrypt()
        return not self.buffer and not select.select([self.socket], [], [], seconds)[0]

    def closed_within(self, seconds):
        before, self.timeout = self.timeout, seconds
        try:
            while True:
                self._more()
        except Closed:
            return True
        except (TimeoutError, OSError):
            return False
        finally:
            self.timeout = before

    def goodbye(self):
        """True when the server has ended the TLS connection as it should, with close_notify."""
        try:
            while True:
                try:
                    if not self.tls.read(1 << 18):
                        return True
                except ssl.SSLWantReadError:
                    if self.ended:
                        return False
                    if not select.select([self.socket], [], [], self.timeout)[0]:
                        return False
                    self._take()
        except ssl.SSLZeroReturnError:
            return True
        except (ssl.SSLError, Closed):
            return False
