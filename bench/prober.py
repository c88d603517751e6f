"""How long a client that behaves waits for its replies while a server is under load."""

import multiprocessing
import os
import time

from resp import Connection, encode


class Prober:
    """Times one command again and again, from a process of its own: the load's interpreter cannot hold it up.

    `worst_ms` and `late_ms` are valid after stop(). `late_ms` is how late the machine woke this process from a sleep:
    a reply slower than a bar says something about the server only when this is small.
    """

    def __init__(self, port, commands=(("PING",),), pause_s=0.002):
        self.worst_ms = self.late_ms = 0.0
        self.pipe, far = multiprocessing.Pipe()
        arguments = (far, port, [encode(*c) for c in commands], pause_s)
        self.process = multiprocessing.get_context("fork").Process(target=self._run, args=arguments, daemon=True)
        self.process.start()
        far.close()

    @staticmethod
    def _run(pipe, port, wires, pause_s):
        try:  # before everything else: what it measures is the server, not how long it waits for a core
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        except OSError:
            pass  # only root may
        connection, clock = Connection(port), time.perf_counter
        worst = late = 0.0
        count = 0
        try:
            while not pipe.poll():
                start = clock()
                connection.burst(wires[count % len(wires)], 1)
                done = clock()
                time.sleep(pause_s)
                worst, late = max(worst, done - start), max(late, clock() - done - pause_s)
                count += 1
        except (OSError, EOFError):
            worst = float("inf")  # cut, or the server has gone
        pipe.send((worst * 1e3, late * 1e3))

    def stop(self):
        self.pipe.send(None)
        if self.pipe.poll(70):
            self.worst_ms, self.late_ms = (round(ms, 1) for ms in self.pipe.recv())
        else:
            self.worst_ms = float("inf")
        self.process.terminate()
        self.process.join()
