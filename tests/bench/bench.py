#!/usr/bin/env python3
"""Measures what the program named by $POSTERN costs in memory and time, and sets that beside its bars. README.md tells how."""
import argparse
import contextlib
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "integration"))
import handlers  # noqa: E402
import harness  # noqa: E402
import peers  # noqa: E402
import tls_benches  # noqa: E402
from harness import DOMAIN, PATIENCE, POSTERN, Wire, wait_until  # noqa: E402

ALICE = f"alice@{DOMAIN}"
TOOLS = Path(os.environ.get("TEST_TOOLS") or Path(POSTERN).parent.parent / "tests") / "bench"
CORE, FLOOR, SOURCE = TOOLS / "core", TOOLS / "floor", TOOLS / "source"
KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


class Server(harness.Postern):
    """A daemon that logs into a file, so that no reader of ours runs beside it, and with limits out of the way."""
    name = "postern"
    is_lmtp = False

    def __init__(self, folder, workers="auto", mailboxes=("alice",), sections=None):
        super().__init__(folder, workers=workers, mailboxes=mailboxes, sections={
            "log": {"level": "info", "target": f"file:{folder}/postern.log"},
            "limits": {"message-size": "4G", "connections": 100_000}, **(sections or {})})
        del self.sections["listen lmtp"]

    def start(self):
        self.spawn()
        log = self.folder / "postern.log"
        pattern = re.compile(r"event=listening listener=(\S+) .*address=(127\.0\.0\.1):(\d+)")
        wanted = sum(name.startswith("listen ") for name in self.sections)

        def all_there():
            found = pattern.findall(log.read_text()) if log.exists() else []
            return found if len(found) == wanted else None
        self.listeners = {name: (host, int(port)) for name, host, port in wait_until(all_there, "the log says listening")}
        self.smtp = self.listeners["smtp"]
        self.sections["server"]["workers"] = int(re.search(r"event=started .*workers=(\d+)", log.read_text())[1])
        self.workers()
        return self

    def files(self):
        return sum(len(self.maildir(path.name).names()) for path in self.maildirs.iterdir())

    def remove_large_messages(self):
        for path in (self.maildir().path / "new").iterdir():
            path.unlink()


def cpu_seconds(server):
    """User and system time that the server's processes have used so far, and those that they started and have ended since."""
    ticks = 0
    for pid in server.processes():
        if fields := harness.proc_stat(pid):  # one that has ended meanwhile is in its parent's
            ticks += sum(map(int, fields[11:15]))  # utime, stime, cutime, cstime
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


