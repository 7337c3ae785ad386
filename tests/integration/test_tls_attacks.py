"""What is said in the wrong place around TLS, handshakes that are none or never end, connections cut at every octet, and clients
that make work: nothing of a message that did not come whole is stored, nobody else waits, and nothing is left of it all.
"""
import contextlib
import os
import random
import signal
import socket
import ssl
import struct
import subprocess

from harness import (DOMAIN, HOSTNAME, PATIENCE, SANITIZED, Wire, anonymous_memory, descriptors, lf, main, proc_stat,
                     raise_own_descriptor_limit, simple_message, split_trace, wait_until)
from tap import print_diagnostics
from tls import TlsCase, certificate_of_host, tls_rows
from tls_by_hand import (ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE, NULL_CIPHER, HandTls, KeyUpdates, SignedRecords,
                         SUITE_UNKNOWN, by_hand, client_hello, extension, handshake_message, record, trusting)

ALICE = f"alice@{DOMAIN}"
EVE = f"MAIL FROM:<eve@example.net>\r\nRCPT TO:<{ALICE}>\r\nDATA\r\nSubject: injected\r\n\r\ninjected\r\n.\r\n".encode()
TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
BOTH = (TLS_1_2, TLS_1_3)
MIB = 1 << 20
CALLERS = [f"127.0.0.{n}" for n in range(1, 9)]  # the ports of one address, each of which rests for a while, might not do


class Attacked(TlsCase):
    def attacked(self, timeout="60s", **options):
        """A daemon whose clients have so long for their handshake."""
        sections = options.pop("sections", {})
        sections["limits"] = {"handshake-timeout": timeout, **sections.get("limits", {})}
        self.server = self.secured(sections=sections, **options)
        return self.server

    def raw(self, listener="smtps", **options):
        return socket.create_connection(self.server.listeners[listener], timeout=PATIENCE, **options)

    def greeted(self, listener="smtp"):
        wire = Wire(self.server.listeners[listener])
        wire.hello()
        return wire

    def ready_for_tls(self):
        wire = self.greeted()
        wire.command("STARTTLS", 220, "2.0.0")
        return wire

    def handshaken(self, context=None, raw=None):
        """A wire inside TLS, from the first octet."""
        wire = Wire.__new__(Wire)
        wire.socket, wire.buffer = HandTls(raw or self.raw(), context).handshake(), b""
        wire.expect(220)
        wire.hello()
        return wire

    def inbox(self):
        return self.server.maildir().contents()

    def assert_served(self, subject=b"served"):
        """Others are, by STARTTLS and from the first octet; and what they say arrives."""
        before = len(self.inbox())
        message = simple_message(subject=subject)
        with self.handshaken() as wire:
            wire.deliver(message, ALICE)
        with by_hand(self.ready_for_tls()) as wire:
            wire.hello()
            wire.deliver(message, ALICE)
        self.assertEqual(len(self.inbox()), before + 2)

    def assert_all_over(self, sessions):
        """So many sessions there were, each has ended, and nothing is left of them but the log."""
        self.server.wait_log("session-closed", sessions)
        wait_until(lambda: self.server.staged() == [], "a delivery that nobody waits for is over, too")
        for pid in self.server.workers():
            wait_until(lambda: len(descriptors(pid)) == len(self.descriptors), "as many descriptors are open as at first")

    def remember_descriptors(self):
        """After a first client, for which some are opened once and for all."""
        self.assert_served(b"first")
        self.server.wait_log("session-closed", 2)
        (self.worker,) = self.server.workers()
        self.descriptors = descriptors(self.worker)


# ---- what is put behind STARTTLS ---------------------------------------------------------------------------------------------

