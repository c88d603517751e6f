"""The tls-* settings, port, tls-port and bind at run time, compared with redis-server reply by reply."""

import os
import re
import ssl
import time

from certificates import PASSWORD
from servers import ORACLE, Server, free_port
from tls_wire import TlsConnection
from wire import Closed


def shown(port, certs):
    """Who the certificate at the port says it is, or "refused"."""
    try:
        with TlsConnection(port, certs.context(), 5) as c:
            return dict(x[0] for x in c.tls.getpeercert()["subject"])["commonName"]
    except (ssl.SSLError, Closed, OSError):
        return "refused"


def script(c, certs, port, spare):
    """Yields (what, reply, who is shown at the port)."""

    def put(*words):
        reply = c.call("CONFIG", "SET", *words)
        return " ".join(os.path.basename(str(w)) for w in words if not isinstance(w, int)), reply, shown(port, certs)

    def file(name):
        return certs.path(name)

    values = c.value("CONFIG", "GET", "tls*")
    yield "CONFIG GET tls*", {k: v for k, v in zip(values[::2], values[1::2]) if k != b"tls-port"}
    yield put("tls-cert-file", file("none"))
    yield put("tls-cert-file", file("second.crt"))
    yield put("tls-key-file", file("second.key"))
    yield put("tls-cert-file", file("second.crt"), "tls-key-file", file("second.key"))
    yield put("tls-key-file", file("server.key"), "tls-cert-file", file("server.crt"), "hz", 20)
    yield put("hz", 30, "tls-key-file", file("none"), "tls-cert-file", file("second.crt"))
    yield sorted(c.value("CONFIG", "GET", "hz", "tls-cert-file"))
    yield put("tls-key-file", file("locked.key"))
    yield put("tls-key-file", file("locked.key"), "tls-key-file-pass", "wrong")
    yield put("tls-key-file", file("locked.key"), "tls-key-file-pass", PASSWORD)
    yield put("tls-key-file", file("server.key"), "tls-key-file-pass", "")
    yield put("tls-ca-cert-file", file("none"))
    yield put("tls-ca-cert-file", "")
    yield put("tls-ca-cert-file", "", "tls-auth-clients", "no")
    yield put("tls-auth-clients", "yes")
    yield put("tls-auth-clients", "sometimes")
    yield put("tls-ca-cert-file", file("ca.crt"), "tls-auth-clients", "yes")
    yield put("tls-ca-cert-file", file("other_ca.crt"))
    yield put("tls-ca-cert-dir", file(""), "tls-ca-cert-file", file("ca.crt"))
    yield put("tls-ca-cert-dir", "")
    for name, value in (
        ("tls-protocols", "TLSv1.4"), ("tls-protocols", "TLSv1.2 nonsense"), ("tls-protocols", "TLSv1.2"),
        ("tls-protocols", "tlsv1.3"), ("tls-protocols", ""), ("tls-ciphers", "nonsense"), ("tls-ciphers", "HIGH"),
        ("tls-ciphers", ""), ("tls-ciphersuites", "nonsense"), ("tls-ciphersuites", "TLS_AES_128_GCM_SHA256"),
        ("tls-ciphersuites", ""), ("tls-dh-params-file", file("none")), ("tls-dh-params-file", file("ca.crt")),
        ("tls-dh-params-file", file("params.pem")), ("tls-dh-params-file", ""), ("tls-prefer-server-ciphers", "yes"),
        ("tls-session-caching", "no"), ("tls-session-caching", "yes"), ("tls-session-caching", "x"),
        ("tls-session-cache-size", "-1"), ("tls-session-cache-size", "100"), ("tls-session-cache-timeout", "10"),
        ("tls-session-cache-timeout", "x"), ("tls-client-cert-file", file("none")), ("tls-client-key-file", file("none")),
        ("tls-replication", "yes"), ("tls-cluster", "maybe"), ("tls-cluster", "yes"), ("tls-port", "65536"),
        ("tls-port", "-1"),
    ):  # fmt: skip
        yield put(name, value)
    yield put("tls-client-cert-file", file("client.crt"))
    yield put("tls-client-cert-file", file("client.crt"), "tls-client-key-file", file("client.key"))
    yield put("tls-port", spare)
    yield shown(spare, certs)
    yield put("tls-port", 0)
    yield shown(spare, certs)
    yield put("tls-port", port)
    values = c.value("CONFIG", "GET", "tls*")
    yield {k: v for k, v in zip(values[::2], values[1::2]) if k != b"tls-port"}


def plain(reply):
    return [tuple(x) if isinstance(x, list) else x for x in reply] if isinstance(reply, tuple) else reply


def transcript(command, certs, tally):
    port, spare = free_port(), free_port()
    with Server(command, ["--tls-port", str(port), *certs.options()]) as server, server.connect() as c:
        with TlsConnection(port, certs.context()) as old:
            steps = [plain(step) for step in script(c, certs, port, spare)]
            alive = old.call("PING") == ("+", b"PONG")
        tally.check(alive, f"{command}: a connection from before lives through all changes")
        log = re.findall(r" # (.*)", server.log_tail(100_000))
        return steps, [line for line in log if "accepting" not in line and "Warning" not in line]


def comparison(tally, command, certs):
    wanted, their_log = transcript(ORACLE, certs, tally)
    got, our_log = transcript(command, certs, tally)
    for n, (x, y) in enumerate(zip(wanted, got)):
        if n not in (0, len(wanted) - 1) or not isinstance(x, dict):
            tally.check(x == y, f"settings {n}: {x[0] if isinstance(x, list) else ''}", f"{y} instead of {x}")
    reasons = [line for line in their_log if "Failed" in line or "Invalid" in line or "must be specified" in line]
    for line in reasons:
        line = line.split(": error:")[0]  # OpenSSL's reason for a wrong password depends on how it is asked for
        tally.check(any(x.startswith(line) for x in our_log), f"the log says: {line}", f"{our_log[-5:]}")


