#!/usr/bin/python3
"""Starts a server, runs a command with its port as the last argument, ends the server. The command's exit code."""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from servers import Server  # noqa: E402

with Server(sys.argv[1]) as server:
    try:
        code = subprocess.run(sys.argv[2:] + [str(server.port)], timeout=90, stdin=subprocess.DEVNULL).returncode
    except subprocess.TimeoutExpired:
        print("FAILED: took more than 90 s")
        code = 1
    if not server.alive():
        print("FAILED: the server died\n" + server.log_tail())
        code = 1
sys.exit(code)
