#!/usr/bin/env python3
"""Measures what the program named by $POSTERN costs in memory and time, and sets that beside its bars. README.md tells how."""
import argparse
import contextlib
import os
import re
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "integration"))
import harness  # noqa: E402
from harness import DOMAIN, PACKAGES, POSTERN, ROOT, WORKER_USER, Wire, wait_until  # noqa: E402

ALICE = f"alice@{DOMAIN}"
CORE = Path(os.environ.get("TEST_TOOLS") or Path(POSTERN).parent.parent / "tests") / "bench/core"
KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


class Server(harness.Postern):
    """A daemon that logs into a file, so that no reader of ours runs beside it, and with limits out of the way."""

    def __init__(self, folder, workers):
        super().__init__(folder, workers=workers, sections={
            "log": {"level": "info", "target": f"file:{folder}/postern.log"},
            "limits": {"message-size": "4G", "connections": 100_000}})
        del self.sections["listen lmtp"]

    def start(self):
        self.spawn()
        log = self.folder / "postern.log"
        pattern = re.compile(r"event=listening .*address=(127\.0\.0\.1):(\d+)")
        match = wait_until(lambda: log.exists() and pattern.search(log.read_text()), "the log says listening")
        self.smtp = match[1], int(match[2])
        self.workers()
        return self

    def remove_large_messages(self):
        for path in (self.maildir().path / "new").iterdir():
            path.unlink()


class Sink:
    """Postfix's smtp-sink, which speaks SMTP and throws messages away: the floor of what the protocol costs."""

    def __init__(self, command):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.smtp = probe.getsockname()
        user = ["-u", WORKER_USER] if ROOT else []
        self.process = subprocess.Popen([*command, *user, f"127.0.0.1:{self.smtp[1]}", "1000"], start_new_session=True)
        wait_until(self.answers, "smtp-sink listens")

    def answers(self):
        with contextlib.suppress(ConnectionError):
            Wire(self.smtp).close()
            return True

    def processes(self):
        return [self.process.pid]

    def stop(self):
        self.process.kill()
        self.process.wait()


def cpu_seconds(server):
    """User and system time that the server's processes have used so far."""
    ticks = 0
    for pid in server.processes():
        fields = harness.proc_stat(pid)
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def quiet_disk():
    """What former measurements left to be written is written now, and not during the next one."""
    os.sync()


def raise_file_limit(wanted):
    """How many files we may open, raised as far as needed and possible."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), max(hard, wanted)))
        return wanted
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def number(value):
    """Three digits that count, and of large numbers all before the point."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