class Injection(Attacked):
    """RFC 3207 4.2, CVE-2011-0411."""

    def assert_nothing_was_heard(self, wire):
        """The client is inside TLS: there is no reply to what was injected, and nobody has said hello or begun anything."""
        wire.command("MAIL FROM:<bob@example.net>", 503)
        wire.hello()
        wire.command(f"RCPT TO:<{ALICE}>", 503)
        wire.command("RSET", 250)
        self.assertEqual(self.inbox(), [])
        wire.deliver(simple_message(), ALICE)
        self.assertEqual(split_trace(self.server.maildir().only())[1], lf(simple_message()))

    def assert_refused(self, wire):
        """What was injected was taken for a handshake, which it is not; in clear text there is no further word."""
        with contextlib.suppress(OSError):  # it has heard enough
            wire.socket.shutdown(socket.SHUT_WR)
        said = wire.buffer + read_to_end(wire.socket)
        self.assertNotIn(b"250 2.", said)
        self.assertNotIn(b"500", said)
        self.assertTrue(said == b"" or said[0] == ALERT, said)
        (failed,) = self.server.wait_log("handshake-failed")
        self.assertEqual([e["session"] for e in self.server.wait_log("session-closed")], [failed["session"]])
        self.assertEqual(self.inbox(), [])
        self.assert_served()

    def test_commands_in_the_segment_of_STARTTLS_are_thrown_away(self):
        self.attacked()
        wire = self.greeted()
        wire.send(b"STARTTLS\r\nEHLO eve.example.net\r\n" + EVE)
        wire.expect(220)
        self.assert_nothing_was_heard(by_hand(wire))

    def test_a_whole_session_in_one_segment_ends_at_STARTTLS(self):
        self.attacked()
        with self.server.connect() as wire:
            wire.send(b"EHLO eve.example.net\r\nSTARTTLS\r\nEHLO eve.example.net\r\n" + EVE + b"QUIT\r\n")
            wire.expect(250)
            wire.expect(220)
            self.assert_nothing_was_heard(by_hand(wire))

    def test_half_a_command_behind_STARTTLS_is_not_completed_inside_TLS(self):
        self.attacked()
        line = b"MAIL FROM:<eve@example.net>\r\n"
        for cut in range(1, len(line)):
            with self.subTest(cut=cut), self.greeted() as wire:
                wire.send(b"STARTTLS\r\n" + line[:cut])
                wire.expect(220)
                by_hand(wire)
                wire.send(line[cut:] + b"\r\nVRFY alice\r\n")
                self.assertIn(wire.reply()[0], (500, 501))
                while (code := wire.reply()[0]) != 252:
                    self.assertEqual(code, 500)
                wire.command(f"RCPT TO:<{ALICE}>", 503)

    def test_half_a_message_behind_STARTTLS_is_not_completed_inside_TLS(self):
        self.attacked()
        wire = self.greeted()
        wire.send(b"STARTTLS\r\n" + EVE[:EVE.index(b"injected\r\n.")])
        wire.expect(220)
        by_hand(wire)
        wire.send(b"the rest\r\n.\r\n")
        wire.expect(500)
        wire.expect(500)
        self.assert_nothing_was_heard(wire)

    def test_commands_in_the_next_segment_are_no_handshake(self):
        self.attacked()
        wire = self.ready_for_tls()
        wire.send(EVE)
        self.assert_refused(wire)

    def test_commands_octet_by_octet_are_no_handshake(self):
        self.attacked()
        wire = self.greeted()
        wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for octet in b"STARTTLS\r\n":
            wire.send(bytes([octet]))
        wire.expect(220)
        with contextlib.suppress(ConnectionError):  # it has heard enough
            for octet in EVE:
                wire.send(bytes([octet]))
        self.assert_refused(wire)

    def test_a_single_octet_behind_the_220_spoils_the_handshake(self):
        self.attacked()
        wire = self.ready_for_tls()
        wire.send(b"\n" + record(HANDSHAKE, client_hello()))
        self.assert_refused(wire)

    def test_STARTTLS_octet_by_octet_is_STARTTLS(self):
        self.attacked()
        wire = self.greeted()
        for octet in b"sTaRtTlS \r\n":
            wire.send(bytes([octet]))
        wire.expect(220)
        self.assert_nothing_was_heard(by_hand(wire))

    def test_a_handshake_in_the_segment_of_STARTTLS_is_thrown_away(self):
        """It may as well be somebody else's; a client that does so waits for us, and we for it."""
        self.attacked(timeout="200ms")
        wire = self.greeted()
        wire.send(b"STARTTLS\r\n" + record(HANDSHAKE, client_hello()))
        wire.expect(220)
        self.assertTrue(wire.at_end())
        (failed,) = self.server.wait_log("handshake-failed")
        self.assertEqual(failed["reason"], "timeout")

    def test_STARTTLS_is_not_heard_in_a_transaction_nor_in_a_message(self):
        self.attacked()
        with self.greeted() as wire:
            wire.command("MAIL FROM:<bob@example.net>", 250)
            wire.command("STARTTLS", 503)
            wire.command(f"RCPT TO:<{ALICE}>", 250)
            wire.command("STARTTLS", 503)
            message = simple_message(b"STARTTLS\r\n")
            wire.data(message)
            wire.expect(250)
            wire.envelope(ALICE)
            wire.bdat(b"STARTTLS\r\n")
            wire.expect(250)
            wire.command("STARTTLS", 503)
            wire.bdat(b"\r\n", last=True)
            wire.expect(250)
        self.assertEqual(sorted(split_trace(c)[1] for c in self.inbox()), sorted([lf(message), b"STARTTLS\n\n"]))

    def test_who_says_STARTTLS_and_hangs_up_is_gone(self):
        self.attacked()
        for ending in (b"STARTTLS\r\n", b"STARTTLS\r\nEHLO x\r\n", b"NOOP\r\nSTARTTLS\r\n"):
            wire = self.greeted()
            wire.send(ending)
            wire.socket.shutdown(socket.SHUT_WR)
            read_to_end(wire.socket)
            wire.close()
        self.server.wait_log("session-closed", 3)

    def test_greeting_and_client_name_from_before_are_forgotten(self):
        self.attacked()
        with self.greeted() as wire:
            wire.command("EHLO liar.example.net", 250)
            wire.command("STARTTLS", 220)
            by_hand(wire)
            wire.command("STARTTLS", 503)
            wire.hello()
            wire.command("STARTTLS", 503)
            wire.deliver(simple_message(), ALICE)
        self.assertNotIn(b"liar", self.server.maildir().only())


