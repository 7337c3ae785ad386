"""What the integration tests share: a daemon of one's own, a bare client, and maildirs to look into.

A test class derives from Case and calls self.postern(...), which starts the program named by $POSTERN in a folder of its
own, on ports that the kernel chooses, and waits for its log to say `listening`. At the end of the test it is stopped
with SIGTERM, and the test fails if that did not end in status 0 with no process and nothing in tmp/ left behind.

Nothing here waits for an amount of time to pass: waits end with the event that they wait for, and PATIENCE is only there
so that a test that will never end fails instead.
"""
import contextlib
import json
import os
import re
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

import tap
from tap import print_diagnostics

POSTERN = os.environ.get("POSTERN", "")
# Where tests/integration/packages has put what it unpacked; contrib/check has it put beside the build folder.
TOOLS = Path(os.environ.get("TEST_TOOLS", "."))  # tests/ in the build folder, with the programs that tests use
PACKAGES = Path(os.environ.get("POSTERN_PACKAGES") or TOOLS / "../../packages")
PATIENCE = 60.0
HOSTNAME = "mx.example.org"
DOMAIN = "example.org"
SANITIZED = b"__asan_init" in Path(POSTERN).read_bytes() if POSTERN else False
ROOT = os.getuid() == 0
# Started as root, postern gives its workers this identity; started by a user, they keep theirs.
WORKER_USER = "nobody" if ROOT else None


# ---- waiting, processes ------------------------------------------------------------------------------------------------

def wait_until(condition, what, patience=PATIENCE):
    """Polls what cannot be waited for otherwise: another process's state. Returns the condition's value."""
    end = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited in vain: {what}")
        time.sleep(0.01)


def proc_stat(pid):
    """The fields of /proc/PID/stat behind the name, from the state (field 3) on; None when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def proc_status(pid, key):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return line.partition(":")[2].split()
    raise KeyError(key)


def proc_name(pid):
    """None when it is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().rstrip("\n")
    except (FileNotFoundError, ProcessLookupError):
        return None


def processes_of_sessions(sessions):
    """
    The living processes of sessions: those that a daemon started, and theirs. What those have begun as sessions of their own
    (hosts of handlers have one) comes to the set, and is found later, too, when nothing but that is left of them.
    """
    living = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            fields = proc_stat(entry)
            if fields and fields[0] not in "ZX":
                living[int(entry)] = int(fields[1]), int(fields[3])
    while True:
        found = sorted(pid for pid, (_, session) in living.items() if session in sessions)
        new = {session for parent, session in living.values() if parent in found} - sessions
        if not new:
            return found
        sessions |= new


def processes_of_session(session):
    return processes_of_sessions({session})


