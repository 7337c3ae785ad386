"""What TLS costs: idle sessions, small messages with a handshake each, a large one. README.md tells what is measured."""
import collections
import contextlib
import fcntl
import os
import re
import shutil
import signal
import ssl
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "integration"))
import harness  # noqa: E402
import peers  # noqa: E402
from harness import HOSTNAME, Wire  # noqa: E402

TURNS, TICK_NS = Path(__file__).resolve().with_name("turns.bt"), 250_000
SUITE, CIPHER = "TLS_AES_256_GCM_SHA384", "AES-256-GCM"
MIB = 1 << 20


class TlsWire(Wire):
    """A bare client with TLS 1.3 that looks at no name: at once, or after STARTTLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3

    def __init__(self, address, implicit, **options):
        super().__init__(address, greet=False, **options)
        if implicit:
            self.secure()
        self.expect(220)
        self.hello()
        if not implicit:
            self.command("STARTTLS", 220)
            self.secure()
            self.hello()

    def secure(self):
        self.socket = self.context.wrap_socket(self.socket)


def exported(server):
    """What a daemon tells at the address that its log names: {name with its labels: value}."""
    address = re.search(r"event=metrics .*address=(\S+)", (server.folder / "postern.log").read_text())[1]
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=harness.PATIENCE) as answer:
        lines = answer.read().decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line and line[0] != "#")}


def stalls(server, limit_s):
    """(milliseconds of the longest time that a loop was away from waiting, how many times it was longer than the limit)."""
    told = exported(server)
    bounds = {float(match[1]): value for name, value in told.items()
              if (match := re.fullmatch(r'postern_loop_stall_seconds_bucket\{.*\ble="([^"]+)".*\}', name))}
    return told["postern_loop_stall_longest_seconds"] * 1000, bounds[float("inf")] - bounds[limit_s]


class TlsBenches:
    def certificate(self):
        """(certificate, key), ECDSA with P-256, signed by itself."""
        path, key = self.base / "certificate.pem", self.base / "key.pem"
        if not shutil.which("openssl"):
            raise LookupError("openssl is not installed")
        if not path.exists():
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                            "-subj", f"/CN={HOSTNAME}", "-addext", f"subjectAltName=DNS:{HOSTNAME}", "-keyout", key, "-out", path],
                           check=True, capture_output=True)
        return path, key

    def tls_sections(self, how="optional"):
        path, key = self.certificate()
        return {"tls": {"certificate": path, "private-key": key}, "listen smtp": {"tls": how}}

    # ---- idle sessions

    def tls_idle(self):
        count = self.scaled(2000)
        for name, how in ("STARTTLS", "optional"), ("implicit TLS", "implicit"):
            def dial(server, how=how, **options):
                return TlsWire(server.smtp, how == "implicit", **options)
            self.idle_sessions(f"idle sessions, {name}", 20, count, dial, self.tls_sections(how))

    # ---- small messages, a handshake each

    @contextlib.contextmanager
    def apart(self, starting):
        """A server on half of the processors, and its clients on the others, so that what those cost is not in its rate."""
        all_there = sorted(os.sched_getaffinity(0))
        middle = max(1, len(all_there) // 2)
        try:
            os.sched_setaffinity(0, all_there[:middle])
            with starting as server:
                os.sched_setaffinity(0, all_there[middle:] or all_there)
                yield server
        finally:
            os.sched_setaffinity(0, all_there)

    @contextlib.contextmanager
    def turns_told(self, server):
        """The lines of turns.bt about a server's only worker, as lists of words, are in the list behind the body."""
        if os.geteuid() != 0 or not shutil.which("bpftrace"):
            raise LookupError("bpftrace is not installed, or not for us")
        output, told = self.new_folder("turns"), []
        with output.open("w") as file, subprocess.Popen(["bpftrace", "-B", "line", TURNS, *map(str, server.workers()),
                                                         harness.POSTERN], stdout=file, stderr=subprocess.STDOUT) as tracer:
            try:
                deadline = time.monotonic() + harness.PATIENCE
                while "begun" not in output.read_text():
                    if tracer.poll() is not None or time.monotonic() > deadline:
                        raise LookupError(f"bpftrace does not trace here: {output.read_text()[-300:]}")
                    with server.connect() as wire:
                        wire.hello()
                    time.sleep(0.05)
                yield told
            finally:
                tracer.send_signal(signal.SIGINT)
        told += [line.split() for line in output.read_text().splitlines()]

    def traced_stalls(self, sections, load):
        """
        Of a loop, in milliseconds: the longest stall; the longest that is left when what others had of its processor is taken away; the
        most that handshakes had of one, or None if there were none. And what each of those others had in all, in ns.
        """
        with self.apart(self.server(1, sections=sections)) as server, self.turns_told(server) as told:
            load(server)
        longest, own, handshakes, others, in_all = 0, 0, 0, collections.Counter(), 0
        for kind, *words in filter(None, told):
            if kind == "turn":
                took, had_by_guest, had_by_others, had_by_handshakes = map(int, words)
                longest, own = max(longest, took), max(own, had_by_guest - had_by_others)
                handshakes = max(handshakes, had_by_handshakes)
                others["the host"] += max(0, took - had_by_guest)
            elif kind == "handshakes":
                in_all = int(words[0])
            elif match := re.fullmatch(r"@others\[(.+)\]: (\d+)", " ".join([kind, *words])):
                others[match[1]] += int(match[2]) * TICK_NS
        return longest / 1e6, own / 1e6, handshakes / 1e6 if in_all else None, others

    def tls(self):
        sessions, count, limit_ms = 100, self.scaled(10_000), 5
        what, told, stalled, traced = f"4 KiB over STARTTLS, {sessions} connections, a new one each", {}, {}, {}
        starttls = ["-t", "starttls"]
        ways = {"postern": (self.tls_sections(), starttls), "postern without TLS": ({}, [])}

        def load(name, server, count, options):
            told.setdefault(name, []).append(self.timed(server, sessions, count, options, load=self.source_load))

        def postfix():
            return self.peer(peers.Postfix, certificate=self.certificate())

        for _ in range(self.options.runs):
            for name, (sections, options) in ways.items():
                with self.server(sections=sections) as server:
                    load(name, server, count, options)
                with self.apart(self.server(sections={**sections, "metrics": {"address": "127.0.0.1:0"}})) as server:
                    load(f"{name}, apart", server, count, options)
                    stalled.setdefault(name, []).append(stalls(server, limit_ms / 1000))
                with self.or_left_out("who had a loop's processor"):
                    run = self.traced_stalls(sections, lambda server, options=options: self.source_load(server, sessions, 4096, count, options))
                    if options and run[2] is None:
                        raise LookupError(f"{harness.POSTERN} has no symbols, so that its handshakes are not found")
                    traced.setdefault(name, []).append(run)
            with self.or_left_out(peers.Postfix.name):
                with postfix() as peer:
                    load("Postfix", peer, max(1, count // 5), starttls)
                with self.apart(postfix()) as peer:
                    load("Postfix, apart", peer, max(1, count // 5), starttls)
        self.rates(what, told)
        for how in "", ", apart":
            self.ratio(f"over Postfix{how}", self.by_reply(told, f"postern{how}"), self.by_reply(told, f"Postfix{how}"), 3)
        for name, runs in stalled.items():
            longer = statistics.median(times for _, times in runs)
            self.row(f"{name}: a loop's longest stall", [longest for longest, _ in runs], "ms",
                     limit_ms if name == "postern" else None, f"longer than {limit_ms} ms: {longer:.0f}")
        for name, runs in traced.items():
            others = sum((others for *_, others in runs), collections.Counter())
            most = ", ".join(f"{who} {had / 1e6:.0f} ms" for who, had in others.most_common(3))
            self.row(f"{name}, traced: a loop's longest stall", [longest for longest, *_ in runs], "ms", note=f"others had, in all: {most}")
            self.row(f"{name}, traced: without what others had", [own for _, own, *_ in runs], "ms")
        if runs := traced.get("postern"):
            self.row("postern, traced: the most that handshakes had of one stall", [most for _, _, most, _ in runs], "ms", limit_ms)

    # ---- one large message

    def content_seconds(self, server, way, size):
        """How long the octets of one message took."""
        command = self.source(server, "-t", way, "-l", size, "-c", CIPHER)
        done = subprocess.run([str(word) for word in command], check=True, stdout=subprocess.PIPE, text=True)
        return float(done.stdout)

    def s_client_seconds(self, server, way, content):
        """The same by openssl s_client, which gets the octets through a pipe; s_server is done when s_client has ended."""
        command = ["openssl", "s_client", "-brief", "-nocommands", "-ciphersuites", SUITE, "-connect", "{}:{}".format(*server.smtp)]
        command += [] if way == "raw" else ["-starttls", "smtp"]
        with content.open("rb") as file, subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0,
                                                          stderr=subprocess.PIPE) as client:
            patience = threading.Timer(harness.PATIENCE, client.kill)  # whatever is waited for then ends
            patience.start()
            try:
                fcntl.fcntl(client.stdin, fcntl.F_SETPIPE_SZ, MIB)
                return self.s_client_dialogue(client, way, file)
            finally:
                patience.cancel()
                client.kill()

    @staticmethod
    def s_client_dialogue(client, way, file):
        def await_line(stream, wanted):
            while wanted not in (line := stream.readline()):
                if line[:1] in (b"", b"4", b"5"):
                    raise RuntimeError(f"s_client: {line} instead of {wanted}")

        def say(text, reply):
            client.stdin.write(text)
            await_line(client.stdout, reply)
        await_line(client.stderr, b"CONNECTION ESTABLISHED")
        if way != "raw":
            say(b"EHLO localhost\r\n", b"250 ")
            say(b"MAIL FROM:<bob@example.net>\r\n", b"250 ")
            say(f"RCPT TO:<alice@{harness.DOMAIN}>\r\n".encode(), b"250 ")
            say(b"DATA\r\n", b"354 ")
        start = time.monotonic()
        while os.splice(file.fileno(), client.stdin.fileno(), MIB) > 0:
            pass
        if way != "raw":
            say(b".\r\n", b"250 ")
            return time.monotonic() - start
        client.stdin.close()
        if client.wait() != 0:
            raise RuntimeError(f"s_client: ended with {client.returncode}")
        return time.monotonic() - start

    def tls_large(self):
        rounds, size, took, by_s_client = 3, self.scaled(100 * MIB), {}, {}
        content = self.large_file(size)
        sections = self.tls_sections()
        for _ in range(self.options.runs):
            with self.server(1, sections=sections) as durable, \
                    self.server(1, sections={**sections, "delivery": {"sync": "none"}}) as hasty, \
                    self.peer(peers.OpensslServer, certificate=self.certificate()) as sink:
                ways = [(sink.name, sink, "raw"), ("postern", durable, "starttls"), ("postern without TLS", durable, "plain"),
                        ("postern, nothing synced", hasty, "starttls")]
                for _, server, way in ways:
                    self.content_seconds(server, way, 4096)  # so that its code is in memory
                for name, server, way in ways * rounds:  # in turn
                    os.sync()
                    took.setdefault(name, []).append(self.content_seconds(server, way, size))
                    if server is not sink:
                        server.remove_large_messages()
                for name, server, way in ways[:2] * rounds:
                    os.sync()
                    by_s_client.setdefault(name, []).append(self.s_client_seconds(server, way, content))
                    if server is not sink:
                        server.remove_large_messages()
        for name, runs in took.items():
            self.row(f"{size / MIB:.3g} MiB, {SUITE}: {name}", [size / MIB / seconds for seconds in runs], "MiB/s")
        for name, bar in ("postern", 0.7), ("postern, nothing synced", None), ("postern without TLS", None):
            self.ratio(f"{name} over {peers.OpensslServer.name}", took[peers.OpensslServer.name], took[name], bar)
        for name, runs in by_s_client.items():
            self.row(f"by openssl s_client: {name}", [size / MIB / seconds for seconds in runs], "MiB/s")
        self.ratio(f"by openssl s_client: postern over {peers.OpensslServer.name}", by_s_client[peers.OpensslServer.name],
                   by_s_client["postern"], 0.7)