def read_to_end(raw):
    said = b""
    with contextlib.suppress(ConnectionError):
        while octets := raw.recv(65536):
            said += octets
    return said


# ---- handshakes that never end -------------------------------------------------------------------------------------------------

class Unfinished(Attacked):
    COUNT = 300

    def hello_in_pieces(self):
        """What is sent of a handshake before nothing more is."""
        whole = record(HANDSHAKE, client_hello())
        announced = bytes([1]) + (100_000).to_bytes(3, "big") + b"\3\3"  # of which nothing else comes
        return {"nothing": b"", "half a ClientHello": whole[:len(whole) // 2], "a ClientHello": whole,
                "a ClientHello said to be very long": record(HANDSHAKE, announced)}

    def hold(self, octets):
        """Half of them by STARTTLS."""
        held = []
        for number in range(self.COUNT):
            raw = self.ready_for_tls().socket if number % 2 else self.raw()
            raw.sendall(octets)
            held.append(raw)
        return held

    def round(self):
        """As many of each as COUNT says, all at the same time, while others are served. What each costs until it is told goodbye."""
        before = anonymous_memory(self.worker)
        held = [raw for octets in self.hello_in_pieces().values() for raw in self.hold(octets)]
        each = (anonymous_memory(self.worker) - before) / len(held)
        self.assert_served()
        for raw in held:
            self.assertNotIn(b"250 2.", read_to_end(raw))
            raw.close()
        wait_until(lambda: len(descriptors(self.worker)) == len(self.descriptors), "as many descriptors are open as at first")
        return each

    def test_half_handshakes_by_the_hundred(self):
        """What they took is taken again by the next; glibc gives little of it back."""
        raise_own_descriptor_limit()
        self.attacked(timeout="2s")
        self.remember_descriptors()
        each, memory = self.round(), []
        for _ in range(2):
            self.round()
            memory.append(anonymous_memory(self.worker))
        print_diagnostics(f"{each / 1024:.0f} KiB for each of {4 * self.COUNT} half handshakes; memory of a worker after two rounds "
                          f"{memory[0] / MIB:.1f} MiB, after three {memory[1] / MIB:.1f} MiB")
        reasons = {event["reason"] for event in self.server.events("handshake-failed")}
        self.assertEqual(reasons, {"timeout"})
        if not SANITIZED:
            self.assertLess(each, 64 * 1024)
            self.assertLess(memory[1] - memory[0], memory[0] / 4)

    def half_shaken(self, wire):
        """The server waits for our Finished."""
        wire.socket = HandTls(wire.socket)
        _, flight = wire.socket.shake()
        wire.socket.raw.sendall(flight)
        self.assertTrue(wire.socket.take())
        return wire

    def implicit(self):
        wire = Wire.__new__(Wire)
        wire.socket, wire.buffer = self.raw(), b""
        return wire

    def test_who_is_in_a_handshake_at_the_end_is_told_behind_it(self):
        """Who never finishes it holds nothing up."""
        self.attacked()
        starttls, implicit, *_ = wires = [self.half_shaken(wire()) for wire in (self.ready_for_tls, self.implicit) * 2]
        self.server.signal(signal.SIGTERM)
        self.server.wait_log("draining")
        for wire in (starttls, implicit):
            wire.socket.handshake()
        implicit.expect(220)
        for wire in (starttls, implicit):
            wire.expect(421, "4.3.2")
            self.assertTrue(wire.at_end())
        self.server.stop()
        self.assertEqual([event["reason"] for event in self.server.events("handshake-failed")], ["timeout"] * 2)
        self.assertEqual(self.server.events("drain-cut-short"), [])
        for wire in wires:
            wire.close()

    def test_a_handshake_octet_by_octet_is_a_handshake(self):
        """And one whose records hold an octet each."""
        self.attacked()
        for pieces in (lambda flight: (flight[i:i + 1] for i in range(len(flight))), in_small_records):
            raw = self.raw()
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            tls = HandTls(raw, trusting(TLS_1_2))
            done = False
            while not done:
                done, flight = tls.shake()
                for piece in pieces(flight):
                    raw.sendall(piece)
                if not done:
                    self.assertTrue(tls.take())
            self.assertEqual(tls.recv(4), b"220 ")
            raw.close()

    def test_octets_that_drip_do_not_prolong_it(self):
        self.attacked(timeout="300ms")
        raw = self.raw()
        raw.settimeout(0.02)
        hello = iter(record(HANDSHAKE, client_hello(extra=extension(21, bytes(8000)))))
        while not self.server.events("handshake-failed"):
            try:
                raw.send(bytes([next(hello)]))
                self.assertEqual(raw.recv(1), b"")
            except (TimeoutError, ConnectionError):
                pass
        self.assertEqual(self.server.events("handshake-failed")[0]["reason"], "timeout")
        raw.close()


def in_small_records(flight):
    """Handshake messages in clear text may come in any pieces."""
    while flight:
        kind, _, size = struct.unpack(">BHH", flight[:5])
        octets, sealed = flight[5:5 + size], kind != HANDSHAKE
        flight = flight[5 + size:]
        yield from ([record(kind, octets, 0x0303)] if sealed else [record(kind, octets[i:i + 1], 0x0303) for i in range(size)])
        if kind == CHANGE_CIPHER_SPEC:
            yield flight
            return


# ---- what is no handshake -------------------------------------------------------------------------------------------------------

class Garbage(Attacked):
    def rows(self):
        dice = random.Random(6)
        hello = client_hello(dice=dice)
        short = hello[:1] + (len(hello) - 24).to_bytes(3, "big") + hello[4:-20]
        rows = {
            "HTTP": b"GET / HTTP/1.1\r\nHost: mx\r\n\r\n",
            "SMTP in clear text": b"EHLO client.example.net\r\nMAIL FROM:<eve@example.net>\r\n",
            "a PROXY header": b"PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\n",
            "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
            "zeros": b"\0" * 1000,
            "SSLv2": bytes([0x80, 46, 1, 0, 2, 0, 21, 0, 0, 0, 16]) + dice.randbytes(37),
            "SSLv2 that asks for TLS 1.2": bytes([0x80, 46, 1, 3, 3, 0, 21, 0, 0, 0, 16]) + dice.randbytes(37),
            "SSLv3": record(HANDSHAKE, bytes([1]) + (len(hello) - 4).to_bytes(3, "big") + b"\3\0" + hello[6:], 0x0300),
            "TLS 1.1": record(HANDSHAKE, client_hello(versions=(0x0302,), dice=dice)),
            "TLS 1.2 without a shared cipher": record(HANDSHAKE, client_hello(versions=(), suites=SUITE_UNKNOWN, dice=dice)),
            "TLS 1.3 without a shared curve": record(HANDSHAKE, client_hello(share="secp521r1", groups=("secp521r1",), dice=dice)),
            "application data": record(APPLICATION_DATA, dice.randbytes(100)),
            "application data behind a ClientHello": record(HANDSHAKE, hello) + record(APPLICATION_DATA, dice.randbytes(100)),
            "a record too long": record(HANDSHAKE, b"")[:3] + b"\xff\xff" + dice.randbytes(70000),
            "an empty record": record(HANDSHAKE, b"") * 1000,
            "empty records of data": record(HANDSHAKE, hello) + record(APPLICATION_DATA, b"") * 1000,
            "a type that there is not": record(99, hello),
            "a heartbeat": record(24, b"\1\x40\0" + b"x" * 20),
            "ChangeCipherSpec again and again": record(HANDSHAKE, hello) + record(CHANGE_CIPHER_SPEC, b"\1", 0x0303) * 1000,
            "ChangeCipherSpec first": record(CHANGE_CIPHER_SPEC, b"\1"),
            "a fatal alert": record(ALERT, b"\2\x28"),
            "warnings again and again": record(ALERT, b"\1\x5a") * 1000,
            "close_notify": record(ALERT, b"\1\0"),
            "a ServerHello": record(HANDSHAKE, b"\2" + hello[1:]),
            "a Finished": record(HANDSHAKE, handshake_message(20, dice.randbytes(32))),
            "a KeyUpdate": record(HANDSHAKE, handshake_message(24, b"\1")),
            "HelloRequest": record(HANDSHAKE, handshake_message(0, b"") * 100),
            "a ClientHello of 16 MiB": record(HANDSHAKE, b"\1\xff\xff\xff" + dice.randbytes(16000)) + record(HANDSHAKE, dice.randbytes(16000)),
            "a ClientHello that ends too early": record(HANDSHAKE, short),
            "a ClientHello twice": record(HANDSHAKE, hello) * 2,
            "two ClientHellos in a record": record(HANDSHAKE, hello * 2),
            "an extension twice": record(HANDSHAKE, client_hello(extra=extension(43, b"\2\3\4"), dice=dice)),
            "extensions by the hundred": record(HANDSHAKE, client_hello(extra=b"".join(extension(n, b"") for n in range(1000, 3000)), dice=dice)),
            "an empty server name": record(HANDSHAKE, client_hello(server_name=b"", dice=dice)),
            "NUL in the server name": record(HANDSHAKE, client_hello(server_name=b"mx.example.org\0.example.net", dice=dice)),
            "a server name of 300 octets": record(HANDSHAKE, client_hello(server_name=b"x" * 300, dice=dice)),
            "early data": record(HANDSHAKE, client_hello(extra=extension(42, b""), dice=dice)) + record(APPLICATION_DATA, b"x" * 500) * 100,
        }
        rows |= {f"random octets {n}": dice.randbytes(dice.randrange(1, 2000)) for n in range(20)}
        rows |= {f"a ClientHello, of which an octet at {at} is another": record(HANDSHAKE, damaged(hello, at, dice)) for at in range(len(hello))}
        rows |= {f"a record's head, of which octet {at} is another": damaged(record(HANDSHAKE, hello), at, dice) for at in range(5)}
        return rows

    def test_what_is_no_handshake_is_refused_and_told(self):
        """An alert at most is said to it."""
        self.attacked()
        self.remember_descriptors()
        rows = self.rows()
        for number, (name, octets) in enumerate(rows.items()):
            raw = self.ready_for_tls().socket if number % 2 else self.raw()
            with self.subTest(name):
                with contextlib.suppress(OSError):  # it has heard enough already
                    raw.sendall(octets)
                    raw.shutdown(socket.SHUT_WR)
                said = read_to_end(raw)
                self.assertTrue(said == b"" or said[0] in (ALERT, HANDSHAKE), said[:100])
                self.assertNotIn(b"220 ", said)
            raw.close()
        self.assert_all_over(2 + len(rows))
        opened = {e["session"] for e in self.server.events("session-opened")}
        failed = self.server.wait_log("handshake-failed", len(rows))
        self.assertEqual(len(failed), len(rows))
        self.assertEqual(len({e["session"] for e in failed} & opened), len(rows))
        for event in failed:
            self.assertRegex(event["reason"], r"\A[a-z0-9-]+\Z")
        self.assert_served()

    def test_records_whose_octets_are_damaged_carry_nothing(self):
        """Each octet of one in turn, inside TLS: the session ends, and what it said is not heard."""
        self.attacked()
        self.remember_descriptors()
        dice = random.Random(6)
        count = 0
        for version in BOTH:
            size = len(self.handshaken_envelope(version).socket.seal(b"DATA\r\n"))
            count += 1 + size
            for at in range(size):
                wire = self.handshaken_envelope(version)
                wire.socket.raw.sendall(damaged(wire.socket.seal(b"DATA\r\n"), at, dice))
                wire.socket.raw.shutdown(socket.SHUT_WR)
                self.assertNotIn(b"354", self.what_it_says(wire))
                wire.close()
        self.assert_all_over(2 + count)
        closed = [event["reason"] for event in self.server.events("session-closed")][2:]
        self.assertEqual(set(closed), {"tls-failed", "cut-off"})  # of a record said to be longer, the rest is missing
        self.assert_served()

    def handshaken_envelope(self, version):
        wire = self.handshaken(trusting(version))
        wire.envelope(ALICE)
        return wire

    def what_it_says(self, wire):
        """Inside TLS, until that ends in whatever way."""
        said = b""
        with contextlib.suppress(OSError):
            while octets := wire.socket.recv(65536):
                said += octets
        return said


def damaged(octets, at, dice):
    return octets[:at] + bytes([octets[at] ^ dice.randrange(1, 256)]) + octets[at + 1:]


# ---- cut at every octet -----------------------------------------------------------------------------------------------------------

class Cut(Attacked):
    MESSAGE = simple_message(b"all of it\r\n")

    def end(self, raw, how):
        """FIN or RST."""
        if how:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.close()

    def flights(self, version):
        """How many octets a client sends in a handshake."""
        with self.handshaken(trusting(version)):
            pass
        raw, total, done = self.raw(), 0, False
        tls = HandTls(raw, trusting(version))
        while not done:
            done, flight = tls.shake()
            raw.sendall(flight)
            total += len(flight)
            done or tls.take()
        raw.close()
        return total

    def shake_until(self, raw, version, cut):
        tls, done = HandTls(raw, trusting(version)), False
        while not done:
            done, flight = tls.shake()
            raw.sendall(flight[:cut])
            cut -= len(flight)
            if cut <= 0:
                return
            done or tls.take()

    def test_at_every_octet_of_the_handshake(self):
        self.attacked()
        self.remember_descriptors()
        count = 2
        for version in BOTH:
            total = self.flights(version)
            count += 2 + total
            for cut in range(total):
                raw = self.ready_for_tls().socket if cut % 3 == 0 else self.raw()
                self.shake_until(raw, version, cut)
                self.end(raw, cut % 2)
        self.assert_all_over(count)
        self.assert_served()

    def begun(self, version, bdat=False):
        """A message is awaited; of BDAT, all in one chunk. What is sent is one octet a record then."""
        wire = self.handshaken(trusting(version))
        wire.envelope(ALICE)
        if bdat:
            wire.send(b"BDAT %d LAST\r\n" % len(self.MESSAGE))
        else:
            wire.command("DATA", 354)
        return wire

    def test_at_every_octet_of_a_message(self):
        """Of what is on the wire, in few records; without close_notify."""
        self.attacked()
        self.remember_descriptors()
        count = 2
        for version in BOTH:
            for bdat in (False, True):
                cut, total = 0, 1
                while cut < total:
                    wire = self.begun(version, bdat)
                    whole = self.MESSAGE + (b"" if bdat else b".\r\n")
                    octets = wire.socket.seal(whole[:20]) + wire.socket.seal(whole[20:-2]) + wire.socket.seal(whole[-2:])
                    total = len(octets)
                    wire.socket.raw.sendall(octets[:cut])
                    self.end(wire.socket.raw, cut % 2)
                    count += 1
                    cut += 1
        self.assert_all_over(count)
        self.assertEqual(len(self.inbox()), 2)
        self.assert_served()

    def test_at_every_octet_of_a_message_with_close_notify(self):
        """Which says no more than that nothing else comes."""
        self.attacked()
        self.remember_descriptors()
        count = 2
        for bdat in (False, True):
            whole = self.MESSAGE + (b"" if bdat else b".\r\n")
            for cut in range(len(whole)):
                wire = self.begun(BOTH[cut % 2], bdat)
                raw = wire.socket.raw
                if cut:
                    raw.sendall(wire.socket.seal(whole[:cut]))
                raw.sendall(wire.socket.close_notify())
                self.end(raw, cut % 3 == 0)
                count += 1
        self.assert_all_over(count)
        self.assertEqual(len(self.inbox()), 2)
        self.assert_served()

    def test_more_in_the_clear_behind_close_notify_is_not_heard(self):
        """CVE-2026-45185: the rest of a chunk that way."""
        self.attacked()
        self.remember_descriptors()
        count = 2
        for version in BOTH:
            for bdat in (False, True):
                for parts in (1, 2):
                    wire = self.begun(version, bdat)
                    whole = self.MESSAGE + (b"" if bdat else b".\r\n")
                    sealed = wire.socket.seal(whole[:30]) + wire.socket.close_notify()
                    more = whole[30:] + b"QUIT\r\n" * 1000
                    raw = wire.socket.raw
                    with contextlib.suppress(ConnectionError):
                        for piece in (sealed + more,) if parts == 1 else (sealed, more):
                            raw.sendall(piece)
                    self.assertNotIn(b"250 2.", read_to_end(raw))
                    raw.close()
                    count += 1
        self.assert_all_over(count)
        self.assertEqual(len(self.inbox()), 2)
        self.assert_served()

    def test_records_behind_close_notify_are_not_heard(self):
        """Not even while an answer is awaited."""
        self.attacked()
        self.remember_descriptors()
        raw = self.raw()
        wire = self.handshaken(trusting(TLS_1_3), raw)
        end = wire.socket.seal(b"QUIT\r\n")  # sealed before, so that it can be sent behind
        raw.sendall(wire.socket.close_notify() + end * 2000)
        self.assertNotIn(b"221", read_to_end(raw))
        raw.close()
        wire = self.begun(TLS_1_2)
        raw = wire.socket.raw
        octets = wire.socket.seal(self.MESSAGE + b".\r\n") + wire.socket.close_notify()
        raw.sendall(octets + b"\x17\x03\x03\x00\x20" + b"x" * 32)
        self.assertEqual(wire.expect(250)[:5], "2.0.0")
        raw.close()
        self.assert_all_over(4)
        self.assertEqual(len(self.inbox()), 3)

    def test_a_message_that_was_answered_250_is_there_however_the_connection_ends(self):
        self.attacked()
        self.remember_descriptors()
        endings = {
            "FIN": lambda wire: self.end(wire.socket.raw, False),
            "RST": lambda wire: self.end(wire.socket.raw, True),
            "close_notify and RST": lambda wire: (wire.socket.raw.sendall(wire.socket.close_notify()), self.end(wire.socket.raw, True)),
            "half a record": lambda wire: (wire.socket.raw.sendall(wire.socket.seal(b"QUIT\r\n")[:-1]), self.end(wire.socket.raw, False)),
            "an alert": lambda wire: (wire.socket.raw.sendall(record(ALERT, b"\2\0", 0x0303)), self.end(wire.socket.raw, False)),
        }
        for version in BOTH:
            for end in endings.values():
                wire = self.begun(version)
                wire.send(self.MESSAGE + b".\r\n")
                wire.expect(250, "2.0.0")
                end(wire)
        self.assert_all_over(2 + 2 * len(endings))
        bodies = [split_trace(content)[1] for content in self.inbox()]
        self.assertEqual(bodies.count(lf(self.MESSAGE)), 2 * len(endings))

    def test_who_ends_without_close_notify_right_behind_its_message_is_told_the_truth(self):
        """It may be told nothing, and the message stored or not; but whole, and if it was told 250, it is there."""
        self.attacked()
        self.remember_descriptors()
        told = 0
        for number in range(20):
            wire = self.begun(BOTH[number % 2])
            raw = wire.socket.raw
            raw.sendall(wire.socket.seal(self.MESSAGE + b".\r\n"))
            raw.shutdown(socket.SHUT_WR)
            with contextlib.suppress(OSError, EOFError):
                told += wire.reply()[0] == 250
            wire.close()
        self.assert_all_over(2 + 20)
        bodies = [split_trace(content)[1] for content in self.inbox()]
        self.assertGreaterEqual(bodies.count(lf(self.MESSAGE)), told)
        self.assertEqual(set(bodies), {lf(self.MESSAGE), lf(simple_message(subject=b"first"))})


# ---- work for nothing --------------------------------------------------------------------------------------------------------------

class Renegotiation(Attacked):
    def seconds_of_cpu(self):
        fields = proc_stat(self.worker)
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def test_s_client_does_not_get_its_renegotiation(self):
        self.attacked()
        command = [self.need_program("openssl"), "s_client", "-tls1_2", "-connect", "%s:%d" % self.server.listeners["smtps"]]
        with self.greeted() as other, \
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as client:
            said = b""
            while b"220 " not in said:
                said += client.stdout.readline()
            client.stdin.write(b"R\n")
            client.stdin.flush()
            said = client.stdout.read()  # it gives up by itself
            client.stdin.close()
            self.assertIn(b"RENEGOTIATING", said)
            self.assertIn(b"no renegotiation", said)
            other.deliver(simple_message(), ALICE)
        self.assertEqual(len(self.server.wait_log("secured")), 1)

    def permitting_null(self, **options):
        """With a cipher that hides nothing, so that records can be made by hand."""
        self.attacked(tls={**tls_rows(certificate_of_host(HOSTNAME, kind="rsa")), "ciphers": NULL_CIPHER}, **options)
        self.remember_descriptors()

    def test_who_asks_for_renegotiation_and_reads_no_answer_costs_no_memory(self):
        self.permitting_null()
        client = SignedRecords(self.raw())
        client.raw.settimeout(0.5)
        before, sent, asked = anonymous_memory(self.worker), 0, b""
        try:
            while sent < 16 * MIB:
                asked = asked or b"".join(client.seal(HANDSHAKE, handshake_message(1, b"")) for _ in range(1000))
                count = client.raw.send(asked)
                asked, sent = asked[count:], sent + count
        except (TimeoutError, ConnectionError):
            pass  # whoever does not listen is not listened to, or is gone
        after = anonymous_memory(self.worker)
        print_diagnostics(f"{sent / MIB:.1f} MiB of renegotiation: {(after - before) / MIB:.1f} MiB of memory")
        self.assert_served()
        client.raw.close()
        if not SANITIZED:
            self.assertLess(after - before, 2 * MIB)

    def test_empty_records_and_warnings_inside_TLS_have_an_end(self):
        self.permitting_null()
        rows = {"empty records": (APPLICATION_DATA, b""), "warnings": (ALERT, b"\1\x5a"), "a fatal alert": (ALERT, b"\2\x50"),
                "half an alert": (ALERT, b"\1"), "another type": (99, b"x"), "ChangeCipherSpec": (CHANGE_CIPHER_SPEC, b"\1"),
                "a Finished": (HANDSHAKE, handshake_message(20, b"x" * 12)), "a HelloRequest": (HANDSHAKE, handshake_message(0, b"")),
                "a ClientHello of 16 MiB": (HANDSHAKE, b"\1\xff\xff\xff")}
        for name, (kind, octets) in rows.items():
            with self.subTest(name):
                client = SignedRecords(self.raw())
                with contextlib.suppress(OSError):
                    for _ in range(1000):
                        client.raw.sendall(client.seal(kind, octets))
                    client.raw.shutdown(socket.SHUT_WR)
                read_to_end(client.raw)
                client.raw.close()
        self.assert_all_over(2 + len(rows))
        self.assert_served()

    def key_updates(self, count, ask):
        client = KeyUpdates(self.raw())
        wire = Wire.__new__(Wire)
        wire.socket, wire.buffer = client, b""
        wire.expect(220)
        client.raw.sendall(client.updates(count, ask))
        return wire

    def test_a_hundred_key_updates_are_borne(self):
        self.attacked()
        for ask in (False, True):
            wire = self.key_updates(100, ask)
            wire.hello()
            wire.deliver(simple_message(), ALICE)
            wire.close()

    def test_key_updates_by_the_thousand_end_the_connection(self):
        self.attacked()
        self.remember_descriptors()
        before = anonymous_memory(self.worker)
        for ask in (False, True):
            with contextlib.suppress(ConnectionError):
                wire = self.key_updates(20_000, ask)
                read_to_end(wire.socket.raw)
        self.assert_all_over(2)
        self.assert_served()
        self.assertEqual(len([event for event in self.server.events("tls-failed") if event["reason"] == "too-many-key-updates"]), 2)
        if not SANITIZED:
            self.assertLess(anonymous_memory(self.worker) - before, MIB)

    def test_key_updates_whose_answers_nobody_reads_cost_no_memory(self):
        self.attacked()
        self.remember_descriptors()
        client = KeyUpdates(self.raw())
        before, sent = anonymous_memory(self.worker), 0
        client.raw.settimeout(0.5)
        try:
            for _ in range(20):
                octets = client.updates(1000, True)
                client.raw.sendall(octets)
                client.sendall(b"NOOP\r\n" * 10)
                sent += len(octets)
        except (TimeoutError, ConnectionError):
            pass
        self.assert_served()
        if not SANITIZED:
            self.assertLess(anonymous_memory(self.worker) - before, 2 * MIB)
        client.close()


# ---- names that nobody has -----------------------------------------------------------------------------------------------------------

class ServerNames(Attacked):
    """POSTERN_SERVER_NAMES=100000 for as many."""
    NAMES = int(os.environ.get("POSTERN_SERVER_NAMES", 3000))
    IP_BIND_ADDRESS_NO_PORT = 24
    CHILDREN = 2

    def ask_for_names(self, count, seed):
        """Most of them in a ClientHello that is refused only once the name was looked at, which is quick; of each ten one is answered."""
        dice = random.Random(seed)
        for number in range(count):
            name = b".".join(random_label(dice) for _ in range(dice.randrange(1, 5)))[:255]
            raw = socket.socket()
            raw.settimeout(PATIENCE)
            raw.setsockopt(socket.IPPROTO_IP, self.IP_BIND_ADDRESS_NO_PORT, 1)
            raw.bind((dice.choice(CALLERS), 0))
            raw.connect(self.server.listeners["smtps"])
            quick = {} if number % 10 == 0 else {"versions": (), "suites": SUITE_UNKNOWN}
            raw.sendall(record(HANDSHAKE, client_hello(server_name=name, dice=dice, **quick)))
            said = raw.recv(1)
            assert said[0] == (ALERT if quick else HANDSHAKE), said
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raw.close()

    def storm(self, count, seed):
        children = []
        for child in range(self.CHILDREN):
            pid = os.fork()
            if pid == 0:
                status = 1
                try:
                    self.ask_for_names(count // self.CHILDREN, seed * self.CHILDREN + child)
                    status = 0
                except BaseException as error:  # it must not come back into the test
                    print(f"# asking for names: {error!r}", flush=True)
                finally:
                    os._exit(status)
            children.append(pid)
        self.assertEqual([os.waitpid(pid, 0)[1] for pid in children], [0] * len(children))

    def test_random_names_leave_nothing_behind(self):
        self.attacked()
        self.remember_descriptors()
        self.storm(self.NAMES // 4, 1)
        self.assert_served()
        before = anonymous_memory(self.worker)
        self.storm(self.NAMES * 3 // 4, 2)
        self.assert_served()
        after = anonymous_memory(self.worker)
        print_diagnostics(f"{self.NAMES} names: {before / MIB:.2f} MiB after a quarter, {after / MIB:.2f} MiB after all")
        if not SANITIZED:
            self.assertLess(after - before, MIB // 2)


def random_label(dice):
    return bytes(dice.choices(b"abcdefghijklmnopqrstuvwxyz0123456789-", k=dice.randrange(1, 64)))


if __name__ == "__main__":
    main()
