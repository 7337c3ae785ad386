"""More clients than are permitted, more than there are descriptors for, and very many one after the other."""
import base64
import contextlib
import hashlib
import hmac
import os
import random
import re
import resource
import selectors
import smtplib
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

from certificates import Authority
from harness import (Case, DOMAIN, HOSTNAME, PATIENCE, POSTERN, SANITIZED, Wire, anonymous_memory, descriptors, lf, main,
                     parse_logfmt, raise_own_descriptor_limit, simple_message, split_trace, wait_until)

ALICE = f"alice@{DOMAIN}"
MIB = 1 << 20
IP_BIND_ADDRESS_NO_PORT = 24  # so that a port is only taken for its source and destination together


def connections(server, pid):
    """How many of the server's connections the process still has."""
    port, listens = f":{server.smtp[1]:04X}", "0A"
    inodes = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(port) and fields[3] != listens:
            inodes.add(fields[9])
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[-1] == str(server.lmtp) and fields[5] == "03":
            inodes.add(fields[6])
    count = 0
    for fd in descriptors(pid):
        with contextlib.suppress(FileNotFoundError):
            count += os.readlink(f"/proc/{pid}/fd/{fd}").removeprefix("socket:").strip("[]") in inodes
    return count


def wait_until_all_are_gone(server):
    for pid in server.workers():
        wait_until(lambda: connections(server, pid) == 0, "all sessions are over")


def deliver_patiently(address, message):
    """As a good client does, which comes again when it is told so. How many seconds it took in all."""
    begin = time.monotonic()
    while True:
        try:
            with smtplib.SMTP(*address, timeout=PATIENCE) as client:
                client.sendmail("bob@example.net", ALICE, message)
            return time.monotonic() - begin
        except (smtplib.SMTPConnectError, smtplib.SMTPServerDisconnected) as error:
            assert getattr(error, "smtp_code", 421) == 421, error
            assert time.monotonic() - begin < PATIENCE, "the client was never let in"
            time.sleep(0.05)


# ---- ten times as many as are permitted --------------------------------------------------------------------------------