def anonymous_memory(pid):
    """Octets of memory that belong to this process alone and that no file backs."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("smaps_rollup has no Anonymous")


def descriptors(pid):
    return [int(name) for name in os.listdir(f"/proc/{pid}/fd")]


def raise_own_descriptor_limit():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def peak_memory(pid):
    return int(proc_status(pid, "VmHWM")[0]) * 1024


def reset_peak_memory(pid):
    Path(f"/proc/{pid}/clear_refs").write_text("5")


# ---- maildirs ----------------------------------------------------------------------------------------------------------

class Maildir:
    """One mailbox on disk, looked at without any library, so that what is there is what is told."""

    def __init__(self, path):
        self.path = Path(path)

    def names(self, folder="new"):
        return sorted(os.listdir(self.path / folder))

    def contents(self, folder="new"):
        return [(self.path / folder / name).read_bytes() for name in self.names(folder)]

    def only(self):
        contents = self.contents()
        assert len(contents) == 1, f"{self.path}/new holds {len(contents)} messages, not one"
        return contents[0]


def split_trace(content):
    """(the header fields that the delivery put in front, the message as it was sent but with LF)."""
    match = re.match(rb"Return-Path: [^\n]*\nDelivered-To: [^\n]*\n(?:X-Original-To: [^\n]*\n)?"
                     rb"Received: [^\n]*\n(?:[ \t][^\n]*\n)*", content)
    assert match, f"the message does not begin with its trace: {content[:300]!r}"
    return content[:match.end()], content[match.end():]


def lf(data):
    return data.replace(b"\r\n", b"\n")


def simple_message(body=b"hello\r\n", subject=b"one"):
    return b"From: bob@example.net\r\nTo: alice@example.org\r\nSubject: " + subject + b"\r\n\r\n" + body


def odd_message():
    """A message with all that is easily damaged on the way: dots, 8 bits, long lines, blank lines at the end."""
    lines = [b"From: bob@example.net", b"To: alice@example.org", b"Subject: =?utf-8?q?gr=C3=BC=C3=9Fe?=",
             b"MIME-Version: 1.0", b"Content-Type: text/plain; charset=utf-8", b"Content-Transfer-Encoding: 8bit", b"",
             b".", b"..", b".hidden", b"...three", b"From the start of a line", "gr\u00fc\u00dfe \u2709".encode(),
             b"x" * 998, b"\ttab and trailing blanks  ", b"", b".", b"", b""]
    return b"".join(line + b"\r\n" for line in lines)


# ---- a bare client -----------------------------------------------------------------------------------------------------

class Wire:
    """A connection, to an address or one that is there, on which nothing happens by itself: what is sent is what is written here."""

    def __init__(self, address, greet=True, **options):
        if isinstance(address, socket.socket):
            self.socket = address
            self.socket.settimeout(PATIENCE)
        elif isinstance(address, tuple):
            self.socket = socket.create_connection(address, timeout=PATIENCE, **options)
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(PATIENCE)
            self.socket.connect(str(address))
        self.buffer = b""
        if greet:
            self.expect(220)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def reset(self):
        """Closes with RST instead of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def line(self):
        while b"\n" not in self.buffer:
            chunk = self.socket.recv(65536)
            if not chunk:
                raise EOFError(f"the server closed the connection; unfinished line: {self.buffer!r}")
            self.buffer += chunk
        line, _, self.buffer = self.buffer.partition(b"\n")
        assert line.endswith(b"\r"), f"a reply line ends in a bare LF: {line!r}"
        return line[:-1].decode("ascii")

    def reply(self):
        """(code, text): the text of a reply of several lines is joined by newlines."""
        texts = []
        while True:
            line = self.line()
            assert re.match(r"[2-5][0-9]{2}([ -]|$)", line), f"this is no reply: {line!r}"
            texts.append(line[4:])
            if line[3:4] != "-":
                return int(line[:3]), "\n".join(texts)

    def expect(self, code, text=""):
        got, said = self.reply()
        assert got == code and said.startswith(text), f"expected {code} {text}, got {got} {said}"
        return said

    def command(self, line, code, text=""):
        self.send(line.encode() + b"\r\n")
        return self.expect(code, text)

    def at_end(self):
        """The server closed the connection, and said nothing more."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def hello(self, lmtp=False):
        return self.command("LHLO client.example.net" if lmtp else "EHLO client.example.net", 250)

    def envelope(self, *recipients, sender="bob@example.net", mail=""):
        self.command(f"MAIL FROM:<{sender}>{mail}", 250)
        for recipient in recipients:
            self.command(f"RCPT TO:<{recipient}>", 250)

    def data(self, message):
        """The message with dot-stuffing and its end; the reply is for the caller to read."""
        self.command("DATA", 354)
        self.send(re.sub(rb"(?m)^\.", b"..", message) + b".\r\n")

    def bdat(self, chunk, last=False):
        """A chunk; the reply is for the caller to read."""
        self.send(b"BDAT %d%s\r\n" % (len(chunk), b" LAST" if last else b"") + chunk)

    def deliver(self, message, *recipients, sender="bob@example.net"):
        self.envelope(*recipients, sender=sender)
        self.data(message)
        return self.expect(250, "2.0.0")


# ---- the daemon --------------------------------------------------------------------------------------------------------

def parse_logfmt(line):
    fields = {}
    for key, quoted, plain in re.findall(r'([A-Za-z0-9_.-]+)=(?:"((?:[^"\\]|\\.)*)"|([^ "]*))(?: |$)', line):
        fields[key] = json.loads(f'"{quoted}"') if quoted else plain
    return fields


class Postern:
    """A running daemon. `smtp` is (host, port), `lmtp` the path of a unix socket, `maildir(name)` a mailbox."""

    def __init__(self, folder, *, mailboxes=("alice",), arguments=None, sections=None, preexec=None, wrapper=(),
                 workers=1, umask=None, extra_config="", program=POSTERN, environment=None):
        self.folder = Path(folder)
        self.maildirs = self.folder / "maildirs"
        self.lmtp = self.folder / "lmtp.sock"
        self.config = self.folder / "postern.conf"
        self.sections = {
            "server": {"hostname": HOSTNAME, "workers": workers},
            "log": {"level": "debug"},
            "listen smtp": {"address": "127.0.0.1:0", "protocol": "smtp"},
            "listen lmtp": {"address": f"unix:{self.lmtp}", "protocol": "lmtp"},
            f"domain {DOMAIN}": {"maildirs": self.maildirs},
        }
        if ROOT:
            self.sections["server"]["user"] = WORKER_USER
        for name, rows in (sections or {}).items():
            self.sections.setdefault(name, {}).update(rows)
        self.extra_config = extra_config
        self.arguments = arguments
        self.preexec = preexec
        self.wrapper = list(wrapper)
        self.umask = umask
        self.program = program
        self.sessions = set()
        self.environment = environment
        self.process = None
        self.may_lose_workers = False  # for a test that kills them, perhaps in the middle of a delivery
        self.log = []
        self.log_grew = threading.Condition()
        self.smtp = None
        self.listeners = {}  # name of the section: (host, port), or the path of a unix socket
        self.make_folders(mailboxes)

    # -- before it runs

    def make_folders(self, mailboxes):
        self.maildirs.mkdir(exist_ok=True)
        self.give(self.maildirs)
        self.give(self.folder)
        for name in mailboxes:
            self.add_mailbox(name)

    def give(self, path):
        if ROOT:
            shutil.chown(path, WORKER_USER)

    def add_mailbox(self, name):
        for part in ("", "tmp", "new", "cur"):
            path = self.maildirs / name / part
            path.mkdir(mode=0o700)
            self.give(path)
        return self.maildir(name)

    def maildir(self, name="alice"):
        return Maildir(self.maildirs / name)

    def config_text(self):
        parts = [f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in rows.items())
                 for name, rows in self.sections.items() if rows]
        return "\n".join(parts) + self.extra_config

    def command_line(self):
        if self.arguments is not None:
            return [self.program, *map(str, self.arguments)]
        self.config.write_text(self.config_text())
        return [self.program, "serve", "-c", str(self.config)]

    # -- its life

    def spawn(self):
        self.process = subprocess.Popen(
            [*self.wrapper, *self.command_line()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, start_new_session=True, preexec_fn=self.preexec, cwd=self.folder,
            env=None if self.environment is None else {**os.environ, **self.environment},
            umask=-1 if self.umask is None else self.umask)
        self.reader = threading.Thread(target=self.read_log, daemon=True)
        self.reader.start()
        return self

    def start(self):
        self.spawn()
        expected = 1 if self.arguments is not None else sum(name.startswith("listen ") for name in self.sections)
        for event in self.wait_log("listening", expected):
            address = event.get("address", "")
            if match := re.fullmatch(r"(?:smtp://|lmtp://)?(127\.0\.0\.\d+):(\d+)", address):
                self.smtp = self.smtp or (match[1], int(match[2]))
                self.listeners[event["listener"]] = (match[1], int(match[2]))
            else:
                self.listeners[event["listener"]] = address.removeprefix("unix:")
        return self

    def read_log(self):
        for line in self.process.stderr:
            with self.log_grew:
                self.log.append(line.decode(errors="backslashreplace").rstrip("\n"))
                self.log_grew.notify_all()
        with self.log_grew:
            self.log_ended = True
            self.log_grew.notify_all()
    log_ended = False

    def events(self, name=None):
        with self.log_grew:
            parsed = [json.loads(line) if line.startswith("{") else parse_logfmt(line) for line in self.log]
        return [event for event in parsed if name is None or event.get("event") == name]

    def wait_log(self, name, count=1, **fields):
        """The events of that name (whose fields are as given), once there are `count` of them."""
        end = time.monotonic() + PATIENCE
        while True:
            with self.log_grew:
                seen, ended = len(self.log), self.log_ended
            found = [e for e in self.events(name) if all(e.get(k) == v for k, v in fields.items())]
            if len(found) >= count:
                return found
            with self.log_grew:
                if ended or not self.log_grew.wait_for(lambda: len(self.log) > seen or self.log_ended,
                                                       end - time.monotonic()):
                    raise AssertionError(f"the log never said {name} {count} times {fields or ''}")

    def log_text(self):
        return "\n".join(self.log[-60:])

    def processes(self):
        self.sessions.add(self.process.pid)
        return processes_of_sessions(self.sessions)

    def children(self):
        return [pid for pid in self.processes() if int((proc_stat(pid) or [0, 0])[1]) == self.process.pid]

    def workers(self, other_than=()):
        """The workers' process ids, once all of them are there."""
        def all_there():
            found = {pid for pid in self.children() if proc_name(pid) != "postern-metrics"} - set(other_than)
            return sorted(found) if len(found) == self.sections["server"]["workers"] else None
        return wait_until(all_there, "all workers run")

    def connect(self, greet=True):
        return Wire(self.smtp, greet)

    def connect_lmtp(self):
        return Wire(self.lmtp)

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self):
        """Its exit status; all of its log has been read then."""
        try:
            status = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"postern did not stop") from None
        self.reader.join(PATIENCE)
        return status

    def stop(self):
        """SIGTERM, and all that is to be true then."""
        self.processes()  # so that their sessions are known
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        status = self.wait()
        assert status == 0, f"postern ended with status {status}"
        # Hosts stand back behind all else, also when they end: on a busy machine that takes a moment.
        wait_until(lambda: not self.processes(), "no process is left behind")
        if not self.may_lose_workers:
            assert not self.events("worker-died"), "a worker died"
            assert not self.staged(), f"left in tmp/: {self.staged()}"

    def staged(self):
        """All files in the tmp/ of all mailboxes."""
        return [str(path) for path in self.maildirs.glob("*/tmp/*")]

    def kill(self):
        """Ends whatever is left of it, for a test that failed."""
        if self.process is None:
            return
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.reader.join(PATIENCE)
        self.process.stderr.close()


