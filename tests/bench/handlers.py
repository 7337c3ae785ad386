"""What handlers cost those whose messages they see, and, when they are bad, all others. README.md tells what is measured."""
import base64
import contextlib
import itertools
import os
import re
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "integration"))
import harness  # noqa: E402
from harness import DOMAIN, PATIENCE, TOOLS, Wire  # noqa: E402

ALICE, BOB = f"alice@{DOMAIN}", f"bob@{DOMAIN}"
TOOLS = (TOOLS if "TEST_TOOLS" in os.environ else Path(harness.POSTERN).parent.parent / "tests").absolute()
BENCH, ZOO = TOOLS / "bench", TOOLS / "handlers" / "zoo.so"
MIB, GIB = 1 << 20, 1 << 30


def built(path):
    if not path.exists():
        raise LookupError(f"{path} is not there; run: make check TESTS=")
    return path


def percentile(values, part):
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def runners(server):
    """The processes in which handlers run: a host's guard has just this child."""
    processes = server.processes()
    hosts = [pid for pid in processes if Path(f"/proc/{pid}/comm").read_text() == "postern-host\n"]
    return [pid for pid in hosts if int(harness.proc_stat(pid)[1]) in hosts]


# ---- those who are disturbed, and who disturbs them

class Pace:
    """Clients that send small messages at a steady rate, and how long each message takes from MAIL to the final 250."""

    def __init__(self, address, clients, rate):
        self.address, self.clients, self.interval = address, clients, clients / rate

    def run(self, wire, first, count, took):
        message = harness.simple_message(b"x" * 78 + b"\r\n")
        for number in range(count):
            time.sleep(max(0, first + number * self.interval - time.monotonic()))
            start = time.monotonic()
            wire.deliver(message, ALICE)
            took.append((time.monotonic() - start) * 1000)

    def measure(self, count):
        """Milliseconds of each of that many messages."""
        with contextlib.ExitStack() as stack:
            wires = [stack.enter_context(Wire(self.address)) for _ in range(self.clients)]
            took = [[] for _ in wires]
            begin = time.monotonic()
            threads = []
            for number, wire in enumerate(wires):
                wire.hello()
                first = begin + number * self.interval / self.clients  # not all at once
                threads.append(threading.Thread(target=self.run, args=(wire, first, count // self.clients, took[number])))
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        if any(len(times) < count // self.clients for times in took):
            raise AssertionError("a message whose client no handler sees was not taken")
        return list(itertools.chain.from_iterable(took))


class Bad:
    """Clients whose messages make the handler misbehave, one way after the other, not faster than so many a second."""
    WAYS = ("crash", "loop", "4g", "many", "sleep", "cpu", "stack", "rubbish", "daemon", "flood-wire", "child-and-crash",
            "exit", "stop", "session", "busy-thread", "close")

    def __init__(self, address, clients, rate, first=0):
        self.address, self.interval = address, clients / rate
        self.first, self.between = first, len(self.WAYS) // clients
        self.stopping = threading.Event()
        self.replies, self.failures = [], []
        self.threads = [threading.Thread(target=self.run, args=(number,)) for number in range(clients)]

    def run(self, number):
        try:
            with Wire(self.address) as wire:
                wire.hello()
                # Each begins elsewhere, so that not all hosts do the same.
                for way in itertools.islice(itertools.cycle(self.WAYS), self.first + number * self.between, None):
                    next_one = time.monotonic() + self.interval
                    wire.envelope(BOB)
                    wire.data(b"X-Zoo: %s\r\nSubject: bad\r\n\r\nhello\r\n" % way.encode())
                    self.replies.append((way, wire.reply()[0]))
                    if self.stopping.wait(max(0, next_one - time.monotonic())):
                        return
        except Exception as failure:  # told by whoever reads the list: this is a thread
            self.failures.append(repr(failure))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join(PATIENCE)
        if self.failures:
            raise AssertionError(self.failures)


# ---- the measurements

def as_if_elsewhere():
    """
    Clients are on other machines, mostly. Where the kernel shares the processors between sessions (sched_autogroup(7)), ours is
    served before the daemon's, with all that runs in that, so that it is the daemon that is measured.
    """
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text("-20")


class HandlerBenches:
    """A part of bench.py's Bench, which has `server`, `timed`, `row` and so on."""

    def parse_alone(self, server, count):
        """Milliseconds that GMime alone takes for the message that was just sent."""
        stored = server.maildir().path / "new" / server.maildir().names()[-1]
        path = self.new_folder("message")
        path.write_bytes(harness.split_trace(stored.read_bytes())[1])
        done = subprocess.run([built(BENCH / "parse"), path, str(count)], check=True, capture_output=True, text=True)
        return float(done.stdout)

    def handlers(self):
        count = self.scaled(10_000)
        noop = {"handler noop": {"load": built(BENCH / "noop.so")}}
        plain, handled, parse = [], [], []
        for _ in range(self.options.runs):
            with self.server() as server:
                plain.append(self.timed(server, 100, count))
            with self.server(sections=noop) as server:
                handled.append(self.timed(server, 100, count))
                parse.append(self.parse_alone(server, self.scaled(10_000)))
        what = "4 KiB, 100 connections"
        self.rates(what, {"without handlers": plain, "a handler that does nothing": handled})
        self.ratio("over none", [run[0] for run in handled], [run[0] for run in plain], 0.6)
        more = [with_it[2] - without[2] for with_it, without in zip(handled, plain)]
        self.row(f"{what}: CPU for handlers", more, "ms", 0.2, f"GMime's parser alone: {statistics.median(parse):.3g} ms")

    # ---- a large message with many parts

    def many_parts(self, size, parts):
        """A file with a message of so many parts, base64, and how many octets are in each."""
        path = self.base / "parts.eml"
        lines = max(1, size // parts // 78)
        octets = bytes(range(256)) * (lines * 57 // 256 + 1)
        text = base64.encodebytes(octets[:lines * 57]).replace(b"\n", b"\r\n")
        with path.open("wb") as file:
            file.write(b"Subject: many\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=next\r\n\r\n")
            for number in range(parts):
                file.write(b"--next\r\nContent-Type: application/octet-stream; name=%d.bin\r\n"
                           b"Content-Transfer-Encoding: base64\r\n\r\n" % number + text)
            file.write(b"--next--\r\n")
        return path, lines * 57

    def handler_large(self):
        parts, wanted = 500, 400
        source, octets = self.many_parts(self.scaled(GIB), parts)
        sections = {"handlers": {"processes": 1, "timeout": "10m"},
                    "handler nth": {"load": built(BENCH / "nth_part.so"), "option.part": wanted}}
        host, growth, plain, handled, cpu = [], [], [], [], []
        for _ in range(self.options.runs):
            with self.server(workers=1) as server:
                plain.append(self.large_transfer(server, source)[0])
            with self.server(workers=1, sections=sections) as server:
                seconds, used, grown = self.large_transfer(server, source)
                (runner,) = runners(server)
                host.append(harness.peak_memory(runner) / MIB)
                handled.append(seconds - plain[-1])
                growth.append(grown)
                cpu.append(used)
                log, told = server.folder / "postern.log", f'"parts {parts} octets {octets}"'
                harness.wait_until(lambda log=log, told=told: told in log.read_text(), "the handler has told the octets of the part")
        size = source.stat().st_size
        source.unlink()
        what = f"{size / GIB:.3g} GiB message of {parts} parts"
        self.row(f"{what}: the host's memory, at most", host, "MiB", 16)
        self.row(f"{what}: growth of the worker's", growth, "KiB", 1024)
        self.row(f"{what}: seconds more than without", handled, "s", note=f"without: {statistics.median(plain):.3g} s")
        self.row(f"{what}: server CPU", cpu, "s")

    # ---- bad handlers

    def zoo(self):
        count, rate, rounds = self.scaled(2000), 200, 3
        sections = {"listen zoo": {"address": "127.0.0.1:0", "protocol": "smtp"},
                    "handlers": {"timeout": "1s", "memory": "256M"},
                    "handler zoo": {"load": built(ZOO), "listeners": "zoo", "option.how": "by-header"}}
        told = {"p50": ([], []), "p99": ([], [])}
        as_if_elsewhere()
        for _ in range(self.options.runs):
            with self.server(mailboxes=("alice", "bob"), sections=sections) as server:
                alone, beside, replies = [], [], []
                pace = Pace(server.listeners["smtp"], 4, rate)
                pace.measure(max(4, count // 10))
                for turn in range(rounds):  # in turn: the machine is not the same all the time
                    alone += pace.measure(max(4, count // rounds))
                    # From another one on each time: there is not time enough for all of them.
                    with Bad(server.listeners["zoo"], 2, 10, turn * len(Bad.WAYS) // rounds) as bad:
                        beside += pace.measure(max(4, count // rounds))
                    replies += bad.replies
            for name, part in ("p50", 0.5), ("p99", 0.99):
                told[name][0].append(percentile(alone, part))
                told[name][1].append(percentile(beside, part))
        what = f"{rate} messages a second that no handler sees"
        for name, (alone, beside) in told.items():
            self.row(f"{what}: {name}", alone, "ms")
            self.row(f"beside bad handlers: {name}", beside, "ms", note=f"{len(replies)} bad messages")
            ratios = [with_them / without for with_them, without in zip(beside, alone)]
            self.row(f"beside bad handlers: {name} over that alone", ratios, "", 1.1 if name == "p99" else None)
