"""What the tests of postern-host share: the worker's end of a host.

A Case's self.host(...) starts the program in the build folder with a wire and a scratch file, as a worker does, and sends
a configuration of handlers. What they do is written in their option `do`, which act.c reads. At the end of the test the
wire is closed, and the test fails when a process of the host is left.
"""
import fcntl
import os
import signal
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))
import tap  # noqa: E402
from harness import PATIENCE, proc_stat, wait_until  # noqa: E402

import wire  # noqa: E402

BUILT = Path(os.environ.get("TEST_TOOLS", "."), "handlers")  # where the makefile puts handlers
PROGRAM = BUILT / "../../src/postern-host"
# A sanitizer takes what ends a process for its own, and reports leaks of processes that were killed.
ENVIRONMENT = {**os.environ, "ASAN_OPTIONS": "handle_segv=0:handle_abort=0:handle_sigbus=0:detect_leaks=0:"
                                             "allocator_may_return_null=1:use_sigaltstack=0"}
unless_sanitized = tap.unless_sanitized(PROGRAM)
MEBI = 1 << 20
# What a runner has counted of itself, it writes at its end: contrib/coverage says where to, and the sandbox lets it.
COUNTED = [folder] if (folder := os.environ.get("COVERAGE_FOLDER")) else []


def descendants(pid):
    """The living processes below one, itself included."""
    fields = proc_stat(pid)
    if fields is None or fields[0] in "ZX":
        return []
    found = [pid]
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            for child in Path(f"/proc/{pid}/task/{thread}/children").read_text().split():
                found += descendants(int(child))
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def lives(pid):
    fields = proc_stat(pid)
    return fields is not None and fields[0] not in "ZX"


class Ended(Exception):
    """The wire has ended; what was left on it that is no frame, and the obituary, or None."""

    def __init__(self, rest, obituary):
        super().__init__(rest, obituary)
        self.rest, self.obituary = rest, obituary


class Host:
    def __init__(self, case, frames=None):
        """With `frames`, the worker has said these, and is gone."""
        self.case = case
        self.logs = []
        self.octets = b""
        self.wire, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.wire.settimeout(PATIENCE)
        self.scratch = os.memfd_create("scratch")

        if frames is not None:
            self.wire.sendall(frames)
            self.wire.close()

        # Two steps, for 3 and 4 may be what these are now.
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (theirs.fileno(), self.scratch)]

        def arrange():
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        self.process = subprocess.Popen([PROGRAM], stdin=subprocess.DEVNULL, preexec_fn=arrange, pass_fds=(3, 4, *high),
                                        env=ENVIRONMENT)
        theirs.close()
        for fd in high:
            os.close(fd)

    # ---- the wire ----

    def send(self, name, fields, descriptor=None):
        octets = wire.encode(name, fields)
        if descriptor is not None:
            sent = socket.send_fds(self.wire, [octets], [descriptor])
            octets = octets[sent:]
        if octets:  # else there may be nobody any more who takes nothing
            self.wire.sendall(octets)

    def receive(self):
        """The next frame that is no line of the log."""
        while True:
            name, fields, taken = wire.decode(self.octets)
            self.octets = self.octets[taken:]
            if taken and name == "obituary":
                raise Ended(self.octets, fields)
            if taken and name != "log":
                return name, fields
            if taken:
                self.logs.append(fields)
                continue
            more = self.wire.recv(1 << 20)
            if not more:
                raise Ended(self.octets, None)
            self.octets += more

    def expect(self, name):
        got, fields = self.receive()
        self.case.assertEqual(got, name)
        return fields

    # ---- its life ----

    def configure(self, *handlers, **limits):
        self.send("config", configuration(*handlers, **limits))
        return self.expect("ready")["problem"]

    def end(self):
        """Closes the wire; what the host still said, as Ended."""
        self.wire.shutdown(socket.SHUT_WR)
        return self.ended()

    def ended(self):
        with self.case.assertRaises(Ended) as caught:
            self.receive()
        self.process.wait(PATIENCE)
        return caught.exception

    def obituary(self):
        obituary = self.ended().obituary
        self.case.assertIsNotNone(obituary, "the host ended without a word")
        return obituary

    def runner(self):
        return descendants(self.process.pid)[1]

    def clean_up(self):
        if self.scratch < 0:
            return
        below = descendants(self.process.pid)
        self.wire.close()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.terminate()
            self.process.wait(PATIENCE)
        os.close(self.scratch)
        self.scratch = -1
        left = [pid for pid in below if lives(pid)]
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        self.case.assertEqual(left, [], "processes of the host are left")