# ---- test cases ---------------------------------------------------------------------------------------------------------

class Case(unittest.TestCase):
    """A test has `self.folder`, and what `self.postern()` started is stopped, and judged, when it ends."""
    longMessage = True
    maxDiff = 2000

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="postern-test."))
        self.folder.chmod(0o755)
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.servers = []

    def postern(self, start=True, **options):
        folder = self.folder / f"postern{len(self.servers)}"
        folder.mkdir()
        server = Postern(folder, **options)
        self.servers.append(server)
        self.addCleanup(server.kill)
        return server.start() if start else server

    def run_postern(self, *arguments, **options):
        """Runs a subcommand to its end: its CompletedProcess, with text."""
        return subprocess.run([POSTERN, *map(str, arguments)], capture_output=True, text=True, timeout=PATIENCE,
                              stdin=subprocess.DEVNULL, **options)

    def need_program(self, name):
        path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        return path or self.skipTest(f"{name} is not installed")

    def need_package(self, package, program):
        """The words of a command that runs a program of an unpacked package (see tests/integration/packages)."""
        wrapper = PACKAGES / package / "env"
        if not (wrapper.exists() and (PACKAGES / package / program).exists()):
            self.skipTest(f"{os.path.basename(program)}: tests/integration/packages {PACKAGES} {package} unpacks it")
        return [str(wrapper), program]

    def run(self, result=None):
        """Servers are stopped inside the test, so that one that stops badly fails it."""
        method = getattr(self, self._testMethodName)

        def whole():
            try:
                method()
                for server in self.servers:
                    if server.process is not None and server.process.returncode is None:
                        server.stop()
            except unittest.SkipTest:
                raise
            except BaseException:
                for server in self.servers:
                    print_diagnostics(f"log of postern:\n{server.log_text()}")
                raise
        setattr(self, self._testMethodName, whole)
        return super().run(result)


class MemoryCase(Case):
    """A test that a client costs a worker no memory to speak of."""
    MEMORY_MAX = 1 << 20

    def start_measuring(self, server):
        """From here on; what a worker takes once and for all, as for its threads, it has taken then."""
        with server.connect() as wire:
            wire.hello()
            for size in (100, 2 << 20):
                wire.deliver(simple_message(b"x" * size + b"\r\n"), f"alice@{DOMAIN}")
        (self.worker,) = server.workers()
        reset_peak_memory(self.worker)
        self.before = peak_memory(self.worker)

    def assert_memory_is_bounded(self):
        # A sanitizer keeps freed memory aside and shadows the rest: what the process takes then says nothing.
        if not SANITIZED:
            self.assertLess(peak_memory(self.worker) - self.before, self.MEMORY_MAX)


def main():
    """Runs the calling program's tests as TAP."""
    if not os.access(POSTERN, os.X_OK):
        print(f"Bail out! POSTERN={POSTERN} names no program to test")
        sys.exit(1)
    tap.run(f"POSTERN={POSTERN} TEST_TOOLS={TOOLS} POSTERN_PACKAGES={PACKAGES}")
