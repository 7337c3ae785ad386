"""The protocol's extensions on the daemon: who the client is, what comes in chunks, what is not ASCII, and who is turned away."""
import json
import os
import random
import re
import select
import smtplib
import socket
import struct
import subprocess
import time
import unicodedata
from pathlib import Path

from harness import (Case, DOMAIN, HOSTNAME, MemoryCase, PATIENCE, Wire, lf, main, odd_message, simple_message, split_trace,
                     wait_until)

ALICE = f"alice@{DOMAIN}"
SENDER = "bob@example.net"
MIB = 1 << 20


def id_of(reply):
    return re.search(r"\bid ([0-9a-f.]+)$", reply)[1]


def messages_by_id(server, name="alice"):
    """{id: (trace without folding, message)}"""
    found = {}
    for content in server.maildir(name).contents():
        trace, rest = split_trace(content)
        text = re.sub(r"\n[ \t]+", " ", trace.decode())
        found[re.search(r" id ([0-9a-f.]+)[; ]", text)[1]] = (text, rest)
    return found


# ---- PROXY ---------------------------------------------------------------------------------------------------------------

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
TLVS = b"\x02\0\x0bexample.org" + b"\x04\0\x00" + b"\xea\0\x400123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
IPV4 = socket.inet_aton("192.0.2.7") + socket.inet_aton("127.0.0.1") + struct.pack("!HH", 4711, 25)
IPV6 = (socket.inet_pton(socket.AF_INET6, "2001:db8::7") + socket.inet_pton(socket.AF_INET6, "::1") +
        struct.pack("!HH", 4711, 25))
PATHS = b"/run/client".ljust(108, b"\0") + b"/run/server".ljust(108, b"\0")


def v2(command, kind, block):
    return SIGNATURE + bytes([command, kind]) + struct.pack("!H", len(block)) + block


