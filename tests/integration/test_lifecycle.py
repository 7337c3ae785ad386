"""Start, stop, and what happens when processes die in between."""
import os
import pwd
import random
import re
import signal
import socket
import subprocess

from harness import (Case, DOMAIN, PATIENCE, ROOT, WORKER_USER, Wire, lf, main, proc_stat, proc_status, processes_of_session,
                     simple_message, split_trace, wait_until)
from load import Load

ALICE = f"alice@{DOMAIN}"


def is_gone(pid):
    fields = proc_stat(pid)
    return fields is None or fields[0] in "ZX"


class Start(Case):
    def arguments(self, server, url):
        user = ["--user", WORKER_USER] if ROOT else []
        return ["serve", "--listen", url, "--domain", f"{DOMAIN}={server.maildirs}", *user]

    def test_the_command_line_alone_is_enough(self):
        server = self.postern(start=False)
        server.arguments = self.arguments(server, "smtp://127.0.0.1:0")
        server.start()
        with server.connect() as wire:
            wire.hello()
            wire.deliver(simple_message(), ALICE)
        self.assertEqual(split_trace(server.maildir().only())[1], lf(simple_message()))

    def test_the_command_line_knows_lmtp_on_a_unix_socket(self):
        server = self.postern(start=False)
        server.arguments = self.arguments(server, f"lmtp://unix:{server.lmtp}")
        server.start()
        with server.connect_lmtp() as wire:
            wire.hello(lmtp=True)
            wire.deliver(simple_message(), ALICE)
        self.assertEqual(split_trace(server.maildir().only())[1], lf(simple_message()))

    def test_port_0_is_told_as_the_port_that_was_picked(self):
        server = self.postern(sections={"listen other": {"address": "127.0.0.1:0", "protocol": "lmtp"}})
        ports = set()
        for event in server.events("listening"):
            match = re.search(r"127\.0\.0\.1:(\d+)$", event["address"])
            if match:
                ports.add(int(match[1]))
        self.assertEqual(len(ports), 2)
        for port in ports:
            self.assertGreater(port, 0)
            socket.create_connection(("127.0.0.1", port), PATIENCE).close()

    def test_two_addresses_in_one_section(self):
        server = self.postern(start=False)
        server.sections["listen smtp"]["address"] = "127.0.0.1:0, 127.0.0.2:0"
        server.spawn()
        for event in server.wait_log("listening", 3):
            match = re.search(r"(127\.0\.0\.[12]):(\d+)$", event["address"])
            if match:
                socket.create_connection((match[1], int(match[2])), PATIENCE).close()

    def test_ipv6_is_listened_on_where_there_is_any(self):
        server = self.postern(start=False, sections={"listen smtp": {"address": "[::1]:0"}})
        try:
            with socket.socket(socket.AF_INET6) as probe:
                probe.bind(("::1", 0))
        except OSError:
            server.spawn()
            self.assertEqual(server.wait(), 1)
            self.assertIn("[::1]:0", server.log_text())
            return
        server.start()
        (event,) = server.wait_log("listening", protocol="smtp")
        port = int(re.fullmatch(r"\[::1\]:(\d+)", event["address"])[1])
        with Wire(("::1", port)) as wire:
            wire.hello()
            wire.deliver(simple_message(), ALICE)
        self.assertIn(b"from client.example.net ([IPv6:::1])", server.maildir().only())

    def test_a_daemon_is_there_when_its_command_returns_and_its_pid_file_says_which(self):
        server = self.postern(start=False)
        server.sections["log"]["target"] = f"file:{server.folder}/postern.log"
        command = [*server.command_line(), "--daemon", "--pid-file", str(server.folder / "postern.pid")]
        self.assertEqual(subprocess.run(command, timeout=PATIENCE).returncode, 0)
        pid = int((server.folder / "postern.pid").read_text())
        try:
            with server.connect_lmtp() as wire:
                wire.hello(lmtp=True)
                wire.deliver(simple_message(), ALICE)
            again = subprocess.run(command, timeout=PATIENCE, capture_output=True)
            self.assertEqual(again.returncode, 1)
        finally:
            os.kill(pid, signal.SIGTERM)
        wait_until(lambda: is_gone(pid), "the daemon ends")
        self.assertFalse(server.lmtp.exists())
        self.assertFalse((server.folder / "postern.pid").exists())

    def test_all_workers_serve_one_port(self):
        server = self.postern(workers=3)
        self.assertEqual(len(server.workers()), 3)
        for _ in range(30):
            with server.connect() as wire:
                wire.hello()
                wire.deliver(simple_message(), ALICE)
        self.assertEqual(len(server.maildir().names()), 30)

    def test_a_second_server_on_the_same_port_is_refused(self):
        first = self.postern()
        host, port = first.smtp
        second = self.postern(start=False, sections={"listen smtp": {"address": f"{host}:{port}"}})
        second.spawn()
        self.assertEqual(second.wait(), 1)
        self.assertIn(f"{host}:{port}", second.log_text())
        with first.connect() as wire:
            wire.hello()
            wire.deliver(simple_message(), ALICE)

    def test_a_second_server_on_the_same_unix_socket_is_refused(self):
        first = self.postern()
        second = self.postern(start=False, sections={"listen lmtp": {"address": f"unix:{first.lmtp}"}})
        second.spawn()
        self.assertEqual(second.wait(), 1)
        self.assertIn(str(first.lmtp), second.log_text())
        with first.connect_lmtp() as wire:
            wire.command("NOOP", 250)

    def test_a_unix_socket_that_a_killed_server_left_is_taken_over(self):
        server = self.postern(start=False)
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(server.lmtp))
        server.start()
        with server.connect_lmtp() as wire:
            wire.command("NOOP", 250)

    def test_workers_run_as_the_configured_user_or_as_who_started_them(self):
        if ROOT:  # who has further groups, too, on most systems
            self.addCleanup(os.setgroups, os.getgroups())
            os.setgroups([0, 1])
        server = self.postern(workers=2)
        user = pwd.getpwnam(WORKER_USER) if ROOT else pwd.getpwuid(os.getuid())
        for pid in server.workers():
            wait_until(lambda pid=pid: proc_status(pid, "Uid") == [str(user.pw_uid)] * 4, "the worker is its user")
            if ROOT:
                self.assertEqual(proc_status(pid, "Gid"), [str(user.pw_gid)] * 4)
                self.assertIn(proc_status(pid, "Groups"), ([], [str(user.pw_gid)]))
                self.assertEqual([proc_status(pid, cap) for cap in ("CapEff", "CapPrm")], [["0" * 16]] * 2)
        with server.connect() as wire:
            wire.hello()
            wire.deliver(simple_message(), ALICE)
        (path,) = (server.maildir().path / "new").iterdir()
        self.assertEqual(path.stat().st_uid, user.pw_uid)