def handler(do="", name="test", file=BUILT / "act.so", **options):
    options = {"do": do, **options}
    return {"name": name, "file": str(file),
            "options": [{"name": key, "value": value} for key, value in options.items()]}


def configuration(*handlers, **limits):
    return {"handlers": list(handlers), "paths": [], "writable": COUNTED, "network": False, "memory": 0, "stack": 0,
            "file_size": 0, "cpu_seconds": 0, **limits}


def recipient(address, mailboxes=None, notify=None, original=None):
    return {"address": address, "mailboxes": [address] if mailboxes is None else mailboxes, "notify": notify,
            "original": original}


def message(octets=b"Subject: hello\n\nbody\n", to=("alice@example.org",), turns=None, **changes):
    """The fields of a MESSAGE; every handler sees it unless `turns` says otherwise."""
    to = [recipient(address) if isinstance(address, str) else address for address in to]
    return {"session": "s1", "id": "m1", "listener": "in", "protocol": "ESMTP", "client": "192.0.2.1",
            "helo": "client.example.net", "reverse_path": "sender@example.net", "body": "7BIT", "client_name": None,
            "tls_version": None, "tls_cipher": None, "tls_server_name": None, "tls_client": None, "user": None,
            "ret": None, "envelope_id": None, "utf8": False, "declared_size": 0, "arrived_us": 1_700_000_000_000_000,
            "recipients": to, "turns": [{"handler": 0, "recipients": []}] if turns is None else turns,
            "size": len(octets), "in_frame": True, "octets": octets, "offset": 0, **changes}


def all_of(count):
    return [{"handler": number, "recipients": []} for number in range(count)]


class Case(unittest.TestCase):
    maxDiff = None

    def host(self, *handlers, **limits):
        """One that is ready."""
        host = Host(self)
        self.addCleanup(host.clean_up)
        self.assertIsNone(host.configure(*handlers, **limits))
        return host

    def refused(self, *handlers):
        """Why one is not ready."""
        host = Host(self)
        self.addCleanup(host.clean_up)
        problem = host.configure(*handlers)
        self.assertIsNotNone(problem)
        self.assertIsNone(host.ended().obituary)
        self.assertEqual(host.process.returncode, 0)
        return problem

    def judge(self, host, *arguments, descriptor=None, **changes):
        host.send("message", message(*arguments, **changes), descriptor)
        return host.expect("verdict")

    def judged(self, do, *arguments, **changes):
        """The verdict of one handler that does this."""
        return self.judge(self.host(handler(do)), *arguments, **changes)

    def stored(self, host, verdict, octets):
        """What a worker would store behind the trace fields."""
        if verdict["replaced"]:
            octets = os.pread(host.scratch, verdict["replaced_size"], 0)
            self.assertEqual(len(octets), verdict["replaced_size"])
        return verdict["front"] + octets[verdict["skip"]:]

    def file(self, octets):
        """A file of these octets, for reading."""
        with tempfile.NamedTemporaryFile() as file:
            file.write(octets)
            file.flush()
            fd = os.open(file.name, os.O_RDONLY)
        self.addCleanup(os.close, fd)
        return fd


def main():
    tap.run(f"TEST_TOOLS={os.environ.get('TEST_TOOLS', '')}")


__all__ = ["BUILT", "MEBI", "PATIENCE", "Case", "Ended", "Host", "all_of", "configuration", "descendants",
           "handler", "lives", "main", "message", "recipient", "unless_sanitized", "wait_until",
           "wire"]