class Bench:
    def __init__(self, options):
        self.options = options
        self.base = Path(tempfile.mkdtemp(prefix="postern-bench.", dir=options.folder))
        self.base.chmod(0o755)
        self.rows = []
        self.count = 0

    def scaled(self, number):
        return max(1, int(number * self.options.scale))

    # Small files stay until all is measured: ext4 looks for a new inode past all those that were freed within the last minutes,
    # one after the other, which can cost more than all the rest of a delivery.
    @contextlib.contextmanager
    def server(self, workers):
        folder = self.base / f"server{self.count}"
        self.count += 1
        folder.mkdir()
        server = Server(folder, workers)
        try:
            server.start()
            yield server
            server.stop()
        finally:
            server.kill()

    def runs(self, measure):
        return [measure() for _ in range(self.options.runs)]

    def row(self, what, measured, unit, bar=None, note="", sign="<="):
        """A line of the table; the bar is what is not to be exceeded or, with the sign ">=", to be reached."""
        value = statistics.median(measured)
        good = bar is None or (value <= bar if sign == "<=" else value >= bar)
        verdict = "" if bar is None or self.options.smoke else "ok" if good else "OVER" if sign == "<=" else "UNDER"
        spread = f"{number(min(measured))} to {number(max(measured))}" if len(measured) > 1 else ""
        bar_text = "" if bar is None else f"{sign} {number(bar)} {unit}"
        self.rows.append((what, f"{number(value)} {unit}", spread, bar_text, verdict, note))
        print(f"  {what}: {number(value)} {unit}", file=sys.stderr)

    # ---- one large message

    def large_file(self, size):
        path = self.base / "large.eml"
        line = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+/0123456789ab\r\n"
        block = line * (MIB // len(line))
        with path.open("wb") as file:
            file.write(b"Subject: large\r\n\r\n")
            while file.tell() < size:
                file.write(block[:min(len(block), (size - file.tell() + len(line) - 1) // len(line) * len(line))])
        return path

    def dd_seconds(self, source):
        copy = self.base / "copy"
        quiet_disk()
        start = time.monotonic()
        subprocess.run(["dd", f"if={source}", f"of={copy}", "bs=1M", "conv=fsync"], check=True, stderr=subprocess.DEVNULL)
        seconds = time.monotonic() - start
        copy.unlink()
        return seconds

    def send_large(self, wire, source):
        wire.envelope(ALICE)
        wire.command("DATA", 354)
        with source.open("rb") as file:
            wire.socket.sendfile(file)
        wire.send(b".\r\n")
        wire.expect(250)

    def large(self):
        source = self.large_file(self.scaled(GIB))
        size = source.stat().st_size
        growth, ratios, rates, floor, cpu = [], [], [], [], []
        for _ in range(self.options.runs):
            dd = self.dd_seconds(source)
            with self.server(workers=1) as server, server.connect() as wire:
                (worker,) = server.workers()
                wire.hello()
                wire.deliver(harness.simple_message(), ALICE)  # so that "idle" has its threads and its code in memory
                quiet_disk()
                harness.reset_peak_memory(worker)
                idle, used = harness.peak_memory(worker), cpu_seconds(server)
                start = time.monotonic()
                self.send_large(wire, source)
                seconds = time.monotonic() - start
                growth.append((harness.peak_memory(worker) - idle) / KIB)
                cpu.append(cpu_seconds(server) - used)
                server.remove_large_messages()
            ratios.append(dd / seconds)
            rates.append(size / MIB / seconds)
            floor.append(size / MIB / dd)
        source.unlink()
        what = f"{size / GIB:.3g} GiB message"
        self.row(f"{what}: growth of resident memory", growth, "KiB", 1024)
        self.row(f"{what}: throughput", rates, "MiB/s", note=f"dd with fsync: {statistics.median(floor):.3g} MiB/s")
        self.row(f"{what}: throughput over dd's", ratios, "")
        self.row(f"{what}: server CPU", cpu, "s")

    # ---- idle sessions

    def idle(self):
        wanted = self.scaled(10_000)
        count = min(wanted, raise_file_limit(wanted + 500) - 500)

        def measure():
            with self.server(workers=2) as server:
                workers = server.workers()
                self.open_sessions(server, 100)  # so that what is there once for all sessions is there
                before = sum(map(harness.anonymous_memory, workers))
                wires = self.open_sessions(server, count, keep=True)
                grown = sum(map(harness.anonymous_memory, workers)) - before
                for wire in wires:
                    wire.close()
                return grown / count / KIB
        note = "" if count == wanted else f"only {count}: more files may not be opened"
        self.row(f"{count} idle sessions: memory each", self.runs(measure), "KiB", 1.5, note)

    def open_sessions(self, server, count, keep=False):
        wires = []
        for number in range(count):
            # A source address has about 28,000 ports.
            wire = Wire(server.smtp, source_address=(f"127.0.0.{2 + number // 20_000}", 0))
            wire.hello()
            if keep:
                wires.append(wire)
            else:
                wire.close()
        return wires

    # ---- messages of smtp-source

    def program(self, name):
        wrapper = PACKAGES / "postfix/env"
        if not wrapper.exists():
            raise LookupError(f"{name}: the package postfix is not unpacked in {PACKAGES}; run: "
                              f"tests/integration/packages {PACKAGES} postfix")
        return [str(wrapper), f"usr/sbin/{name}"]

    def load(self, server, sessions, size, count):
        """(CPU seconds of the server, seconds) for `count` messages, each in a connection of its own."""
        host, port = server.smtp
        command = [*self.program("smtp-source"), "-s", sessions, "-l", size, "-m", count, "-f", "bob@example.net",
                   "-t", ALICE, f"{host}:{port}"]
        used, start = cpu_seconds(server), time.monotonic()
        subprocess.run([str(word) for word in command], check=True)
        return cpu_seconds(server) - used, time.monotonic() - start

    def messages(self, what, bar, sessions, size, count):
        cpu, rates, peer_cpu, peer_rates = [], [], [], []
        for _ in range(self.options.runs):
            with self.server(workers=len(os.sched_getaffinity(0))) as server:
                warming = max(1, count // 20)
                self.load(server, sessions, size, warming)
                quiet_disk()
                used, seconds = self.load(server, sessions, size, count)
                assert len(server.maildir().names()) == warming + count
                if size > MIB:
                    server.remove_large_messages()
                cpu.append(used / count * 1000)
                rates.append(count / seconds)
            sink = Sink(self.program("smtp-sink"))
            try:
                used, seconds = self.load(sink, sessions, size, count)
            finally:
                sink.stop()
            peer_cpu.append(used / count * 1000)
            peer_rates.append(count / seconds)
        self.row(f"{what}: server CPU each", cpu, "ms", bar, f"smtp-sink, storing nothing: {statistics.median(peer_cpu):.3g} ms")
        self.row(f"{what}: throughput", rates, "/s", note=f"smtp-sink: {statistics.median(peer_rates):.3g} /s")

    def small(self):
        self.messages("4 KiB messages, 20 connections", 0.25, 20, 4096, self.scaled(10_000))

    def medium(self):
        self.messages("20 MiB messages, 4 connections", 40, 4, 20 * MIB, self.scaled(40))

    # ---- the core alone

    def core_output(self, *arguments, tool=()):
        command = [*tool, CORE, *arguments]
        if not os.access(CORE, os.X_OK):
            raise LookupError(f"{CORE} is not there; run: make tests/bench/core")
        if not shutil.which(str(command[0])):
            raise LookupError(f"{command[0]} is not installed")
        done = subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True)
        return done.stdout + done.stderr

    def counted(self, how, tool, pattern):
        """What valgrind counts for one transaction: the difference between many and more of them has no start in it."""
        counts = [self.scaled(1000), 2 * self.scaled(1000)]
        texts = [self.core_output(how, count, tool=["valgrind", *tool]) for count in counts]
        few, many = [int(re.search(pattern, text)[1].replace(",", "")) for text in texts]
        return (many - few) / (counts[1] - counts[0])

    def core(self):
        for how, what in [("data", "DATA, a command at a time"), ("pipelined", "DATA, pipelined"), ("bdat", "BDAT, pipelined")]:
            callgrind = ["--tool=callgrind", "--callgrind-out-file=/dev/null"]
            self.row(f"{what}: instructions", [self.counted(how, callgrind, r"Collected : ([0-9]+)")], "", 10_000)
            self.row(f"{what}: allocations", [self.counted(how, ["--tool=memcheck"], r"total heap usage: ([0-9,]+) allocs")],
                     "", 0)
        size = self.scaled(64 * MIB)
        for corpus, bar in [("base64", 2), ("text", 2), ("dots", None)]:
            plain, converted = [self.runs(lambda: float(self.core_output(mode, corpus, size))) for mode in ("decode", "convert")]
            self.row(f"dot-unstuffing of {corpus}", plain, "GB/s", bar, sign=">=",
                     note=f"with line ends converted: {statistics.median(converted):.3g} GB/s")

    # ---- all

    def print_table(self):
        titles = ("what", "median", "spread", "bar", "", "beside it")
        widths = [max(len(row[i]) for row in [titles, *self.rows]) for i in range(len(titles))]
        for row in [titles, tuple("-" * width for width in widths), *self.rows]:
            print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def machine(folder):
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    kind = subprocess.run(["stat", "-f", "-c", "%T", str(folder)], capture_output=True, text=True).stdout.strip()
    return (f"{len(os.sched_getaffinity(0))} x {model[1] if model else os.uname().machine}, Linux {os.uname().release}, "
            f"{kind} at {folder}")


def main():
    known = ("core", "large", "idle", "small", "medium")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("benches", nargs="*", metavar="BENCH", help=f"{', '.join(known)}; without any, all of them")
    parser.add_argument("--runs", type=int, default=3, help="how often each is measured; the median is told (3)")
    parser.add_argument("--folder", default=tempfile.gettempdir(),
                        help="where maildirs and test data lie: the disk that is measured (%(default)s)")
    parser.add_argument("--scale", type=float, default=1, help="all counts and sizes times this, for a quick look")
    parser.add_argument("--smoke", action="store_true", help="tiny counts: does it still run? The figures mean nothing")
    options = parser.parse_args()
    if options.smoke:
        options.runs, options.scale = 1, 0.002
    if not os.access(POSTERN, os.X_OK) or not set(options.benches) <= set(known):
        parser.error(f"POSTERN={POSTERN} must name the program, and each BENCH be one of {', '.join(known)}")
    bench = Bench(options)
    try:
        for name in options.benches or known:
            getattr(bench, name)()
    except LookupError as missing:
        sys.exit(str(missing))
    finally:
        shutil.rmtree(bench.base, ignore_errors=True)
    print(machine(options.folder))
    bench.print_table()


if __name__ == "__main__":
    main()
