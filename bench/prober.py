"""How long a client that behaves waits for its replies while a server is under load."""

import multiprocessing
import os
import time

from resp import Connection, encode

STALL_S = 0.0005  # how late a processor is that is said to have stood still


def _first_in_line(priority):
    """Before everything else on its processor; False where that is not allowed (only root may)."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    except OSError:
        return False
    return True


def _watch_processor(pipe, processor):
    """Sends when that processor stood still, as pairs of times: a virtual machine's does whenever its host pleases.

    What is first in line on it and yet wakes late was kept from running by nothing that runs on this machine.
    """
    stalls, clock = [], time.perf_counter
    try:
        os.sched_setaffinity(0, [processor])
        able = _first_in_line(2)
    except OSError:
        able = False
    before = clock()
    while not pipe.poll():
        time.sleep(STALL_S)
        now = clock()
        if able and now - before > 2 * STALL_S:
            stalls.append((before + STALL_S, now))
        before = now
    pipe.send(stalls)


def _union(intervals):
    """The same times without overlaps, sorted."""
    out = []
    for begin, end in sorted(intervals):
        if out and begin <= out[-1][1]:
            out[-1][1] = max(out[-1][1], end)
        else:
            out.append([begin, end])
    return out


class Prober:
    """Times one command again and again, from a process of its own: the load's interpreter cannot hold it up.

    After stop(): `worst_ms`, the longest wait, less the time in it for which a processor of this machine stood still;
    `raw_ms`, the longest wait as it was; `late_ms`, how long a processor stood still at most.
    """

    def __init__(self, port, commands=(("PING",),), pause_s=0.002):
        self.worst_ms = self.raw_ms = self.late_ms = 0.0
        fork = multiprocessing.get_context("fork")
        self.pipes, self.processes = [], []
        jobs = [(self._run, (port, [encode(*c) for c in commands], pause_s))]
        jobs += [(_watch_processor, (processor,)) for processor in sorted(os.sched_getaffinity(0))]
        for target, arguments in jobs:
            pipe, far = multiprocessing.Pipe()
            process = fork.Process(target=target, args=(far, *arguments), daemon=True)
            process.start()
            far.close()
            self.pipes.append(pipe)
            self.processes.append(process)

    @staticmethod
    def _run(pipe, port, wires, pause_s):
        _first_in_line(1)  # what it measures is the server, not how long it waits for a core
        connection, clock = Connection(port), time.perf_counter
        slow = [(0.0, 0.0, 0.0)]  # the longest waits: length, begin, end
        count = 0
        try:
            while not pipe.poll():
                start = clock()
                connection.burst(wires[count % len(wires)], 1)
                done = clock()
                if done - start > slow[-1][0] or len(slow) < 1000:
                    slow = sorted([*slow, (done - start, start, done)], reverse=True)[:1000]
                time.sleep(pause_s)
                count += 1
        except (OSError, EOFError):
            slow = [(float("inf"), 0.0, 0.0)]  # cut, or the server has gone
        pipe.send(slow)

    def _answer(self, pipe):
        pipe.send(None)
        return pipe.recv() if pipe.poll(70) else None

    def stop(self):
        slow, *watched = [self._answer(pipe) for pipe in self.pipes]
        stalls = _union(stall for stalls in watched for stall in stalls or ())
        if slow is None:
            slow = [(float("inf"), 0.0, 0.0)]

        def without_stalls(length, begin, end):
            return length - sum(max(0.0, min(end, until) - max(begin, since)) for since, until in stalls)

        self.worst_ms = round(max(without_stalls(*wait) for wait in slow) * 1e3, 1)
        self.raw_ms = round(slow[0][0] * 1e3, 1)
        self.late_ms = round(max((until - since for since, until in stalls), default=0.0) * 1e3, 1)
        for process in self.processes:
            process.terminate()
            process.join()
