#!/usr/bin/python3
"""What a server costs before it holds anything. usage: empty.py 'SERVER COMMAND'"""

import json
import sys
import time

from target import Server


def measure(command):
    """Resident and used bytes of an empty server that has answered a client."""
    with Server(command) as server:
        time.sleep(1)
        return {"resident": server.resident(), "used": int(server.info("used_memory"))}


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1])))