def start(tally, command, certs):
    """Bad settings at the start: no server."""
    good = certs.options()
    for name, options in {
        "no certificate": [], "no key": good[:2], "no authority": good[:4], "wrong key": certs.options("client")[:2] + good[2:],
        "no such file": ["--tls-cert-file", certs.path("none"), *good[2:]], "protocols": good + ["--tls-protocols", "x"],
        "nowhere": None,
    }.items():  # fmt: skip
        codes = []
        for binary in (command, ORACLE):
            extra = ["--port", "0"] if options is None else ["--tls-port", str(free_port()), *options]
            with Server(binary, extra, wait=False) as server:
                try:
                    codes.append(server.process.wait(10))
                except Exception:
                    codes.append("runs")
        tally.check(codes[0] == codes[1] == 1, f"start with {name}", f"exit codes {codes}")


def ports(tally, command, certs):
    """port, tls-port and bind at run time, each refused one leaving everything as it was."""
    port, other, taken = free_port(), free_port(), free_port()
    with Server(command, ["--tls-port", str(port), *certs.options()]) as server, Server(command) as occupant:
        context = certs.context()

        def answers(number, tls):
            try:
                with TlsConnection(number, context, 5) if tls else type(server).connect(_At(number)) as c:
                    return c.call("PING") == ("+", b"PONG")
            except (ssl.SSLError, OSError, Closed):
                return False

        with server.connect() as c:
            for name in ("port", "tls-port"):
                reply = c.call("CONFIG", "SET", name, occupant.port)
                wanted = (f"ERR CONFIG SET failed (possibly related to argument '{name}') - Unable to listen on this port. "
                          "Check server logs.")  # fmt: skip
                tally.check(reply == ("-", wanted.encode()), f"{name} that is taken", f"{reply}")
                tally.check(answers(server.port, False) and answers(port, True), f"{name} refused: both are served")
            reply = c.call("CONFIG", "SET", "bind", "127.0.0.1 1.2.3.4")
            tally.check(reply[0] == "-" and b"Failed to bind" in reply[1], "bind to an address that is not ours", f"{reply}")
            tally.check(answers(server.port, False) and answers(port, True), "bind refused: both are served")
            reply = c.call("CONFIG", "SET", "port", other, "tls-port", taken)
            tally.check(reply == ("+", b"OK"), "both change", f"{reply} {server.log_tail()}")
            tally.check(answers(other, False) and answers(taken, True), "the new ones are served")
            tally.check(not answers(server.port, False) and not answers(port, True), "the old ones are not")
            tally.check(c.call("CONFIG", "SET", "port", taken, "tls-port", other) == ("+", b"OK"), "they swap")
            tally.check(answers(taken, False) and answers(other, True), "and are served")
            tally.check(c.call("CONFIG", "SET", "port", "0") == ("+", b"OK"), "port 0")
            tally.check(b"tcp_port:%d\r" % other in c.value("INFO", "server"), "INFO tells the TLS port then")
            tally.check(not answers(taken, False) and answers(other, True), "TLS alone")


class _At:
    def __init__(self, port):
        self.port = port


def rewrite(tally, command, certs):
    """CONFIG REWRITE keeps what was changed; a server that reads the file has it."""
    path = certs.path("written.conf")
    port = free_port()
    options = certs.options()
    with open(path, "w") as f:
        f.write(f"tls-port {port}\n" + "".join(f"{options[i][2:]} {options[i + 1]}\n" for i in range(0, len(options), 2)))
    with Server(command, config_file=path) as server, server.connect() as c:
        c.call("CONFIG", "SET", "tls-cert-file", certs.path("second.crt"), "tls-key-file", certs.path("second.key"))
        c.call("CONFIG", "SET", "tls-protocols", "TLSv1.2 TLSv1.3", "tls-session-caching", "no")
        tally.check(c.call("CONFIG", "REWRITE") == ("+", b"OK"), "CONFIG REWRITE")
    with open(path) as f:
        lines = f.readlines()
    folder = [line for line in lines if line.startswith("dir ")]
    tally.check(len(folder) == 1, "the folder is written", f"{folder}")
    with open(path, "w") as f:
        f.writelines(line for line in lines if line not in folder)  # it is gone
    with Server(command, config_file=path) as server, server.connect() as c:
        tally.check(shown(port, certs) == "second", "the rewritten file is read")
        got = c.value("CONFIG", "GET", "tls-protocols")
        tally.check(got == [b"tls-protocols", b"TLSv1.2 TLSv1.3"], "with a value of two words", f"{got}")


def changed_file(tally, command, certs):
    """The same name with other bytes behind it: CONFIG SET reads the file anew."""
    cert, key = certs.path("now.crt"), certs.path("now.key")

    def copy(name):
        for a, b in ((certs.path(f"{name}.crt"), cert), (certs.path(f"{name}.key"), key)):
            with open(a) as source, open(b, "w") as copied:
                copied.write(source.read())

    copy("server")
    port = free_port()
    with Server(command, ["--tls-port", str(port), *certs.options("now")]) as server, server.connect() as c:
        before = shown(port, certs)
        copy("second")
        time.sleep(0.01)
        reply = c.call("CONFIG", "SET", "tls-cert-file", cert)
        tally.check((before, reply, shown(port, certs)) == ("server", ("+", b"OK"), "second"), "the same file name, renewed")


def run(tally, command, certs):
    comparison(tally, command, certs)
    start(tally, command, certs)
    ports(tally, command, certs)
    rewrite(tally, command, certs)
    changed_file(tally, command, certs)
