"""[metrics]: what is told by HTTP, that it never goes backwards, and that who asks can do no harm."""
import http.client
import os
import re
import signal
import socket
import stat
from pathlib import Path

from harness import (Case, DOMAIN, PATIENCE, ROOT, main, proc_name, proc_stat, proc_status, simple_message,
                     wait_until)
from test_lifecycle import is_gone
from test_reload import reload

ALICE, BOB = f"alice@{DOMAIN}", f"bob@{DOMAIN}"
GARBAGE = [b"\r\n\r\n\r\n", b"\0" * 1000, b"GET\r\n\r\n", b"GET /metrics\r\n\r\n", b"GET /metrics HTTP/9.9\r\n\r\n",
           b"GET  /metrics  HTTP/1.1\r\n\r\n", b"GET /metrics HTTP/1.1\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
           b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xff" * 500,
           b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
           b"POST /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
           b"GET /%2e%2e/%00%ff HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /metrics HTTP/1.1\r\nHost: \xff\xfe\r\n : \r\n\r\n",
           b"EHLO client.example.net\r\nQUIT\r\n", os.urandom(3000)]


class UnixHTTP(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=PATIENCE)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(self.path)


def ask(address, method="GET", path="/metrics", body=None):
    """(status, header, body)"""
    if isinstance(address, str):
        connection = UnixHTTP(address)
    else:
        connection = http.client.HTTPConnection(*address, timeout=PATIENCE)
    connection.request(method, path, body)
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response.status, response.headers, text


def figures(address):
    """Every sample, by its name with labels."""
    status, _, text = ask(address)
    assert status == 200, f"status {status}"
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def counted(address, name):
    return figures(address)[f"postern_{name}"]


def address_in(event):
    if event["address"].startswith("unix:"):
        return event["address"].removeprefix("unix:")
    host, _, port = event["address"].rpartition(":")
    return host, int(port)


class Metrics(Case):
    def watched(self, address="127.0.0.1:0", **options):
        server = self.postern(sections={"metrics": {"address": address}}, mailboxes=("alice", "bob"), **options)
        (event,) = server.wait_log("metrics")
        self.address = address_in(event)
        return server

    def process(self, server, other_than=0):
        def there():
            found = [pid for pid in server.children() if proc_name(pid) == "postern-metrics" and pid != other_than]
            return found[0] if found else None
        return wait_until(there, "the process that tells figures runs")

    def deliver(self, server, *recipients):
        with server.connect() as wire:
            wire.hello()
            wire.deliver(simple_message(), *(recipients or (ALICE,)))
            wire.command("QUIT", 221)

    def assert_grown(self, before, after):
        for name, value in before.items():
            if name.endswith(("_total", "_sum", "_count", "_longest_seconds")) or "_bucket" in name:
                self.assertGreaterEqual(after[name], value, name)


class WhatIsCounted(Metrics):
    def test_connections_messages_and_recipients(self):
        server = self.watched(workers=2)
        self.assertEqual({name: value for name, value in figures(self.address).items() if "loop" not in name and value}, {})
        with server.connect() as wire:
            wire.hello()
            self.assertEqual(counted(self.address, "connections"), 1)
            wire.deliver(simple_message(), ALICE, BOB)
            self.assertEqual(counted(self.address, "messages_accepted_total"), 1)
            wire.deliver(simple_message(), ALICE)
        wait_until(lambda: counted(self.address, "connections") == 0, "the connection is gone")
        now = figures(self.address)
        self.assertEqual(now["postern_connections_accepted_total"], 1)
        self.assertEqual(now["postern_messages_accepted_total"], 2)
        self.assertEqual(now["postern_recipients_accepted_total"], 3)

    def test_recipients_over_lmtp_of_whom_one_gets_nothing(self):
        server = self.watched()
        with server.connect_lmtp() as wire:
            wire.hello(lmtp=True)
            wire.envelope(ALICE, BOB)
            (server.maildirs / "bob" / "tmp").rmdir()
            (server.maildirs / "bob" / "new").rmdir()
            wire.data(simple_message())
            wire.expect(250)
            self.assertGreaterEqual(wire.reply()[0], 400)
        now = figures(self.address)
        self.assertEqual(now["postern_messages_accepted_total"], 1)
        self.assertEqual(now["postern_recipients_accepted_total"], 1)

    def test_what_is_refused_is_not_counted(self):
        server = self.watched()
        with server.connect() as wire:
            wire.hello()
            wire.envelope(ALICE)
            wire.data(b"Subject: no\r\n\r\nbare\nLF\r\n")
            wire.expect(550)
        now = figures(self.address)
        self.assertEqual(now["postern_connections_accepted_total"], 1)
        self.assertEqual(now["postern_messages_accepted_total"], 0)
        self.assertEqual(now["postern_recipients_accepted_total"], 0)

    def test_how_long_loops_are_held_up(self):
        server = self.watched()
        self.deliver(server)
        now = figures(self.address)
        bounds = [float(bound) for bound in re.findall(r'bucket{le="([^"]+)"}', ask(self.address)[2])]
        counts = [value for name, value in now.items() if "_bucket" in name]
        self.assertEqual(bounds, sorted(bounds))
        self.assertEqual(bounds[-1], float("inf"))
        self.assertEqual(counts, sorted(counts))
        self.assertEqual(counts[-1], now["postern_loop_stall_seconds_count"])
        self.assertGreater(counts[-1], 0)
        self.assertGreater(now["postern_loop_stall_seconds_sum"], 0)
        self.assertGreater(now["postern_loop_stall_longest_seconds"], 0)

    def test_a_daemon_that_nobody_talks_to_does_not_wake(self):
        server = self.watched()
        self.deliver(server)
        wait_until(lambda: counted(self.address, "connections") == 0, "the connection is gone")
        before = counted(self.address, "loop_stall_seconds_count")
        for _ in range(20):  # asking is not talking to it
            after = counted(self.address, "loop_stall_seconds_count")
        self.assertLessEqual(after - before, 3)  # what was still under way