class Bench(handlers.HandlerBenches, tls_benches.TlsBenches):
    def __init__(self, options):
        self.options = options
        self.base = Path(tempfile.mkdtemp(prefix="postern-bench.", dir=options.folder))
        self.base.chmod(0o755)
        self.rows = []
        self.count = 0

    def new_folder(self, name):
        self.count += 1
        return self.base / f"{name}{self.count}"

    def scaled(self, number):
        return max(1, int(number * self.options.scale))

    # Small files stay until all is measured: ext4 looks for a new inode past all those that were freed within the last minutes,
    # one after the other, which can cost more than all the rest of a delivery.
    @contextlib.contextmanager
    def server(self, workers="auto", mailboxes=("alice",), sections=None):
        folder = self.new_folder("server")
        folder.mkdir()
        server = Server(folder, workers, mailboxes, sections)
        try:
            server.start()
            yield server
            server.stop()
        finally:
            server.kill()

    def runs(self, measure):
        return [measure() for _ in range(self.options.runs)]

    @staticmethod
    @contextlib.contextmanager
    def or_left_out(what):
        """What needs something that is missing here is not measured, and that is told."""
        try:
            yield
        except LookupError as missing:
            print(f"  {what} is left out: {missing}", file=sys.stderr)

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

    def large_transfer(self, server, source):
        """(seconds, CPU seconds, KiB by which the worker grew) of that message in a server with one worker."""
        with server.connect() as wire:
            (worker,) = server.workers()
            wire.hello()
            wire.deliver(harness.simple_message(), ALICE)  # so that "idle" has its threads and its code in memory
            quiet_disk()
            harness.reset_peak_memory(worker)
            idle, used = harness.peak_memory(worker), cpu_seconds(server)
            start = time.monotonic()
            self.send_large(wire, source)
            seconds = time.monotonic() - start
            growth = (harness.peak_memory(worker) - idle) / KIB
            used = cpu_seconds(server) - used
        server.remove_large_messages()
        return seconds, used, growth

    def large(self):
        source = self.large_file(self.scaled(GIB))
        size = source.stat().st_size
        growth, ratios, rates, floor, cpu = [], [], [], [], []
        for _ in range(self.options.runs):
            dd = self.dd_seconds(source)
            with self.server(workers=1) as server:
                seconds, used, grown = self.large_transfer(server, source)
            growth.append(grown)
            cpu.append(used)
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
        def dial(server, **options):
            wire = Wire(server.smtp, **options)
            wire.hello()
            return wire
        self.idle_sessions("idle sessions", 1.5, self.scaled(10_000), dial)

    def idle_sessions(self, what, bar, wanted, dial, sections=None):
        """The memory of sessions that dial(server, source_address=...) opens, and that stay."""
        count = min(wanted, raise_file_limit(wanted + 500) - 500)

        def measure():
            with self.server(workers=2, sections=sections) as server:
                workers = server.workers()
                self.open_sessions(server, 100, dial)  # so that what is there once for all sessions is there
                before = sum(map(harness.anonymous_memory, workers))
                wires = self.open_sessions(server, count, dial, keep=True)
                grown = sum(map(harness.anonymous_memory, workers)) - before
                for wire in wires:
                    wire.close()
                return grown / count / KIB
        note = "" if count == wanted else f"only {count}: more files may not be opened"
        self.row(f"{count} {what}: memory each", self.runs(measure), "KiB", bar, note)

    def open_sessions(self, server, count, dial, keep=False):
        wires = []
        for number in range(count):
            # A source address has about 28,000 ports.
            wire = dial(server, source_address=(f"127.0.0.{2 + number // 20_000}", 0))
            if keep:
                wires.append(wire)
            else:
                wire.close()
        return wires

    # ---- messages of smtp-source, which sends a command at a time, and of source, which sends as MTAs do

    def load(self, server, sessions, size, count, options=(), under=()):
        """
        (CPU seconds of the server, seconds) for `count` messages, each in a connection of its own unless told otherwise; by a program that
        runs under another one.
        """
        host, port = server.smtp
        return self.client(server, [
            *under, *peers.package_command("postfix", "usr/sbin/smtp-source"), "-s", sessions, "-l", size, "-m", count,
            "-f", "bob@example.net", "-t", ALICE, *options, *(["-L"] if server.is_lmtp else []), f"{host}:{port}"])

    def source(self, server, *options):
        lmtp = ["-L"] if server.is_lmtp else []
        return [handlers.built(SOURCE), *options, *lmtp, "-f", "bob@example.net", "-r", ALICE, *server.smtp]

    def source_load(self, server, sessions, size, count, options=(), under=()):
        """As `load`."""
        return self.client(server, [*under, *self.source(server, "-s", sessions, "-l", size, "-m", count, *options)])

    def client(self, server, command):
        """(CPU seconds of the server, seconds) while a program runs."""
        used, start = cpu_seconds(server), time.monotonic()
        subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)
        return cpu_seconds(server) - used, time.monotonic() - start

    def messages(self, what, bar, sessions, size, count):
        cpu, rates, peer_cpu, peer_rates = [], [], [], []
        for _ in range(self.options.runs):
            with self.server() as server:
                warming = max(1, count // 20)
                self.load(server, sessions, size, warming)
                quiet_disk()
                used, seconds = self.load(server, sessions, size, count)
                assert len(server.maildir().names()) == warming + count
                if size > MIB:
                    server.remove_large_messages()
                cpu.append(used / count * 1000)
                rates.append(count / seconds)
            with self.peer(peers.Sink) as sink:
                used, seconds = self.load(sink, sessions, size, count)
            peer_cpu.append(used / count * 1000)
            peer_rates.append(count / seconds)
        self.row(f"{what}: server CPU each", cpu, "ms", bar, f"smtp-sink, storing nothing: {statistics.median(peer_cpu):.3g} ms")
        self.row(f"{what}: throughput", rates, "/s", note=f"smtp-sink: {statistics.median(peer_rates):.3g} /s")

    def small(self):
        self.messages("4 KiB messages, 20 connections", 0.25, 20, 4096, self.scaled(10_000))

    def medium(self):
        self.messages("20 MiB messages, 4 connections", 40, 4, 20 * MIB, self.scaled(40))

    # ---- durable messages, beside others who store them

    @contextlib.contextmanager
    def peer(self, kind, **options):
        peer = kind(self.new_folder(kind.__name__), **options)
        try:
            yield peer.start()
        finally:
            peer.stop()

    def npm(self):
        """Fetches smtp-server into our folder, which goes with us, if we may and it is not there."""
        if self.options.fetch and "POSTERN_NODE_MODULES" not in os.environ:
            folder = self.base / "npm"
            subprocess.run(["npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", str(folder), "smtp-server"],
                           check=True)
            os.environ["POSTERN_NODE_MODULES"] = str(folder / "node_modules")

    def timed(self, server, sessions, count, options=(), copies=1, load=None):
        """(messages a second by the last reply, by the last file, CPU milliseconds a message); the load is smtp-source's, or another one."""
        load = load or self.load
        warming = max(1, count // 20)
        load(server, sessions, 4096, warming, options)
        wait_until(lambda: server.files() in (None, warming * copies), f"{server.name} has delivered")
        quiet_disk()
        start = time.monotonic()
        cpu, seconds = load(server, sessions, 4096, count, options)
        files = (warming + count) * copies
        wait_until(lambda: server.files() in (None, files), f"{server.name} has delivered", PATIENCE * 10)
        return count / seconds, count / (time.monotonic() - start), cpu / count * 1000

    def floor(self, way, threads, batch, count):
        """(messages a second, CPU milliseconds a message) of the program without network."""
        if not os.access(FLOOR, os.X_OK):
            raise LookupError(f"{FLOOR} is not there; run: make tests/bench/floor")
        folder = self.new_folder("floor")
        for part in ("tmp", "new"):
            (folder / part).mkdir(parents=True)
        quiet_disk()
        words = [FLOOR, folder, way, threads, batch, count]
        done = subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True)
        seconds, cpu = map(float, done.stdout.split())
        return count / seconds, cpu / count * 1000

    def beside(self, kinds, sessions, count, options=(), mailboxes=("alice",), copies=1, load=None, floor=None):
        """
        What `timed` says of the daemon and of each peer, by name, a list with an entry for each run; those that cannot run are told of.
        In turn with them, if wanted, the program without network, with so many threads.
        """
        told = {}
        for _ in range(self.options.runs):
            if floor is not None:
                rate, cpu = self.floor("file", floor, 1, count)
                told.setdefault("no network", []).append((rate, rate, cpu))
            with self.server(mailboxes=mailboxes) as server:
                told.setdefault("postern", []).append(self.timed(server, sessions, count, options, copies, load))
            for kind in kinds:
                with self.or_left_out(kind.name), self.peer(kind, mailboxes=mailboxes) as peer:
                    # They are slow, and as fast with fewer.
                    fewer = count if kind is peers.Sink else max(1, count // 5)
                    told.setdefault(kind.name, []).append(self.timed(peer, sessions, fewer, options, copies, load))
        return told

    def ratio(self, what, ours, theirs, bar, sign=">="):
        if theirs:
            self.row(what, [a / b for a, b in zip(ours, theirs)], "", bar, sign=sign)

    def by_reply(self, told, name):
        return [run[0] for run in told.get(name, [])]

    def rates(self, what, told):
        for name, runs in told.items():
            note = f"CPU {statistics.median(run[2] for run in runs):.3g} ms a message"
            self.row(f"{what}: {name}", [run[0] for run in runs], "/s", note=note)

    def syncs(self, what, bar, sessions, count):
        """
        Counted by the kernel's tracepoints, in a run of its own. strace would make a quarter of the messages of it, and so batches of
        other sizes.
        """
        events = ",".join(f"syscalls:sys_enter_{call}" for call in ("fsync", "fdatasync", "syncfs"))
        if not shutil.which("perf") or subprocess.run(["perf", "stat", "-e", events, "true"], capture_output=True).returncode != 0:
            print("  syncs are not counted: perf is not installed, or may not count them", file=sys.stderr)
            return
        with self.server() as server:
            self.source_load(server, sessions, 4096, max(1, count // 20))
            report, pids = self.new_folder("perf"), ",".join(map(str, server.workers()))
            perf = ["perf", "stat", "-x", ",", "-o", report, "-e", events, "-p", pids, "--"]
            self.source_load(server, sessions, 4096, count, under=perf)
        counts = [line.split(",")[0] for line in report.read_text().splitlines() if "sys_enter_" in line]
        calls = sum(map(int, counts))
        self.row(f"{what}: syncs", [calls / count], "a message", bar)

    def durable(self):
        what, count = "4 KiB, 100 connections, a new one each", self.scaled(10_000)
        told = self.beside([peers.Sink, peers.Postfix, peers.DovecotLmtp], 100, count, load=self.source_load, floor=64)
        by_command = self.beside([peers.Sink], 100, count)
        self.rates(what, told)
        self.rates(f"{what}, a command at a time", by_command)
        ours, floor = self.by_reply(told, "postern"), self.by_reply(told, "no network")
        self.ratio("over Postfix", ours, self.by_reply(told, "Postfix"), 5)
        self.ratio("over Dovecot LMTP", ours, self.by_reply(told, "Dovecot LMTP"), 5)
        self.ratio("over smtp-sink, which stores nothing", ours, self.by_reply(told, "smtp-sink"), 0.6)
        self.ratio("over no network, 64 threads", ours, floor, 0.6)
        self.ratio("over smtp-sink, a command at a time", *(self.by_reply(by_command, name) for name in ("postern", "smtp-sink")), None)
        self.ratio("over no network, a command at a time", self.by_reply(by_command, "postern"), floor, None)
        self.row(f"{what}: server CPU", [run[2] for run in told["postern"]], "ms", 0.15)
        self.syncs(what, 0.2, 100, count)

    def reused(self):
        what, count = "4 KiB, 20 connections, reused", self.scaled(10_000)
        self.npm()
        kinds = [peers.Sink, peers.NodeServer]
        told = self.beside(kinds, 20, count, ["-d"], load=self.source_load)
        by_command = self.beside(kinds, 20, count, ["-d"])
        self.rates(what, told)
        self.rates(f"{what}, a command at a time", by_command)
        for how, runs, bar in ("", told, 3), (", a command at a time", by_command, None):
            self.ratio(f"over npm's smtp-server{how}", self.by_reply(runs, "postern"), self.by_reply(runs, "smtp-server"), bar)
        self.row(f"{what}: server CPU", [run[2] for run in told["postern"]], "ms", 0.15)

    def latency(self):
        count = self.scaled(1000)
        told = self.beside([], 1, count, ["-d"], load=self.source_load, floor=1)
        told["postern, a command at a time"] = self.beside([], 1, count, ["-d"])["postern"]
        floor = self.by_reply(told, "no network")
        for name in told:
            self.row(f"4 KiB, one connection: {name}, a message", [1000 / rate for rate in self.by_reply(told, name)], "ms")
        self.ratio("over no network", floor, self.by_reply(told, "postern"), 1.3, "<=")
        self.ratio("over no network, a command at a time", floor, self.by_reply(told, "postern, a command at a time"), None)

    def many(self):
        recipients, count = 20, self.scaled(1000)
        mailboxes = ["alice", *(f"{number}alice" for number in range(2, recipients + 1))]  # as smtp-source names them
        told = self.beside([peers.Postfix, peers.DovecotLmtp], 10, count, ["-r", recipients], mailboxes, recipients)
        files = {name: [run[1] * recipients for run in runs] for name, runs in told.items()}
        for name, rates in files.items():
            self.row(f"4 KiB for {recipients}, 10 connections: {name}", rates, "files/s")
        for name in ("Postfix", "Dovecot LMTP"):
            self.ratio(f"over {name}", files["postern"], files.get(name), 3)

    def ways(self):
        """Those between which delivery/commit.h chose."""
        count = self.scaled(5000)
        for way, threads, batch in [("file", 1, 1), ("file", 16, 1), ("file", 64, 1), ("file-early", 2, 50), ("file-early", 16, 6),
                                    ("syncfs", 1, 50), ("syncfs", 2, 50), ("syncfs", 2, 10), ("shared-syncfs", 1, 50),
                                    ("shared-syncfs", 2, 50), ("shared-syncfs", 2, 10)]:
            few = max(1, count // 10) if threads * batch == 1 else count
            told = self.runs(lambda: self.floor(way, threads, batch, few))
            self.row(f"{way}, {threads} x {batch}", [run[0] for run in told], "/s",
                     note=f"CPU {statistics.median(run[1] for run in told):.3g} ms a message")

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
    kind = subprocess.run(["findmnt", "-n", "-o", "FSTYPE,SOURCE", "-T", str(folder)], capture_output=True, text=True).stdout.strip()
    return (f"{len(os.sched_getaffinity(0))} x {model[1] if model else os.uname().machine}, Linux {os.uname().release}, "
            f"{kind} at {folder}")


def main():
    known = ("core", "large", "idle", "small", "medium", "durable", "reused", "latency", "many", "ways", "handlers",
             "handler-large", "zoo", "tls-idle", "tls", "tls-large")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("benches", nargs="*", metavar="BENCH", help=f"{', '.join(known)}; without any, all of them")
    parser.add_argument("--runs", type=int, default=3, help="how often each is measured; the median is told (3)")
    parser.add_argument("--folder", default=tempfile.gettempdir(),
                        help="where maildirs and test data lie: the disk that is measured (%(default)s)")
    parser.add_argument("--scale", type=float, default=1, help="all counts and sizes times this, for a quick look")
    parser.add_argument("--fetch", action="store_true", help="npm's smtp-server may be fetched, into a folder that is removed")
    parser.add_argument("--smoke", action="store_true", help="tiny counts: does it still run? The figures mean nothing")
    options = parser.parse_args()
    if options.smoke:
        options.runs, options.scale = 1, 0.002
    if not os.access(POSTERN, os.X_OK) or not set(options.benches) <= set(known):
        parser.error(f"POSTERN={POSTERN} must name the program, and each BENCH be one of {', '.join(known)}")
    bench = Bench(options)
    try:
        for name in options.benches or known:
            getattr(bench, name.replace("-", "_"))()
    except LookupError as missing:
        sys.exit(str(missing))
    finally:
        shutil.rmtree(bench.base, ignore_errors=True)
    print(machine(options.folder))
    bench.print_table()


if __name__ == "__main__":
    main()
