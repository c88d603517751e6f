"""Certificates of two authorities in a temporary folder, and Python contexts that use them."""

import os
import shutil
import ssl
import subprocess
import tempfile

PASSWORD = "of the key"


class Certificates:
    """ca.crt signs server.*, second.* (an EC key) and client.*; other_ca.crt signs stranger.*; locked.key is server.key
    behind PASSWORD; old.crt has expired; params.pem are DH parameters."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="brim-tls-")
        with open(self.path("names"), "w") as f:
            f.write("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        for name in ("ca", "other_ca"):
            self._openssl("req", "-x509", *self._key(name), "-out", f"{name}.crt", "-days", "3", "-subj", f"/CN={name}")
        for name, authority in (("server", "ca"), ("client", "ca"), ("stranger", "other_ca")):
            self._sign(name, authority, self._key(name))
        self._openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "second.key")
        self._sign("second", "ca", ["-key", "second.key"])
        self._sign("old", "ca", ["-key", "client.key"], "-days", "-1")
        self._openssl("rsa", "-aes256", "-in", "server.key", "-out", "locked.key", "-passout", f"pass:{PASSWORD}")
        self._openssl("genpkey", "-genparam", "-algorithm", "DH", "-pkeyopt", "group:ffdhe2048", "-out", "params.raw")
        self._openssl("dhparam", "-in", "params.raw", "-out", "params.pem")

    def _openssl(self, *words):
        done = subprocess.run(["openssl", *words], cwd=self.folder, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL)  # fmt: skip
        if done.returncode != 0:
            raise SystemExit(f"openssl {' '.join(words)}: {done.stderr}")

    def _key(self, name):
        return ["-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key"]

    def _sign(self, name, authority, key, *more):
        self._openssl("req", "-new", *key, "-out", f"{name}.csr", "-subj", f"/CN={name}")
        self._openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{authority}.crt", "-CAkey", f"{authority}.key",
                      "-CAcreateserial", "-out", f"{name}.crt", "-extfile", "names", *(more or ("-days", "3")))  # fmt: skip

    def path(self, name):
        return os.path.join(self.folder, name)

    def options(self, name="server", auth="yes"):
        """Directives of a server that shows that certificate."""
        return ["--tls-cert-file", self.path(f"{name}.crt"), "--tls-key-file", self.path(f"{name}.key"),
                "--tls-ca-cert-file", self.path("ca.crt"), "--tls-auth-clients", auth]  # fmt: skip

    def context(self, name="client", authority="ca", lowest=None, highest=None, ciphers=None):
        """A client's; `name` None: it shows no certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.path(f"{authority}.crt"))
        if name:
            key = self.path(f"{name}.key")
            context.load_cert_chain(self.path(f"{name}.crt"), key if os.path.exists(key) else self.path("client.key"))
        if lowest:
            context.minimum_version = lowest
        if highest:
            context.maximum_version = highest
        if ciphers:
            context.set_ciphers(ciphers)
        return context

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)