class NeverBackwards(Metrics):
    def test_a_worker_that_is_killed(self):
        server = self.watched()
        server.may_lose_workers = True
        for number in range(1, 4):
            before = figures(self.address)
            self.deliver(server)
            (worker,) = server.workers()
            with server.connect():
                wait_until(lambda: counted(self.address, "connections") == 1, "the one before is gone")
                os.kill(worker, signal.SIGKILL)
                server.workers(other_than=[worker])
                self.assertEqual(counted(self.address, "connections"), 0)
            after = figures(self.address)
            self.assert_grown(before, after)
            self.assertEqual(after["postern_messages_accepted_total"], number)
            self.assertEqual(after["postern_connections_accepted_total"], 2 * number)

    def test_a_reload(self):
        server = self.watched(workers=2)
        process = self.process(server)
        for number in range(1, 4):
            before = figures(self.address)
            self.deliver(server, ALICE, BOB)
            former = server.workers()
            reload(server, count=number)
            self.assert_grown(before, figures(self.address))
            wait_until(lambda: all(is_gone(pid) for pid in former), "the former workers end")
            after = figures(self.address)
            self.assert_grown(before, after)
            self.assertEqual(after["postern_recipients_accepted_total"], 2 * number)
        self.assertEqual(self.process(server), process)
        self.assertEqual(len(server.events("metrics-died")), 0)

    def test_a_reload_with_another_address_and_with_none(self):
        server = self.watched()
        self.deliver(server)
        former, process = self.address, self.process(server)
        path = server.folder / "metrics.sock"
        server.sections["metrics"]["address"] = f"unix:{path}"
        reload(server)
        self.address = address_in(server.wait_log("metrics", 2)[1])
        self.assertEqual(counted(self.address, "messages_accepted_total"), 1)
        self.assertTrue(is_gone(process))
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(former, PATIENCE)
        process = self.process(server)
        del server.sections["metrics"]
        reload(server, count=2)
        self.assertTrue(is_gone(process))
        self.assertFalse(path.exists())
        server.sections["metrics"] = {"address": "127.0.0.1:0"}
        reload(server, count=3)
        self.address = address_in(server.wait_log("metrics", 3)[2])
        self.assertEqual(counted(self.address, "messages_accepted_total"), 1)

    def test_a_reload_with_an_address_that_cannot_be_had(self):
        server = self.watched()
        with socket.create_server(("127.0.0.1", 0)) as other:
            server.sections["metrics"]["address"] = f"127.0.0.1:{other.getsockname()[1]}"
            reload(server, "reload-failed")
        self.assertEqual(counted(self.address, "connections"), 0)