class Flood:
    """Clients that connect at once. The first half says nothing; of the others, some drip octets and some talk rubbish."""

    def __init__(self, address, count):
        self.selector = selectors.DefaultSelector()
        self.said = {}  # by each, as the server said it
        self.ended = set()
        self.clients = []
        self.over = threading.Event()
        for _ in range(count):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(address)
            self.clients.append(client)
            self.said[client] = b""
            self.selector.register(client, selectors.EVENT_READ)
        self.silent = self.clients[:count // 2]
        self.dripping = self.clients[count // 2:count * 3 // 4]
        self.rubbish = self.clients[count * 3 // 4:]
        while not all(self.said.values()):
            self.listen(PATIENCE)
        self.thread = threading.Thread(target=self.talk)
        self.thread.start()

    def listen(self, timeout):
        ready = self.selector.select(timeout)
        assert ready or timeout < PATIENCE, "the server says nothing"
        for key, _ in ready:
            try:
                got = key.fileobj.recv(65536)
            except ConnectionError:
                got = b""
            self.said[key.fileobj] += got
            if not got:
                self.ended.add(key.fileobj)
                self.selector.unregister(key.fileobj)

    def talk(self):
        while not self.over.is_set():
            for clients, octets in ((self.dripping, b"x"), (self.rubbish, b"XYZZY plugh\r\n")):
                for client in clients:
                    if client not in self.ended:
                        with contextlib.suppress(OSError):
                            client.send(octets)
            self.listen(0.05)

    def close(self):
        self.over.set()
        self.thread.join()
        while self.selector.get_map() and self.selector.select(0):
            self.listen(0)
        for client in self.clients:
            client.close()


class TooMany(Case):
    PERMITTED = 80

    def assert_good_clients_are_served(self, workers):
        raise_own_descriptor_limit()
        server = self.postern(workers=workers, sections={"limits": {"connections": self.PERMITTED}})
        flood = Flood(server.smtp, 10 * self.PERMITTED)
        try:
            for number in range(5):
                took = deliver_patiently(server.smtp, simple_message(subject=b"%d" % number))
                self.assertLess(took, 2.0)
        finally:
            flood.close()
        self.assertEqual(len(server.maildir().names()), 5)
        greeted = [c for c in flood.clients if flood.said[c].startswith(b"220 ")]
        refused = [c for c in flood.clients if flood.said[c].startswith(b"421 4.3.2 ")]
        self.assertEqual(len(greeted) + len(refused), 10 * self.PERMITTED)
        self.assertGreaterEqual(len(greeted), self.PERMITTED)
        for client in refused:
            self.assertEqual(flood.said[client].count(b"\r\n"), 1)
            self.assertIn(client, flood.ended)
        shed = [c for c in greeted if c in flood.silent and c in flood.ended]
        self.assertGreater(len(shed), 0)
        for client in shed:
            self.assertRegex(flood.said[client], rb"\A220 [^\n]*\r\n421 4\.3\.2 [^\n]*\r\n\Z")
        wait_until_all_are_gone(server)
        self.assertTrue(server.events("overload"))

    def test_ten_times_as_many_as_are_permitted_and_good_clients_are_served(self):
        self.assert_good_clients_are_served(workers=1)

    def test_ten_times_as_many_as_are_permitted_for_two_workers(self):
        self.assert_good_clients_are_served(workers=2)


# ---- those who guess passwords -----------------------------------------------------------------------------------------

class Guessing(Case):
    PLACES = 10

    def test_who_waits_for_a_refusal_gives_way(self):
        passwords = self.folder / "passwords"
        made = subprocess.run([POSTERN, "passwd", "alice", "--stdin"], input=b"right", capture_output=True,
                              timeout=PATIENCE, check=True)
        passwords.write_bytes(made.stdout)
        passwords.chmod(0o600)
        server = self.postern(start=False, sections={
            "limits": {"connections": self.PLACES},
            "listen smtp": {"auth": "optional", "auth-without-tls": "yes"},
            "auth": {"passwords": passwords, "failure-delay": "30s"},
        })
        server.give(passwords)
        server.start()
        wrong = base64.b64encode(b"\0alice\0wrong").decode()
        guessers = []
        for _ in range(self.PLACES):
            guessers.append(wire := server.connect())
            wire.hello()
            wire.send(f"AUTH PLAIN {wrong}\r\n".encode())
        self.assertLess(deliver_patiently(server.smtp, simple_message()), 10)
        for wire in guessers:
            wire.close()


# ---- one who wants to have answers of TLS, and takes none --------------------------------------------------------------

class NotReading(Case):
    """With a cipher that only signs, whoever has the secret of a session can write its records."""
    CIPHERS = "ECDHE-ECDSA-NULL-SHA:@SECLEVEL=0"
    SENT, GROWTH = 48 * MIB, 2 * MIB

    def server(self):
        certificate, key = Authority(self.folder / "tls").issue("mx", HOSTNAME)
        return self.postern(sections={"tls": {"certificate": certificate, "private-key": key, "ciphers": self.CIPHERS},
                                      "listen smtp": {"tls": "implicit"}})

    def shake_hands(self, plain):
        """The client's key for signing (RFC 5246 sections 5, 6.3)."""
        keys = self.folder / "keys"
        context = ssl._create_unverified_context()
        context.keylog_filename = str(keys)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(self.CIPHERS)
        coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = context.wrap_bio(coming, going)
        heard = b""
        while True:
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                plain.sendall(going.read())
                heard += (fresh := plain.recv(65536))
                coming.write(fresh)
        words = keys.read_text().split()
        at = words.index("CLIENT_RANDOM")
        ours, secret = bytes.fromhex(words[at + 1]), bytes.fromhex(words[at + 2])
        made, seed = b"", b"key expansion" + heard[11:43] + ours
        a = seed
        while len(made) < 40:
            a = hmac.digest(secret, a, hashlib.sha256)
            made += hmac.digest(secret, a + seed, hashlib.sha256)
        return made[:20]

    def records(self, key):
        """Requests for another handshake, each of which is answered by a warning."""
        hello = b"\x03\x03" + bytes(32) + b"\0" + b"\0\x02\xc0\x06" + b"\x01\0"
        text = b"\x01" + struct.pack(">I", len(hello))[1:] + hello
        number = 1  # Finished was the first
        while True:
            signed = struct.pack(">QBHH", number, 22, 0x303, len(text)) + text
            content = text + hmac.digest(key, signed, hashlib.sha1)
            yield struct.pack(">BHH", 22, 0x303, len(content)) + content
            number += 1

    def test_who_does_not_read_what_tls_says_is_not_listened_to(self):
        server = self.server()
        (worker,) = server.workers()
        with socket.socket() as plain:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            plain.settimeout(PATIENCE)
            plain.connect(server.smtp)
            records = self.records(self.shake_hands(plain))
            server.wait_log("secured")
            before = anonymous_memory(worker)
            plain.settimeout(2)
            sent = 0
            with contextlib.suppress(TimeoutError):
                while sent < self.SENT:
                    some = b"".join(next(records) for _ in range(1000))
                    plain.sendall(some)
                    sent += len(some)
            self.assertGreater(sent, 100_000)  # that were records, or it would have hung up
            self.assertFalse(server.events("tls-failed"))
            self.assertLess(sent, self.SENT)
            if not SANITIZED:
                self.assertLess(anonymous_memory(worker) - before, self.GROWTH)


# ---- no descriptors ----------------------------------------------------------------------------------------------------

class NoDescriptors(Case):
    # Half of the limit is left for messages, but then most of that is taken by what was inherited.
    LIMIT, INHERITED = 100, 62
    WRAPPER = f"""
import os, resource, sys
for _ in range({INHERITED}):
    os.set_inheritable(os.dup(0), True)
resource.setrlimit(resource.RLIMIT_NOFILE, ({LIMIT}, {LIMIT}))
os.execv(sys.argv[1], sys.argv[1:])
"""

    def test_a_burst_of_callers_needs_no_larger_table_of_descriptors(self):
        """To make it larger, the kernel holds up the loop for 10 to 20 ms."""
        server = self.postern()
        (worker,) = server.workers()
        server.connect().close()  # it is there, and has made its table
        size = int(re.search(r"^FDSize:\s*(\d+)$", Path(f"/proc/{worker}/status").read_text(), re.MULTILINE)[1])
        self.assertGreaterEqual(size, 10_000)  # connections, by default

    def test_without_descriptors_callers_get_421_messages_452_and_all_is_well_afterwards(self):
        server = self.postern(wrapper=[sys.executable, "-c", self.WRAPPER])
        (worker,) = server.workers()
        with server.connect() as wire:
            wire.hello()
            wire.deliver(simple_message(), ALICE)
            wire.envelope(ALICE)
            held = [Wire(address, greet=False) for _ in range(20) for address in (server.smtp, server.lmtp)]
            codes = [other.reply()[0] for other in held]
            self.assertEqual(set(codes), {220, 421})
            self.assertEqual(len(descriptors(worker)), self.LIMIT)
            self.assertNotEqual(server.wait_log("overload")[0]["no_descriptor"], "0")
            for other, code in zip(held, codes):
                if code == 421:
                    self.assertTrue(other.at_end())
            wire.data(simple_message())
            wire.expect(452, "4.3.1")
            wire.send(f"MAIL FROM:<>\r\nRCPT TO:<nobody@{DOMAIN}>\r\n".encode())
            wire.expect(250)
            wire.expect(451, "4.3.0")
            for other in held:
                other.close()
            self.assertLess(deliver_patiently(server.smtp, simple_message()), PATIENCE)
            wire.command("RSET", 250)
            wire.deliver(simple_message(), ALICE)
        self.assertEqual(server.workers(), [worker])
        contents = server.maildir().contents()
        self.assertEqual(len(contents), 3)
        for content in contents:
            self.assertEqual(split_trace(content)[1], lf(simple_message()))

    def test_a_low_limit_at_start_leaves_some_for_messages(self):
        server = self.postern(preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (80, 80)))
        (warning,) = server.events("few-descriptors")
        permitted = int(warning["connections_each_worker"])
        self.assertLess(permitted, 40)  # of the other half, those who are told goodbye need some as well
        held = []
        codes = []
        for _ in range(100):  # who is not in the middle of a message would give way, when we are slow
            held.append(wire := server.connect(greet=False))
            codes.append(wire.reply()[0])
            if codes[-1] == 220:
                wire.hello()
                wire.envelope(ALICE)
                wire.command("DATA", 354)
        self.assertEqual(codes.count(220), permitted)
        self.assertEqual(codes.count(421), 100 - permitted)
        held[0].send(simple_message() + b".\r\n")
        held[0].expect(250)
        for wire in held:
            wire.close()

    def test_large_messages_leave_descriptors_for_others(self):
        server = self.postern(preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (80, 80)))
        (warning,) = server.events("few-descriptors")
        permitted = int(warning["connections_each_worker"])
        large = int(warning["large_messages_each_worker"])
        self.assertLess(permitted + 3 * large, 40)
        self.assertLess(large, permitted - 1)
        message = simple_message() + b"x" * 70 + b"\r\n"
        message += (b"y" * 70 + b"\r\n") * 3000
        held = []
        for _ in range(permitted - 1):  # all are in the midst of a large one at the same time
            held.append(wire := server.connect())
            wire.hello()
            wire.envelope(ALICE)
            wire.command("DATA", 354)
            wire.send(message)
        with server.connect() as wire:  # others have what they need meanwhile
            wire.hello()
            wire.deliver(simple_message(), ALICE)
        wait_until(lambda: len(os.listdir(server.maildirs / "alice" / "tmp")) == large, "as many as may are staged")
        codes = []
        for wire in held:
            wire.send(b".\r\n")
            codes.append(wire.reply()[0])
        self.assertEqual((codes.count(250), codes.count(452)), (large, permitted - 1 - large))
        for event in server.wait_log("delivery-failed", codes.count(452)):
            self.assertEqual(event["error"], "Too many open files")
        self.assertEqual(len(server.maildir().contents()), 1 + large)
        self.assertEqual(os.listdir(server.maildirs / "alice" / "tmp"), [])
        held[codes.index(452)].deliver(message, ALICE)  # there is room now
        for wire in held:
            wire.close()


# ---- a hundred thousand, one after the other ---------------------------------------------------------------------------

class Storm:
    """Sessions of all kinds, as quick as they go, in processes of their own."""
    DRIVERS = 3

    def __init__(self, server, sessions):
        share = sessions // self.DRIVERS
        self.drivers = [self.fork(server, number, share) for number in range(self.DRIVERS)]
        self.sessions = share * self.DRIVERS

    def fork(self, server, number, sessions):
        pid = os.fork()
        if pid:
            return pid
        status = 1
        try:
            Driver(server, random.Random(number)).run(sessions)
            status = 0
        except BaseException as error:  # it must not come back into the test
            print(f"# a driver of the storm failed: {error!r}", flush=True)
        finally:
            os._exit(status)

    def wait(self):
        return [os.waitpid(pid, 0)[1] for pid in self.drivers]


class Driver:
    def __init__(self, server, dice):
        self.smtp, self.lmtp, self.dice = server.smtp, str(server.lmtp), dice
        self.kinds = [self.nothing, self.quits, self.half_a_command, self.garbage, self.refused, self.too_early,
                      self.breaks_off, self.breaks_off_in_a_message]

    def run(self, sessions):
        for number in range(sessions):
            client = self.connect(number)
            self.kinds[number % len(self.kinds)](client)
            client.close()

    def connect(self, number):
        if self.dice.random() < 0.3:
            self.hello = b"LHLO c.example.net\r\n"
            client = socket.socket(socket.AF_UNIX)
            client.connect(self.lmtp)
            return client
        self.hello = b"EHLO c.example.net\r\n"
        client = socket.socket()
        # From several addresses: the ports of one, each of which rests for a while, might not do.
        client.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        client.bind((f"127.0.0.{1 + number % 8}", 0))
        client.connect(self.smtp)
        return client

    @staticmethod
    def read_to_end(client):
        said = b""
        while octets := client.recv(4096):
            said += octets
        return said

    def talk(self, client, octets, codes):
        """Says all at once, after the greeting; the codes of what it is told until the server ends the session."""
        greeting = client.recv(512)
        assert greeting.startswith(b"220 " + HOSTNAME.encode()), greeting
        client.sendall(octets)
        said = self.read_to_end(client)
        got = [int(line[:3]) for line in said.split(b"\r\n") if line[3:4] == b" "]
        assert got == codes, (octets, said)

    def nothing(self, client):
        pass

    def quits(self, client):
        self.talk(client, b"QUIT\r\n", [221])

    def half_a_command(self, client):
        client.recv(512)
        client.sendall(self.hello + b"MAIL FRO")

    def garbage(self, client):
        rubbish = bytes(self.dice.choices([byte for byte in range(256) if byte not in b"\r\n"], k=60))
        self.talk(client, b"*" + rubbish + b"\r\nQUIT\r\n", [500, 221])

    def refused(self, client):
        self.talk(client, self.hello + b"MAIL FROM:<bob@example.net>\r\nRCPT TO:<nobody@example.org>\r\n"
                  b"RCPT TO:<bob@example.net>\r\nDATA\r\nQUIT\r\n", [250, 250, 550, 550, 503, 221])

    def too_early(self, client):
        client.sendall(self.hello + b"QUIT\r\n")
        self.read_to_end(client)

    @staticmethod
    def reset_on_close(client):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def breaks_off(self, client):
        client.sendall(self.hello)
        self.reset_on_close(client)

    def breaks_off_in_a_message(self, client):
        client.recv(512)
        client.sendall(self.hello + b"MAIL FROM:<bob@example.net>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n")
        said = b""
        while b"\r\n354 " not in said:
            said += client.recv(4096)
        client.sendall(b"Subject: half\r\n\r\n")
        self.reset_on_close(client)


class VeryMany(Case):
    # A sanitizer puts aside what was freed, which counts as used: it is told to put little aside. But each thread of the pool
    # keeps some of what it freed, of each size; what is really lost, the sanitizer tells in the end.
    GROWTH = 16 * MIB if SANITIZED else MIB

    def quiet_server(self):
        """Its log goes into a file, for nobody could read it that fast."""
        log = self.folder / "log"
        server = self.postern(start=False, workers=2, sections={"log": {"level": "info", "target": f"file:{log}"}})
        server.spawn()

        def listens():
            events = [parse_logfmt(line) for line in log.read_text().splitlines()] if log.exists() else []
            return [e["address"] for e in events if e.get("event") == "listening" and e["protocol"] == "smtp"]
        (address,) = wait_until(listens, "the server listens")
        server.smtp = ("127.0.0.1", int(address.rpartition(":")[2]))
        return server

    def run_storm(self, server, sessions):
        storm = Storm(server, sessions)
        self.assertEqual(storm.wait(), [0] * Storm.DRIVERS)
        wait_until_all_are_gone(server)
        return {pid: (len(descriptors(pid)), anonymous_memory(pid)) for pid in server.workers()}

    def test_a_hundred_thousand_sessions_leave_nothing_behind(self):
        if SANITIZED:
            options = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1:thread_local_quarantine_size_kb=16"
            os.environ["ASAN_OPTIONS"] = options
        server = self.quiet_server()
        before = self.run_storm(server, 6000)
        after = self.run_storm(server, 100_002)
        for pid in before:
            self.assertEqual(after[pid][0], before[pid][0])
            self.assertLess(after[pid][1] - before[pid][1], self.GROWTH)
            print(f"# worker {pid}: {after[pid][0]} descriptors, {after[pid][1] - before[pid][1]} octets more",
                  flush=True)
        self.assertEqual(server.maildir().names(), [])
        self.assertLess(deliver_patiently(server.smtp, simple_message()), PATIENCE)
        server.stop()


if __name__ == "__main__":
    main()