V1_IPV4 = b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 25\r\n"
V1_IPV6 = b"PROXY TCP6 2001:db8::7 ::1 4711 25\r\n"
PEER = "the peer itself"
GOOD_HEADERS = [  # (name, header, client)
    ("v1 TCP4", V1_IPV4, "192.0.2.7"),
    ("v1 TCP6", V1_IPV6, "2001:db8::7"),
    ("v1 UNKNOWN", b"PROXY UNKNOWN\r\n", PEER),
    ("v1 UNKNOWN with addresses", b"PROXY UNKNOWN 192.0.2.7 127.0.0.1 4711 25\r\n", PEER),
    ("v2 IPv4", v2(0x21, 0x11, IPV4), "192.0.2.7"),
    ("v2 IPv4 with TLVs", v2(0x21, 0x11, IPV4 + TLVS), "192.0.2.7"),
    ("v2 IPv6", v2(0x21, 0x21, IPV6), "2001:db8::7"),
    ("v2 IPv6 with TLVs", v2(0x21, 0x21, IPV6 + TLVS), "2001:db8::7"),
    ("v2 unix", v2(0x21, 0x31, PATHS), "unix"),
    ("v2 LOCAL", v2(0x20, 0x00, b""), PEER),
    ("v2 LOCAL with addresses to ignore", v2(0x20, 0x11, IPV4), PEER),
    ("v2 unspecified", v2(0x21, 0x00, b""), PEER),
]
BAD_HEADERS = [  # (name, header, reason)
    ("no header", b"EHLO client.example.net\r\n", "malformed-header"),
    ("v1 without ports", b"PROXY TCP4 192.0.2.7 127.0.0.1\r\n", "malformed-header"),
    ("v1 with an address of the other family", b"PROXY TCP4 2001:db8::7 ::1 4711 25\r\n", "malformed-header"),
    ("v1 with a name", b"PROXY TCP4 client.example.net 127.0.0.1 4711 25\r\n", "malformed-header"),
    ("v1 ending in LF", b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 25\n", "malformed-header"),
    ("v1 in lower case", b"proxy tcp4 192.0.2.7 127.0.0.1 4711 25\r\n", "malformed-header"),
    ("v1 too long", b"PROXY UNKNOWN " + b"x" * 100 + b"\r\n", "header-too-long"),
    ("v1 without end", b"PROXY UNKNOWN " + b"x" * 5000, "header-too-long"),
    ("v2 of another version", v2(0x11, 0x11, IPV4), "malformed-header"),
    ("v2 of datagrams", v2(0x21, 0x12, IPV4), "malformed-header"),
    ("v2 too short for its addresses", v2(0x21, 0x11, IPV4[:8]), "malformed-header"),
    ("v2 with half a TLV", v2(0x21, 0x11, IPV4 + TLVS[:-1]), "malformed-header"),
    ("v2 longer than anything sensible", SIGNATURE + b"\x21\x11\xff\xff", "header-too-long"),
]


def in_received(client):
    return {"unix": "from client.example.net by "}.get(
        client, f"from client.example.net ([{'IPv6:' if ':' in client else ''}{client}])")


class Proxy(Case):
    def proxied(self, proxy="127.0.0.1", **listen):
        return self.postern(sections={
            "listen smtp": {"proxy": proxy, **listen},
            "listen lmtp": {"proxy": "unix", **listen},
        })

    def send_whole(self, wire, header, hello):
        wire.send(header)  # and nothing more: a client waits to be greeted
        wire.expect(220)
        wire.command(hello, 250)

    def send_octets(self, wire, header, hello):
        if wire.socket.family != socket.AF_UNIX:
            wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for octet in header:
            wire.send(bytes([octet]))
        wire.expect(220)
        wire.command(hello, 250)

    def send_with_hello(self, wire, header, hello):
        wire.send(header + hello.encode() + b"\r\n")
        wire.expect(220)
        wire.expect(250)

    def check_good_headers(self, server, address, hello, peer):
        clients = {}
        for name, header, client in GOOD_HEADERS:
            for send in (self.send_whole, self.send_octets, self.send_with_hello):
                with self.subTest(f"{name}, {send.__name__}"), Wire(address, greet=False) as wire:
                    send(wire, header, hello)
                    clients[id_of(wire.deliver(simple_message(), ALICE))] = peer if client == PEER else client
        server.stop()
        opened = {event["session"]: event["client"] for event in server.events("session-opened")}
        self.assertEqual(opened, {message_id.partition(".")[0]: client for message_id, client in clients.items()})
        proxied = server.events("proxied")
        self.assertEqual({event["proxy"] for event in proxied}, {peer})
        called = {"192.0.2.7": "127.0.0.1:25", "2001:db8::7": "[::1]:25", "unix": "unix:/run/server"}
        self.assertEqual({(opened[event["session"]], event["destination"]) for event in proxied},
                         {(peer, ""), *called.items()})
        arrived = messages_by_id(server)
        self.assertEqual(arrived.keys(), clients.keys())
        for message_id, client in clients.items():
            self.assertIn(in_received(client), arrived[message_id][0])

    def test_the_proxied_client_is_the_client_on_tcp(self):
        server = self.proxied(**{"greeting-delay": "0"})  # or what comes right behind the header is too early
        self.check_good_headers(server, server.smtp, "EHLO client.example.net", "127.0.0.1")

    def test_the_proxied_client_is_the_client_on_a_unix_socket(self):
        server = self.proxied()
        self.check_good_headers(server, server.lmtp, "LHLO client.example.net", "unix")

    def test_a_bad_header_closes_the_connection_without_a_word(self):
        server = self.proxied()
        (worker,) = server.workers()
        with Wire(server.smtp, greet=False) as wire:
            self.send_whole(wire, V1_IPV4, "EHLO client.example.net")
        server.wait_log("session-closed")
        descriptors = len(os.listdir(f"/proc/{worker}/fd"))
        for number, (name, header, reason) in enumerate(BAD_HEADERS):
            for address in (server.smtp, server.lmtp):
                with self.subTest(f"{name}, {address}"), Wire(address, greet=False) as wire:
                    wire.send(header)
                    self.assertTrue(wire.at_end())
            told = server.wait_log("proxy-refused", 2 * (number + 1))[-2:]
            self.assertEqual([(event["reason"], event["peer"]) for event in told],
                             [(reason, "127.0.0.1"), (reason, "unix")], name)
        self.assertEqual(len(server.events("session-opened")), 1)
        closed = server.wait_log("session-closed", 2 * len(BAD_HEADERS), reason="proxy-refused", phase="proxy")
        self.assertEqual(len({event["session"] for event in closed}), 2 * len(BAD_HEADERS))
        wait_until(lambda: len(os.listdir(f"/proc/{worker}/fd")) == descriptors, "all connections are closed")

    def test_a_header_that_does_not_come_is_not_waited_for_long(self):
        server = self.proxied()
        starts = (b"", V1_IPV4[:-1], v2(0x21, 0x11, IPV4)[:-1], b"\r")
        wires = [Wire(server.smtp, greet=False) for _ in starts]
        for wire, start in zip(wires, starts):
            wire.send(start)
        with Wire(server.smtp, greet=False) as wire:  # nobody else has to wait
            self.send_whole(wire, V1_IPV4, "EHLO client.example.net")
            for late in wires:
                self.assertTrue(late.at_end())
                late.close()
            wire.command("NOOP", 250)
        self.assertEqual(len(server.wait_log("proxy-refused", len(starts), reason="no-header")), len(starts))

    def test_a_peer_that_leaves_within_the_header_leaves_nothing(self):
        server = self.proxied()
        for count in (0, 1, len(V1_IPV4) - 1):
            with Wire(server.smtp, greet=False) as wire:
                wire.send(V1_IPV4[:count])
        with Wire(server.smtp, greet=False) as wire:
            wire.send(V1_IPV4[:5])
            wire.reset()
        server.wait_log("session-closed", 4, phase="proxy")
        self.assertEqual(server.events("session-opened"), [])

    def test_who_is_no_proxy_of_ours_is_not_listened_to(self):
        server = self.proxied(proxy="127.0.0.9, 192.0.2.0/24")
        with Wire(server.smtp, greet=False) as wire:
            self.assertTrue(wire.at_end())  # not even its header is waited for
        with Wire(server.smtp, greet=False, source_address=("127.0.0.9", 0)) as wire:
            self.send_whole(wire, V1_IPV4, "EHLO client.example.net")
        (event,) = server.wait_log("proxy-refused")
        self.assertEqual((event["reason"], event["peer"]), ("not-a-proxy-of-ours", "127.0.0.1"))

    def test_a_header_is_not_believed_where_there_is_no_proxy(self):
        server = self.postern()
        with server.connect() as wire:
            wire.send(V1_IPV4)
            wire.expect(554, "5.5.1")
            self.assertTrue(wire.at_end())
        with server.connect() as wire:
            wire.send(v2(0x21, 0x11, IPV4) + b"EHLO client.example.net\r\n")
            for _ in range(3):  # it begins with two empty lines, and one of NUL
                wire.expect(500)
            wire.expect(554, "5.5.1")
            self.assertTrue(wire.at_end())
        server.stop()
        self.assertEqual({event["client"] for event in server.events("session-opened")}, {"127.0.0.1"})
        server.wait_log("session-closed", 2, reason="foreign-protocol", phase="start")

    def test_a_second_header_is_no_header(self):
        server = self.proxied(**{"greeting-delay": "0"})
        with Wire(server.smtp, greet=False) as wire:
            wire.send(V1_IPV4 + V1_IPV6)
            wire.expect(220)
            wire.expect(554, "5.5.1")
        self.assertEqual(server.wait_log("session-opened")[0]["client"], "192.0.2.7")

    def test_xclient_is_the_right_of_the_proxied_client(self):
        server = self.proxied(xclient="192.0.2.7, 127.0.0.1", xforward="2001:db8::/32, 127.0.0.1")  # also the proxy's own
        for header, xclient, xforward in ((V1_IPV4, 220, 550), (V1_IPV6, 550, 250), (b"PROXY UNKNOWN\r\n", 550, 550)):
            with self.subTest(header), Wire(server.smtp, greet=False) as wire:
                wire.send(header)
                wire.expect(220)
                offered = wire.hello()
                self.assertEqual(("XCLIENT " in offered, "XFORWARD " in offered), (xclient == 220, xforward == 250))
                wire.command("XFORWARD NAME=a.example.net", xforward)
                wire.command("XCLIENT ADDR=192.0.2.99", xclient)

    def test_a_header_is_not_speaking_before_the_greeting(self):
        server = self.proxied(**{"greeting-delay": "200ms"})
        with Wire(server.smtp, greet=False) as wire:
            start = time.monotonic()
            self.send_whole(wire, V1_IPV4, "EHLO client.example.net")
            self.assertGreaterEqual(time.monotonic() - start, 0.2)
        with Wire(server.smtp, greet=False) as wire:
            wire.send(V1_IPV4 + b"EHLO client.example.net\r\n")
            wire.expect(554, "5.5.1")
            self.assertTrue(wire.at_end())
        server.wait_log("command-refused", reason="too-early")
        server.wait_log("session-closed", reason="too-early", phase="silent")

    def test_by_default_clients_of_another_host_have_to_wait_for_the_greeting(self):
        server = self.proxied()
        early = {
            "from elsewhere": (server.smtp, b"PROXY TCP4 192.0.2.1 198.51.100.2 4711 25\r\nEHLO client.example.net\r\n", 554),
            "from elsewhere by IPv6": (server.smtp, V1_IPV6 + b"EHLO client.example.net\r\n", 554),
            "from this host": (server.smtp, b"PROXY TCP4 127.0.0.1 127.0.0.1 4711 25\r\nEHLO client.example.net\r\n", 220),
            "of nobody but the proxy": (server.smtp, b"PROXY UNKNOWN\r\nEHLO client.example.net\r\n", 220),
            "LMTP": (server.lmtp, V1_IPV4 + b"LHLO client.example.net\r\n", 220),
        }
        for name, (address, octets, code) in early.items():
            with self.subTest(name), Wire(address, greet=False) as wire:
                wire.send(octets)
                if code == 554:
                    wire.expect(554, "5.5.1")
                    self.assertTrue(wire.at_end())
                else:
                    wire.expect(220)
                    wire.expect(250)
        self.assertEqual({event["reason"] for event in server.wait_log("command-refused", 2)}, {"too-early"})


# ---- XCLIENT and XFORWARD ------------------------------------------------------------------------------------------------

class Facts(Case):
    def trusting(self):
        return self.postern(sections={"listen smtp": {"xclient": "127.0.0.1", "xforward": "127.0.0.1"}})

    def check_client(self, command, *expected):
        server = self.trusting()
        with server.connect() as wire:
            wire.hello()
            wire.command(command, 220, HOSTNAME)
            wire.command("MAIL FROM:<>", 503)  # it is a new session, for somebody else
            wire.hello()
            wire.deliver(simple_message(), ALICE)
        trace, _ = split_trace(server.maildir().only())
        self.assertRegex(trace.decode(), r"Received: from client\.example\.net\s")
        for text in expected:
            self.assertIn(text, trace.decode().replace("\n\t", " "))
        return server.wait_log("xclient")[0]

    def test_xclient_tells_name_and_address(self):
        event = self.check_client("XCLIENT NAME=mail.example.com ADDR=192.0.2.9 PORT=99 PROTO=ESMTP LOGIN=u+20v "
                                  "DESTADDR=192.0.2.1 DESTPORT=25", "(mail.example.com [192.0.2.9])")
        self.assertEqual({key: event[key] for key in ("name", "client", "port", "proto", "login", "destaddr", "destport")},
                         {"name": "mail.example.com", "client": "192.0.2.9", "port": "99", "proto": "ESMTP",
                          "login": "u v", "destaddr": "192.0.2.1", "destport": "25"})
        self.assertNotIn("ident", event)

    def test_xclient_tells_an_ipv6_address(self):
        event = self.check_client("XCLIENT NAME=mail.example.com ADDR=IPV6:2001:DB8::9", "(mail.example.com [IPv6:2001:db8::9])")
        self.assertEqual(event["client"], "2001:db8::9")

    def test_xclient_without_a_name_takes_none_over(self):
        self.check_client("XCLIENT NAME=[UNAVAILABLE] ADDR=192.0.2.9", "([192.0.2.9])")

    def test_xclient_of_an_unknown_client(self):
        self.check_client("XCLIENT NAME=[TEMPUNAVAIL] ADDR=[UNAVAILABLE]", f"Received: from client.example.net by {HOSTNAME} ")

    def test_xclient_of_an_unknown_client_with_a_literal(self):
        server = self.trusting()
        with server.connect() as wire:
            wire.command("XCLIENT ADDR=[UNAVAILABLE] HELO=[192.0.2.9]", 220)
            wire.deliver(simple_message(), ALICE)
        self.assertIn(b"Received: from unknown\n\tby ", server.maildir().only())

    def test_xclient_with_helo_is_as_if_that_had_been_said(self):
        for proto, name in (("PROTO=ESMTP", "ESMTP"), ("PROTO=SMTP", "SMTP"), ("", "SMTP")):
            with self.subTest(proto):
                server = self.trusting()
                with server.connect() as wire:
                    wire.hello()
                    wire.command(f"XCLIENT ADDR=192.0.2.9 HELO=x.example.com {proto}", 220)
                    wire.deliver(simple_message(), ALICE)
                trace = server.maildir().only().decode().replace("\n\t", " ")
                self.assertIn(f"Received: from x.example.com ([192.0.2.9]) by {HOSTNAME} with {name} id ", trace)
                self.assertEqual(server.wait_log("xclient")[0]["helo"], "x.example.com")
                server.stop()

    def test_xclient_with_helo_that_is_no_domain_goes_to_the_log_alone(self):
        event = self.check_client("XCLIENT ADDR=192.0.2.9 HELO=(+20+22x+5C PROTO=ESMTP", "([192.0.2.9])")
        self.assertEqual(event["helo"], '( "x\\')

    def test_xclient_can_be_said_again_by_who_may(self):
        server = self.trusting()
        with server.connect() as wire:
            for number in (1, 2):
                wire.command(f"XCLIENT NAME=client{number}.example.com ADDR=192.0.2.{number}", 220)
                self.assertIn("XCLIENT ", wire.hello())
            wire.command("XCLIENT LOGIN=u", 220)  # of name and address nothing is said: they stay
            wire.hello()
            wire.deliver(simple_message(), ALICE)
        self.assertIn(b"(client2.example.com [192.0.2.2])", server.maildir().only().replace(b"\n\t", b" "))

    def test_xclient_with_another_address_forgets_the_name(self):
        server = self.trusting()
        with server.connect() as wire:
            wire.command("XCLIENT NAME=client1.example.com ADDR=192.0.2.1", 220)
            wire.command("XCLIENT ADDR=192.0.2.3", 220)
            wire.hello()
            wire.deliver(simple_message(), ALICE)
        self.assertIn(b"Received: from client.example.net ([192.0.2.3])", server.maildir().only())

    def test_xclient_in_a_transaction_is_refused_and_the_transaction_lives(self):
        server = self.trusting()
        with server.connect() as wire:
            wire.hello()
            wire.envelope(ALICE)
            wire.command("XCLIENT ADDR=192.0.2.9", 503, "5.5.1")
            wire.data(simple_message())
            wire.expect(250)
        self.assertIn(b"([127.0.0.1])", server.maildir().only())

    def test_neither_is_offered_to_or_taken_from_anybody_else(self):
        server = self.trusting()
        with server.connect() as wire:
            offered = wire.hello().splitlines()
            self.assertIn("XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT", offered)
            self.assertIn("XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE", offered)
        with Wire(server.smtp, source_address=("127.0.0.2", 0)) as wire:
            self.assertNotIn("XCLIENT", wire.hello())
            wire.command("XCLIENT ADDR=192.0.2.9", 550, "5.7.0")
            wire.command("XFORWARD ADDR=192.0.2.9", 550, "5.7.0")
            wire.deliver(simple_message(), ALICE)
        with server.connect_lmtp() as wire:
            self.assertNotIn("XCLIENT", wire.hello(lmtp=True))
        server.stop()
        self.assertIn(b"([127.0.0.2])", server.maildir().only())
        self.assertEqual(server.events("xclient") + server.events("xforward"), [])
        self.assertEqual(len([e for e in server.events("command-refused") if e["reason"] == "facts-refused"]), 2)

    def test_nothing_that_xtext_hides_gets_anywhere(self):
        server = self.trusting()
        both = ("NAME=a.example+0D+0AX-Evil:+201", "NAME=a+00", "NAME=+", "NAME=+zz", "NAME=\u00e4.example", "NAME=",
                "NAME=" + "a" * 256, "ADDR=192.0.2.9+0A", "PORT=0", "PORT=65536", "PORT=1+0A",
                "HELO=a+0Alevel=info+20event=delivered", "HELO=a+1B[2J", "HELO=+C2+85", "PROTO=a+0Ab", "BANANA=1",
                "ADDR=192.0.2.9 ADDR=192.0.2.9", "NAME")
        values = {
            "XCLIENT": ("NAME=a+20b", "NAME=<script>", "NAME=a)", "ADDR=192.0.2.999", "ADDR=192.0.2.9]",
                        "ADDR=mail.example.com", "ADDR=IPV6:192.0.2.9", "LOGIN=a+7Fb", "PROTO=HTTP"),
            "XFORWARD": ("IDENT=a+7Fb", "IDENT=a+0Ab", "PROTO=" + "a" * 65),
        }
        for verb, own in values.items():
            for value in both + own:
                with self.subTest(f"{verb} {value}"), server.connect() as wire:
                    wire.hello()
                    wire.send(f"{verb} {value}\r\n".encode())
                    self.assertEqual(wire.reply()[0], 501)
                    wire.command("NOOP", 250)
        server.stop()
        self.assertEqual(server.events("xclient") + server.events("xforward") + server.events("delivered"), [])
        self.assertEqual(len(server.events("command-refused")), 2 * len(both) + sum(map(len, values.values())))
        self.assertEqual([line for line in server.log if not line.startswith("time=")], [])

    def test_xforward_may_be_any_text_and_stays_in_its_line_of_the_log(self):
        server = self.trusting()
        with server.connect() as wire:
            wire.hello()
            wire.command('XFORWARD NAME=a_b+20event+3Ddelivered ADDR=nobody+22 HELO=("x\\ IDENT=a+22+20event+3Dpanic PROTO=HTTP',
                         250, "2.0.0")
            wire.deliver(simple_message(), ALICE)
        (event,) = server.wait_log("xforward")
        self.assertEqual([event[key] for key in ("name", "client", "helo", "ident", "proto")],
                         ["a_b event=delivered", 'nobody"', '("x\\', 'a" event=panic', "HTTP"])
        server.stop()
        self.assertEqual(len(server.events("delivered")), 1)
        self.assertEqual(server.events("panic"), [])

    def test_xforward_goes_to_the_log_alone(self):
        server = self.trusting()
        with server.connect() as wire:
            wire.hello()
            wire.command("XFORWARD NAME=spike.example.com ADDR=192.0.2.9 PORT=4711 PROTO=SMTP", 250, "2.0.0")
            wire.command("XFORWARD HELO=spike IDENT=4Xyz+2B1 SOURCE=REMOTE", 250, "2.0.0")
            wire.deliver(simple_message(), ALICE)
        first, second = server.wait_log("xforward", 2)
        (delivered,) = server.wait_log("delivered")
        self.assertEqual([first["name"], first["client"], first["port"], first["proto"]],
                         ["spike.example.com", "192.0.2.9", "4711", "SMTP"])
        self.assertEqual([second["helo"], second["ident"], second["source"]], ["spike", "4Xyz+1", "REMOTE"])
        self.assertEqual({first["session"], second["session"]}, {delivered["session"]})
        trace, _ = split_trace(server.maildir().only())
        self.assertIn(b"([127.0.0.1])", trace)
        self.assertNotIn(b"spike", trace)


# ---- BDAT ----------------------------------------------------------------------------------------------------------------

def chunks_of(message, sizes):
    at = 0
    while at < len(message):
        size = next(sizes)
        yield message[at:at + size]
        at += size


ALL_OCTETS = bytes(range(256)) + b"\0\r\n\r\r\n\n\r\0\n.\r\n.\r\n..\r\nlast line has no end\r"


class Bdat(MemoryCase):
    def chunk(self, wire, message, sizes):
        """The message in chunks of these sizes, all of them sent before a reply is read; then each is 250."""
        count = 0
        for count, chunk in enumerate(chunks_of(message, sizes), 1):
            wire.bdat(chunk)
        wire.bdat(b"", last=True)
        for _ in range(count + 1):
            wire.expect(250, "2.0.0")

    def test_what_comes_in_odd_chunks_is_what_data_brings(self):
        pieces = random.Random(3030)
        lines = [odd_message()] + [bytes([46]) * pieces.randrange(3) + bytes(pieces.choices(range(32, 256), k=70)) + b"\r\n"
                                   for _ in range(1000)]
        message = (b"".join(lines) * 300)[:20 * MIB - 2] + b"\r\n"
        server = self.postern()
        with server.connect() as wire:
            wire.hello()
            wire.deliver(message, ALICE)
            wire.envelope(ALICE)
            self.chunk(wire, message, iter(lambda: pieces.choice((1, 2, 3, 511, 65535, 65536, 65537, 300_001)), None))
        first, second = server.maildir().contents()
        self.assertEqual(len(split_trace(first)[1]), len(lf(message)))
        self.assertTrue(split_trace(first)[1] == split_trace(second)[1] == lf(message))

    def test_every_cut_of_a_message_gives_the_same_file(self):
        server = self.postern()
        message = b"Subject: cut\r\n\r\n.\r\na\r\n\r\n.."
        with server.connect() as wire:
            wire.hello()
            for at in range(len(message)):
                wire.envelope(ALICE)
                wire.bdat(message[:at])
                wire.bdat(message[at:], last=True)
                wire.expect(250)
                wire.expect(250)
        stored = {split_trace(content)[1] for content in server.maildir().contents()}
        self.assertEqual((stored, len(server.maildir().names())), ({lf(message)}, len(message)))

    def test_binarymime_is_stored_byte_for_byte(self):
        server = self.postern()
        head = b"Subject: binary\r\nContent-Transfer-Encoding: binary\r\n\r\n"
        small, large = head + ALL_OCTETS, head + ALL_OCTETS * 3000  # one stays in memory, one is staged
        with server.connect() as wire:
            wire.hello()
            for message, size in ((small, 1), (large, 4099)):
                wire.envelope(ALICE, mail=" BODY=BINARYMIME")
                self.chunk(wire, message, iter(lambda size=size: size, None))
        stored = sorted((rest for _, rest in messages_by_id(server).values()), key=len)
        self.assertEqual(stored[0], small)
        self.assertTrue(stored[1] == large)

    def test_binarymime_needs_bdat(self):
        server = self.postern()
        with server.connect() as wire:
            wire.hello()
            wire.envelope(ALICE, mail=" BODY=BINARYMIME")
            wire.command("DATA", 503, "5.5.1")
            wire.bdat(ALL_OCTETS, last=True)  # too late: that transaction is gone
            wire.expect(503, "5.5.1")
            wire.command("RSET", 250)
            wire.envelope(ALICE, mail=" BODY=BINARYMIME")
            wire.bdat(ALL_OCTETS, last=True)
            wire.expect(250)
        server.stop()
        self.assertEqual(split_trace(server.maildir().only())[1], ALL_OCTETS)
        self.assertEqual([(event["reason"], event["line"]) for event in server.events("command-refused")],
                         [("binary-needs-bdat", "DATA"), ("needs-rset", f"BDAT {len(ALL_OCTETS)} LAST")])

    def test_what_may_be_a_chunk_ends_the_session(self):
        server = self.postern()
        for line, code in (("BDAT\t6", 500), ("BDAT\0 6", 500), ("BDAT 6x", 501), (" " * 5000 + "BDAT 6", 500)):
            with self.subTest(line[-10:]), server.connect() as wire:
                wire.hello()
                wire.send(f"{line}\r\nQUIT\r\n".encode())
                self.assertEqual(wire.reply()[0], code)
                wire.expect(421, "4.7.0")
                self.assertTrue(wire.at_end())
        server.wait_log("session-closed", 4, reason="out-of-step", phase="ready")

    def test_an_enormous_chunk_costs_no_memory(self):
        server = self.postern(sections={"limits": {"message-size": "1G"}})
        block = (b"x" * 1022 + b"\r\n") * 1024
        with server.connect() as wire:
            wire.hello()
            wire.envelope(ALICE)
            self.start_measuring(server)
            wire.send(b"BDAT %d LAST\r\n" % (256 * MIB))
            for _ in range(256):
                wire.send(block)
            wire.expect(250)
            self.assert_memory_is_bounded()
        self.assertEqual(max(len(content) for content in server.maildir().contents()) // MIB, 255)  # without CRs

    def test_a_client_that_reads_no_reply_to_its_chunks_is_not_read_either(self):
        server = self.postern()
        with server.connect() as idle, server.connect_lmtp() as wire:  # a unix socket has small buffers
            wire.hello(lmtp=True)
            wire.envelope(ALICE)
            self.start_measuring(server)
            chunk, sent = b"BDAT 2\r\n\r\n", 0
            wire.socket.setblocking(False)
            while select.select([], [wire.socket], [], 0.3)[1]:  # until both sides' socket buffers are full
                sent += wire.socket.send((chunk * 10_000)[sent % len(chunk):])
                self.assertLess(sent, 200 * MIB, "the server reads on although nobody takes its replies")
            self.assert_memory_is_bounded()
            idle.command("NOOP", 250)
            wire.socket.settimeout(PATIENCE)
            whole, rest = divmod(sent, len(chunk))
            for _ in range(whole):
                wire.expect(250, "2.0.0 Chunk")
            wire.send(chunk[rest:] + b"BDAT 0 LAST\r\n")
            wire.expect(250, "2.0.0 Chunk")
            wire.expect(250, "2.0.0 Delivered")

    def test_a_hangup_within_a_chunk_leaves_nothing(self):
        server = self.postern()
        for size in (0, 1, 1000, 200_000):
            for leave in (Wire.close, Wire.reset):
                wire = server.connect()
                wire.hello()
                wire.envelope(ALICE)
                wire.bdat(simple_message())
                wire.expect(250)
                wire.send(b"BDAT 200001 LAST\r\n" + b"x" * size)
                leave(wire)
        server.wait_log("session-closed", 8)
        server.stop()
        self.assertEqual(server.maildir().names(), [])

    def test_lmtp_answers_the_last_chunk_for_each_recipient(self):
        names = ("alice", "carol", "dave")
        server = self.postern(mailboxes=names, sections={"limits": {"message-size": "64K"}})
        recipients = [f"{name}@{DOMAIN}" for name in names]
        with server.connect_lmtp() as wire:
            wire.hello(lmtp=True)
            wire.command(f"MAIL FROM:<{SENDER}>", 250)
            for to, code in zip([recipients[0], f"nobody.here@{DOMAIN}", *recipients[1:]], (250, 550, 250, 250)):
                wire.command(f"RCPT TO:<{to}>", code)
            wire.bdat(odd_message())
            wire.bdat(b"the end\r\n", last=True)
            wire.expect(250, "2.0.0 Chunk")
            for _ in recipients:
                wire.expect(250, "2.0.0 Delivered")
            wire.envelope(*recipients)
            wire.bdat(b"x" * (64 * 1024 + 1), last=True)
            for _ in recipients:
                wire.expect(552, "5.3.4")
            wire.command("NOOP", 250)
        for name in names:
            self.assertEqual(split_trace(server.maildir(name).only())[1], lf(odd_message() + b"the end\r\n"))

    def test_a_refused_chunk_is_never_taken_for_commands(self):
        server = self.postern(sections={"limits": {"message-size": "64K"}})
        smuggled = f"RSET\r\nMAIL FROM:<evil@example.net>\r\nRCPT TO:<{ALICE}>\r\nBDAT 4 LAST\r\nevil".encode()
        with server.connect() as wire:
            wire.hello()
            wire.bdat(smuggled, last=True)  # no transaction
            wire.expect(503, "5.5.1")
            wire.command("MAIL FROM:<>", 250)
            wire.bdat(smuggled)  # no recipient
            wire.expect(503, "5.5.1")
            wire.command(f"RCPT TO:<{ALICE}>", 503, "5.5.1")
            wire.command("RSET", 250)
            wire.envelope(ALICE)
            wire.bdat(smuggled * 1000)  # too big
            wire.bdat(smuggled, last=True)  # pipelined behind it
            wire.expect(552, "5.3.4")
            wire.expect(503, "5.5.1")
            wire.command("RSET", 250)
            wire.deliver(simple_message(), ALICE)
        self.assertEqual(split_trace(server.maildir().only())[1], lf(simple_message()))


# ---- SMTPUTF8 ------------------------------------------------------------------------------------------------------------

PELE = "pel\u00e9"
U_DOMAIN, A_DOMAIN = "b\u00fccher.example", "xn--bcher-kva.example"


class Utf8(Case):
    def postern_of_books(self, **sections):
        server = self.postern(start=False, mailboxes=("alice", PELE))
        server.sections.update({f"domain {U_DOMAIN}": {"maildirs": server.maildirs}, **sections})
        return server.start()

    def test_a_mailbox_is_found_however_its_name_is_written(self):
        server = self.postern_of_books()
        local_parts = (PELE, PELE.upper(), unicodedata.normalize("NFD", PELE.upper()))
        recipients = [f"{local}@{domain}" for local in local_parts for domain in (U_DOMAIN, U_DOMAIN.upper(), A_DOMAIN, DOMAIN)]
        with smtplib.SMTP(*server.smtp, timeout=PATIENCE) as client:
            for recipient in recipients:
                client.sendmail("b\u00f8b@example.net", [recipient], simple_message(), mail_options=["SMTPUTF8"])
        traces = [trace for trace, _ in messages_by_id(server, PELE).values()]
        self.assertEqual(len(traces), len(recipients))
        for trace in traces:
            self.assertTrue(trace.startswith("Return-Path: <b\u00f8b@example.net>\n"))
            self.assertIn(" with UTF8SMTP id ", trace)
        told = [re.search("^Delivered-To: (.*)$", trace, re.M)[1] for trace in traces]
        self.assertEqual({unicodedata.normalize("NFC", to).lower().replace(A_DOMAIN, U_DOMAIN) for to in told},
                         {f"{PELE}@{U_DOMAIN}", f"{PELE}@{DOMAIN}"})
        self.assertEqual(server.maildir().names(), [])

    def test_lmtp_has_it_too(self):
        server = self.postern_of_books()
        with server.connect_lmtp() as wire:
            wire.hello(lmtp=True)
            wire.send(f"MAIL FROM:<b\u00f8b@example.net> SMTPUTF8 BODY=8BITMIME\r\nRCPT TO:<{PELE}@{U_DOMAIN}>\r\n".encode())
            wire.expect(250)
            wire.expect(250)
            wire.bdat("Subject: gr\u00fc\u00dfe\r\n\r\nhello\r\n".encode(), last=True)
            wire.expect(250)
        ((trace, rest),) = messages_by_id(server, PELE).values()
        self.assertIn(" with UTF8LMTP id ", trace)
        self.assertIn(f" for <{PELE}@{U_DOMAIN}>;", trace)
        self.assertEqual(rest, "Subject: gr\u00fc\u00dfe\n\nhello\n".encode())

    def test_who_did_not_ask_for_it_gets_553_and_an_a_label_needs_no_asking(self):
        server = self.postern_of_books()
        with server.connect() as wire:
            wire.hello()
            for line in (f"MAIL FROM:<{PELE}@example.net>", f"MAIL FROM:<bob@{U_DOMAIN}>"):
                wire.command(line, 553, "5.6.7")
            wire.command("MAIL FROM:<>", 250)
            for to in (f"{PELE}@{DOMAIN}", f"alice@{U_DOMAIN}"):
                wire.command(f"RCPT TO:<{to}>", 553, "5.6.7")
            wire.command(f"RCPT TO:<alice@{A_DOMAIN}>", 250)
            wire.data(simple_message())
            wire.expect(250)
        self.assertIn(b" with ESMTP id ", server.maildir().only())

    def test_what_is_not_utf8_is_refused(self):
        server = self.postern_of_books()
        with server.connect() as wire:
            wire.hello()
            for octets in (b"pel\xe9", b"pel\xc3", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc2\x85", b"a\xff"):
                with self.subTest(octets):
                    wire.send(b"MAIL FROM:<" + octets + b"@example.net> SMTPUTF8\r\n")
                    self.assertEqual(wire.reply()[0], 501)

    def check_log(self, log_format):
        server = self.postern_of_books(log={"level": "debug", "format": log_format})
        with server.connect() as wire:
            wire.hello()
            wire.send(f"MAIL FROM:<b\u00f8b@{U_DOMAIN}> SMTPUTF8\r\nRCPT TO:<nobody\u2028\u00e9@{U_DOMAIN}>\r\n"
                      f"RCPT TO:<{PELE}@{U_DOMAIN}>\r\n".encode())
            for _ in range(2):
                wire.reply()
            wire.expect(250)
            wire.data(simple_message())
            wire.expect(250)
            wire.send(b"B\xc3\xc3\xe9\xff\r\n")
            self.assertEqual(wire.reply()[0], 500)
        server.stop()
        (delivered,) = server.events("delivered")
        self.assertEqual((delivered["from"], delivered["to"], delivered["mailbox"]),
                         (f"b\u00f8b@{U_DOMAIN}", f"{PELE}@{U_DOMAIN}", PELE))
        self.assertEqual([line for line in server.log if "\\x" in line.replace("\\\\", "") or "\u2028" in line], [])
        return server

    def test_the_log_is_valid_logfmt(self):
        for line in self.check_log("logfmt").log:
            self.assertTrue(line.startswith("time="), line)

    def test_the_log_is_valid_json(self):
        for line in self.check_log("json").log:
            self.assertIn("event", json.loads(line))


# ---- DSN -----------------------------------------------------------------------------------------------------------------

class Dsn(Case):
    KEYS = ("envid", "ret", "orcpt", "notify")

    def delivered(self, mail, *rcpts, lmtp=False):
        """What the log tells of each recipient: {key: value} of those of the four keys that are there."""
        names = [f"box{number}" for number in range(len(rcpts))]
        server = self.postern(mailboxes=names)
        with server.connect_lmtp() if lmtp else server.connect() as wire:
            wire.hello(lmtp)
            wire.command(f"MAIL FROM:<{SENDER}>{mail}", 250)
            for name, rcpt in zip(names, rcpts):
                wire.command(f"RCPT TO:<{name}@{DOMAIN}>{rcpt}", 250)
            wire.data(simple_message())
            for _ in rcpts if lmtp else (1,):
                wire.expect(250)
        server.stop()
        for name in names:  # not a trace of them in the message
            trace, rest = split_trace(server.maildir(name).only())
            self.assertEqual(rest, lf(simple_message()))
            self.assertNotRegex(trace, rb"(?i)QQ314159|rfc822|\+3D|notify|success")
        self.assertEqual([line for line in server.log if not line.startswith("time=")], [])
        return [{key: event[key] for key in self.KEYS if key in event} for event in server.events("delivered")]

    def test_the_log_tells_them_for_each_recipient(self):
        for lmtp in (False, True):
            told = self.delivered(" RET=HDRS ENVID=QQ314159", " NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Bob@example.org", "",
                                  " NOTIFY=never", lmtp=lmtp)
            common = {"envid": "QQ314159", "ret": "hdrs"}
            self.assertEqual(told, [{**common, "notify": "success,delay", "orcpt": "rfc822;Bob@example.org"}, common,
                                    {**common, "notify": "never"}])

    def test_the_log_tells_nothing_that_was_not_said(self):
        self.assertEqual(self.delivered("", ""), [{}])

    def test_they_stay_what_they_are_in_the_log(self):
        told = self.delivered(' ENVID=a"\\event+3Dx+20time+3D RET=FULL',
                              ' ORCPT=rfc822;x"+20mailbox+3Droot NOTIFY=DELAY,FAILURE,SUCCESS')
        self.assertEqual(told, [{"envid": 'a"\\event+3Dx+20time+3D', "ret": "full",
                                 "orcpt": 'rfc822;x"+20mailbox+3Droot', "notify": "success,failure,delay"}])

    def test_what_could_end_a_line_is_refused_however_it_is_hidden(self):
        server = self.postern()
        with server.connect() as wire:
            wire.hello()
            for envid in ("a+0Ab", "a+0D", "a+00", "a+", "a=b", "\u00e9", "a+7F"):
                wire.command(f"MAIL FROM:<> ENVID={envid}", 501, "5.5.4")
            wire.command("MAIL FROM:<>", 250)
            for orcpt in ("rfc822;a+0Ab", "rfc822;a+00", "rfc\u00e9;a", "rfc822;", "rfc822"):
                wire.command(f"RCPT TO:<{ALICE}> ORCPT={orcpt}", 501, "5.5.4")


# ---- who is turned away --------------------------------------------------------------------------------------------------

class Foreign(Case):
    def run_client(self, *command):
        return subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=PATIENCE)

    def check_turned_away(self, server, done):
        self.assertNotEqual(done.returncode, 0)
        event, *more = server.wait_log("command-refused")
        self.assertEqual((event["reason"], event["code"], more), ("foreign-protocol", "554", []))
        server.wait_log("session-closed", session=event["session"], reason="foreign-protocol", phase="start")

    def test_curl_speaks_http(self):
        server = self.postern()
        self.check_turned_away(server, self.run_client(
            self.need_program("curl"), "--silent", "--show-error", "--http0.9", "--max-time", PATIENCE, "--fail",
            "-o", "/dev/full", "http://%s:%d/" % server.smtp))

    def test_no_command_in_the_body_of_an_http_request_is_carried_out(self):
        curl = self.need_program("curl")
        server = self.postern()
        body = self.folder / "body"
        body.write_bytes(b"EHLO x\r\n" + f"MAIL FROM:<>\r\nRCPT TO:<{ALICE}>\r\nDATA\r\n".encode() + simple_message() + b".\r\n")
        self.run_client(curl, "--silent", "--http0.9", "--max-time", PATIENCE, "--data-binary", f"@{body}",
                        "http://%s:%d/" % server.smtp)
        self.assertEqual(server.wait_log("command-refused")[0]["reason"], "foreign-protocol")
        server.stop()
        self.assertEqual(server.maildir().names(), [])

    def test_openssl_speaks_tls(self):
        server = self.postern()
        self.check_turned_away(server, self.run_client(
            self.need_program("openssl"), "s_client", "-connect", "%s:%d" % server.smtp))

    def test_ssh_speaks_ssh(self):
        server = self.postern()
        host, port = server.smtp
        self.check_turned_away(server, self.run_client(
            self.need_program("ssh"), "-F", "none", "-o", "BatchMode=yes", "-o", "UserKnownHostsFile=/dev/null",
            "-p", port, f"nobody@{host}"))

    def test_where_it_is_asked_for_they_are_answered_like_others(self):
        server = self.postern(sections={"limits": {"foreign-protocols": "answer"}})
        with server.connect() as wire:
            wire.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            for _ in range(3):
                self.assertEqual(wire.reply()[0], 500)
            wire.command("NOOP", 250)


class Patience(Case):
    def drip(self, wire):
        """An octet now and then, until the server has something to say."""
        while not select.select([wire.socket], [], [], 0.05)[0]:
            wire.send(b"x")

    def check_slow_body(self, begin, phase):
        server = self.postern(sections={"limits": {"data-timeout": "1s", "data-rate": "1000"}})
        with server.connect() as wire:
            wire.hello()
            wire.envelope(ALICE)
            begin(wire)
            self.drip(wire)
            wire.expect(421, "4.4.2 The message comes too slowly")
            self.assertTrue(wire.at_end())
        server.wait_log("session-closed", reason="too-slow", phase=phase)
        server.stop()
        self.assertEqual(server.maildir().names(), [])

    def test_a_body_that_drips_is_ended(self):
        self.check_slow_body(lambda wire: wire.command("DATA", 354), "data")

    def test_a_chunk_that_drips_is_ended(self):
        self.check_slow_body(lambda wire: wire.send(b"BDAT 1000000 LAST\r\n"), "chunk")

    def test_an_early_talker_is_refused_before_the_greeting(self):
        server = self.postern(sections={"listen smtp": {"greeting-delay": "1m"}})
        with server.connect(greet=False) as wire:
            wire.send(b"EHLO client.example.net\r\n")
            wire.expect(554, "5.5.1")
            self.assertTrue(wire.at_end())
        self.assertEqual(server.wait_log("command-refused")[0]["reason"], "too-early")

    def test_who_waits_for_the_greeting_gets_it(self):
        server = self.postern(sections={"listen smtp": {"greeting-delay": "100ms"}})
        with server.connect() as wire:
            wire.hello()
            wire.deliver(simple_message(), ALICE)


class Caps(Case):
    def test_commands_of_a_session_are_counted(self):
        server = self.postern(sections={"limits": {"commands-per-session": "100"}})
        with server.connect() as wire:
            for _ in range(100):
                wire.command("NOOP", 250)
            wire.command("NOOP", 421, "4.7.0")
            self.assertTrue(wire.at_end())
        server.wait_log("session-closed", reason="too-many-commands", phase="start")

    def test_messages_of_a_session_are_counted_and_their_number_is_told(self):
        server = self.postern(sections={"limits": {"messages-per-session": "2"}})
        with server.connect() as wire:
            self.assertIn("LIMITS RCPTMAX=1000 MAILMAX=2", wire.hello().splitlines())
            for _ in range(2):
                wire.deliver(simple_message(), ALICE)
            wire.command("MAIL FROM:<>", 421, "4.7.0")
            self.assertTrue(wire.at_end())
        server.wait_log("session-closed", reason="too-many-messages", phase="ready", messages="2")
        self.assertEqual(len(server.maildir().names()), 2)

    def test_unknown_recipients_of_a_session_are_counted(self):
        server = self.postern(sections={"limits": {"unknown-recipients-per-session": "3"}})
        with server.connect() as wire:
            wire.hello()
            for _ in range(2):
                wire.command("MAIL FROM:<>", 250)
                wire.command(f"RCPT TO:<nobody@{DOMAIN}>", 550, "5.1.1")
                wire.command("RSET", 250)
            wire.command("MAIL FROM:<>", 250)
            wire.command(f"RCPT TO:<{ALICE}>", 250)
            wire.command("RCPT TO:<alice@elsewhere.example>", 550, "5.7.1")
            wire.command(f"RCPT TO:<nobody@{DOMAIN}>", 550, "5.1.1")
            wire.expect(421, "4.7.0")
            self.assertTrue(wire.at_end())
        server.wait_log("session-closed", reason="too-many-strangers", phase="mail", messages="0")
        self.assertEqual(len(server.events("rcpt-refused")), 4)
        server.stop()
        self.assertEqual(server.maildir().names(), [])

    def test_a_header_section_is_bounded_and_a_body_is_not(self):
        server = self.postern(sections={"limits": {"header-size": "16K", "header-fields": "100"}})
        many, long, good = (b"X: y\r\n" * 101, b"X: " + b"y" * 900 + b"\r\n" + (b"\t" + b"y" * 900 + b"\r\n") * 20, b"X: y\r\n")
        body = b"\r\n" + many + long
        with server.connect() as wire:
            wire.hello()
            for bad, code, status in ((many, 554, "5.6.0"), (long, 552, "5.3.4")):
                wire.envelope(ALICE)
                wire.data(bad + body)
                wire.expect(code, status)
                wire.envelope(ALICE)
                wire.bdat(bad + body, last=True)
                wire.expect(code, status)
            wire.deliver(good + body, ALICE)
        self.assertEqual(split_trace(server.maildir().only())[1], lf(good + body))
        self.assertEqual([event["reason"] for event in server.wait_log("message-refused", 4)],
                         ["too-many-fields"] * 2 + ["header-too-big"] * 2)


if __name__ == "__main__":
    main()