class TheProcess(Metrics):
    def test_it_has_no_privileges_and_no_sockets_of_others(self):
        server = self.watched(workers=2)
        figures(self.address)
        pid = self.process(server)
        self.assertEqual([proc_status(pid, cap) for cap in ("CapEff", "CapPrm", "CapInh")], [["0" * 16]] * 3)
        self.assertEqual(proc_status(pid, "NoNewPrivs"), ["1"])
        if ROOT:
            self.assertNotIn("0", proc_status(pid, "Uid") + proc_status(pid, "Gid"))

        def sockets():
            return [fd for fd in Path(f"/proc/{pid}/fd").iterdir() if fd.is_socket()]

        wait_until(lambda: len(sockets()) == 1, "the one that asked is gone, and nobody else is there")

    def test_the_rows_can_only_be_read(self):
        server = self.watched()
        figures(self.address)
        maps = Path(f"/proc/{self.process(server)}/maps").read_text().splitlines()
        shared = [line.split()[1] for line in maps if "/dev/zero" in line]
        self.assertEqual(shared, ["r--s"])

    def test_it_is_replaced_when_it_dies(self):
        server = self.watched()
        self.deliver(server)
        process = self.process(server)
        os.kill(process, signal.SIGKILL)
        server.wait_log("metrics-died")
        self.process(server, other_than=process)
        self.assertEqual(counted(self.address, "messages_accepted_total"), 1)

    def test_it_ends_with_a_master_that_is_killed(self):
        server = self.watched()
        server.may_lose_workers = True
        figures(self.address)
        process = self.process(server)
        os.kill(server.process.pid, signal.SIGKILL)
        wait_until(lambda: is_gone(process) or proc_stat(process)[0] == "Z", "it ends")
        server.wait()

    def test_a_unix_socket(self):
        server = self.postern(start=False)
        path = server.folder / "metrics.sock"
        server.sections["metrics"] = {"address": f"unix:{path}"}
        server.start()
        self.assertEqual(counted(str(path), "connections"), 0)
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o660)
        server.stop()
        self.assertFalse(path.exists())

    def test_an_address_that_somebody_has(self):
        with socket.create_server(("127.0.0.1", 0)) as other:
            server = self.postern(start=False)
            server.sections["metrics"] = {"address": f"127.0.0.1:{other.getsockname()[1]}"}
            server.spawn()
            self.assertEqual(server.wait(), 1)
            self.assertEqual(server.events("cannot-listen")[0]["listener"], "metrics")


class WhoAsks(Metrics):
    def test_other_paths_and_methods(self):
        self.watched()
        for path in ("/", "/metrics/", "/metricsx", "/favicon.ico", "/../metrics"):
            self.assertEqual(ask(self.address, path=path)[0], 404, path)
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "BREW"):
            status, header, _ = ask(self.address, method, body="x" * 1000 if method == "POST" else None)
            self.assertEqual(status, 405, method)
            self.assertEqual(header["Allow"], "GET, HEAD")
        status, header, text = ask(self.address, "HEAD")
        self.assertEqual((status, text), (200, ""))
        self.assertEqual(header["Content-Type"], "text/plain; version=0.0.4; charset=utf-8")
        self.assertEqual(ask(self.address, path="/metrics?x=y")[0], 200)

    def test_garbage(self):
        server = self.watched()
        process = self.process(server)
        for octets in GARBAGE:
            with self.subTest(octets[:30]), socket.create_connection(self.address, PATIENCE) as client:
                try:
                    client.sendall(octets)
                    client.shutdown(socket.SHUT_WR)
                    while client.recv(65536):
                        pass
                except OSError:
                    pass  # it need not read all of it
                self.assertEqual(counted(self.address, "connections"), 0)
        self.assertEqual(self.process(server), process)

    def test_a_hundred_who_are_slow(self):
        server = self.watched()
        process = self.process(server)
        clients = []
        for number in range(100):
            clients.append(socket.create_connection(self.address, PATIENCE))
            clients[-1].sendall([b"", b"G", b"GET /metrics HTTP/1.1\r\nX: "][number % 3])
        self.assertEqual(counted(self.address, "connections"), 0)
        self.deliver(server)
        self.assertEqual(counted(self.address, "messages_accepted_total"), 1)
        wait_until(lambda: len(os.listdir(f"/proc/{process}/fd")) < 50, "the oldest have given way")
        self.assertEqual(self.process(server), process)
        for client in clients:
            client.close()

    def test_one_who_never_reads(self):
        server = self.watched()
        clients = [socket.create_connection(self.address, PATIENCE) for _ in range(10)]
        for client in clients:
            try:
                for _ in range(200):
                    client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
            except (ConnectionResetError, BrokenPipeError):
                pass  # only one request is answered
        self.assertEqual(counted(self.address, "connections"), 0)
        self.deliver(server)
        for client in clients:
            client.close()


if __name__ == "__main__":
    main()