class Stop(Case):
    def test_an_idle_session_gets_421_and_the_server_ends(self):
        server = self.postern(workers=2)
        wires = [server.connect() for _ in range(10)] + [server.connect_lmtp()]
        for wire in wires[:5]:
            wire.hello()
        server.signal(signal.SIGTERM)
        for wire in wires:
            wire.expect(421, "4.3.2")
            self.assertTrue(wire.at_end())
            wire.close()
        server.stop()
        self.assertFalse(server.lmtp.exists())
        closed = [event["phase"] for event in server.events("session-closed") if event["reason"] == "shutting-down"]
        self.assertEqual(sorted(closed), ["ready"] * 5 + ["start"] * 6)

    def test_sigint_stops_it_as_well(self):
        server = self.postern()
        server.signal(signal.SIGINT)
        self.assertEqual(server.wait(), 0)

    def test_a_transaction_in_flight_finishes(self):
        server = self.postern(workers=2, mailboxes=("alice", "carol"))
        with server.connect() as wire, server.connect() as other, server.connect() as idle:
            wire.hello()
            wire.envelope(ALICE)
            wire.command("DATA", 354)
            wire.send(b"Subject: one\r\n")
            other.hello()
            other.command("MAIL FROM:<bob@example.net>", 250)
            other.command(f"RCPT TO:<carol@{DOMAIN}>", 250)
            server.signal(signal.SIGTERM)
            idle.expect(421, "4.3.2")
            wire.send(b"\r\nhello\r\n.\r\n")
            wire.expect(250, "2.0.0")
            wire.expect(421, "4.3.2")
            self.assertTrue(wire.at_end())
            other.data(simple_message())
            other.expect(250, "2.0.0")
            other.expect(421, "4.3.2")
            self.assertEqual(server.wait(), 0)
        self.assertEqual(split_trace(server.maildir().only())[1], b"Subject: one\n\nhello\n")
        self.assertEqual(split_trace(server.maildir("carol").only())[1], lf(simple_message()))

    def test_nobody_is_let_in_while_it_drains(self):
        server = self.postern()
        with server.connect() as wire:
            wire.hello()
            wire.envelope(ALICE)
            server.signal(signal.SIGTERM)

            def is_refused():
                try:
                    with server.connect(greet=False) as other:
                        other.socket.settimeout(1)
                        return other.reply()[0] == 421
                except TimeoutError:  # whoever comes in the very moment of the closing may be told nothing
                    return False
                except (ConnectionError, EOFError):
                    return True
            wait_until(is_refused, "new connections are refused")
            wire.data(simple_message())
            wire.expect(250)

    def test_it_stops_under_load_and_nothing_acknowledged_is_lost(self):
        server = self.postern(workers=2)
        load = Load(server, clients=10)
        load.wait_for(200)
        server.signal(signal.SIGTERM)
        self.assertEqual(server.wait(), 0)
        load.stop()
        load.check(self)

    def test_a_log_that_nobody_reads_keeps_it_neither_from_serving_nor_from_stopping(self):
        server = self.postern(start=False)
        user = ["--user", WORKER_USER] if ROOT else []
        server.arguments = ["serve", "--workers", "1", "--listen", f"lmtp://unix:{server.lmtp}", "--domain",
                            f"{DOMAIN}={server.maildirs}", *user]
        reading, writing = os.pipe()
        filler = os.open(f"/proc/self/fd/{writing}", os.O_WRONLY | os.O_NONBLOCK)
        try:
            while True:
                os.write(filler, b"x")
        except BlockingIOError:
            pass
        process = subprocess.Popen(server.command_line(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=writing, start_new_session=True, cwd=server.folder)

        def is_served():
            try:
                with server.connect_lmtp() as wire:
                    wire.hello(lmtp=True)
                    wire.deliver(simple_message(), ALICE)
                return True
            except (OSError, EOFError):
                return False

        def children():
            return [pid for pid in processes_of_session(process.pid) if pid != process.pid]

        try:
            wait_until(is_served, "the first message")
            for pid in children():
                os.kill(pid, signal.SIGKILL)
            wait_until(is_served, "a message to the next worker")
            process.terminate()
            self.assertEqual(process.wait(PATIENCE), 0)
        finally:
            process.kill()
            process.wait()
            for fd in (reading, writing, filler):
                os.close(fd)


class Deaths(Case):
    def test_a_worker_that_dies_is_replaced(self):
        server = self.postern(workers=2)
        server.may_lose_workers = True
        before = server.workers()
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        after = server.workers(other_than=before)
        self.assertEqual(len(after), 2)
        with server.connect() as wire:
            wire.hello()
            wire.deliver(simple_message(), ALICE)

    def test_a_worker_that_dies_takes_only_its_own_sessions_with_it(self):
        server = self.postern(workers=2)
        server.may_lose_workers = True
        wires = [server.connect() for _ in range(40)]
        victim = server.workers()[0]
        os.kill(victim, signal.SIGKILL)
        server.workers(other_than=[victim])
        alive = 0
        for wire in wires:
            try:
                wire.command("NOOP", 250)
                alive += 1
            except (ConnectionError, EOFError):
                pass
            wire.close()
        self.assertIn(alive, range(1, 40))

    def test_workers_do_not_outlive_the_master(self):
        server = self.postern(workers=2)
        workers = server.workers()
        server.signal(signal.SIGKILL)
        server.process.wait(PATIENCE)
        wait_until(lambda: all(is_gone(pid) for pid in workers), "the workers end")

    def test_killed_workers_lose_and_double_nothing_that_was_acknowledged(self):
        server = self.postern(workers=2)
        server.may_lose_workers = True
        load = Load(server, clients=12)
        for round_number in range(1, 11):
            load.wait_for_more(random.randrange(5, 100))
            victims = wait_until(server.children, "a worker runs")
            for pid in victims if round_number % 4 == 0 else [random.choice(victims)]:
                os.kill(pid, signal.SIGKILL)
        load.wait_for_more(50)
        load.stop()
        self.assertGreater(load.broken, 0)
        load.check(self)


if __name__ == "__main__":
    main()
