"""Parts of the measurement: what requests cost. Each takes the table and run.py's arguments."""

import commands
import publish
import scripts
import throughput
import tls

TLS_CPU_BAR = 0.9
CPU_BARS = {1: 0.88, 16: 0.50, 64: 0.35}
THREADS_CPU_BAR = 1.10
COMMAND_CPU_BAR, STREAM_CPU_BAR = 0.6, 0.667  # ratio to redis-server at pipeline 16
SCRIPT_BAR = 1.3  # times redis-server's requests per second of CPU


def part_throughput(table, run):
    commands = [run.one, run.baseline, run.two]
    scale, rounds = (0.2, 3) if run.quick else (1.0, throughput.ROUNDS)
    for operation, depth, (ours, theirs, two) in throughput.measure(commands, scale, rounds):
        what = f"{operation.upper()} at pipeline {depth}"
        table.add(f"{what}: requests a second", f"{ours['rate']:,}", f"{theirs['rate']:,}")
        table.add(f"{what}: CPU us a request", ours["cpu_us"], theirs["cpu_us"])
        ratio = round(1 / max(theirs["ratio"], 1e-9), 3)
        table.at_most(f"{what}: CPU, ratio to redis-server", ratio, "", CPU_BARS[depth])
        table.at_most(f"{what}: CPU with threads 2, ratio to 1", two["ratio"], "", THREADS_CPU_BAR)


def part_commands(table, run):
    scale, rounds = (0.1, 3) if run.quick else (1.0, commands.ROUNDS)
    for operation, (ours, theirs) in commands.measure([run.one, run.baseline], scale, rounds):
        what, ratio = f"{operation.upper()} at pipeline 16: CPU us a request", round(1 / max(theirs["ratio"], 1e-9), 3)
        table.add(what, ours["cpu_us"], theirs["cpu_us"])
        bar = STREAM_CPU_BAR if operation.startswith("x") else COMMAND_CPU_BAR
        table.at_most(f"{operation.upper()} at pipeline 16: CPU, ratio to redis-server", ratio, "", bar)


def part_publish(table, run):
    ours, theirs = publish.measure([run.one, run.baseline], 1 if run.quick else publish.ROUNDS)
    what = f"PUBLISH to {publish.SUBSCRIBERS:,} subscribers"
    table.add(f"{what}: messages a second", f"{ours['rate']:,}", f"{theirs['rate']:,}", ">= redis-server",
              ours["rate"] >= theirs["rate"])  # fmt: skip
    table.add(f"{what}: CPU us a message and subscriber", ours["cpu_us"], theirs["cpu_us"])


def part_scripts(table, run):
    scale, rounds = (0.2, 3) if run.quick else (1.0, scripts.ROUNDS)
    for name, depth, (ours, theirs) in scripts.measure([run.one, run.baseline], scale, rounds):
        if name == "plain":
            continue
        what, times = f"EVALSHA, {name}, at pipeline {depth}", theirs["ratio"]
        table.add(f"{what}: CPU us a request", ours["cpu_us"], theirs["cpu_us"])
        table.add(f"{what}: requests per second of CPU, times redis-server's", times, "", f">= {SCRIPT_BAR}",
                  times >= SCRIPT_BAR)  # fmt: skip


def part_tls(table, run):
    with tls.Certificates() as certificates:
        scale, rounds = (0.5, 1) if run.quick else (1.0, tls.ROUNDS)
        for operation, depth, clients, (ours, theirs) in tls.throughput(
            certificates, [run.one, run.baseline], scale, rounds
        ):
            what = f"TLS, {operation.upper()} at pipeline {depth}, {clients} clients"
            table.add(f"{what}: CPU us a request", ours["cpu_us"], theirs["cpu_us"])
            table.at_most(f"{what}: CPU, ratio to redis-server", ours["ratio"], "", TLS_CPU_BAR)
        theirs = tls.at_rest(certificates, run.baseline, 1000), tls.handshake_cpu_ms(certificates, run.baseline)
        flood = tls.under_flood(certificates, run.baseline)
        ours = tls.at_rest(certificates, run.one, 1000), tls.handshake_cpu_ms(certificates, run.one)
        table.add("TLS, 1000 idle clients: resident each", f"{ours[0]:,} B", f"{theirs[0]:,} B")
        table.add("TLS, a handshake: CPU", f"{ours[1]} ms", f"{theirs[1]} ms")
        for threads, command in ((1, run.one), (2, run.two)):
            mine = tls.under_flood(certificates, command)
            table.add(f"200 TLS handshakes at a time, threads {threads}: worst PING", f"{mine['worst_ping_ms']} ms",
                      f"{flood['worst_ping_ms']} ms")  # fmt: skip
