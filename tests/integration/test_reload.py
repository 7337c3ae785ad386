"""SIGHUP: a new configuration for new workers, while the former ones finish what is in flight."""
import os
import signal
import socket

from harness import Case, DOMAIN, PATIENCE, ROOT, Wire, lf, main, simple_message, split_trace, wait_until
from load import Load
from test_lifecycle import is_gone

ALICE = f"alice@{DOMAIN}"


def reload(server, wanted="reloaded", count=1):
    server.config.write_text(server.config_text())
    server.signal(signal.SIGHUP)
    return server.wait_log(wanted, count)


class Reload(Case):
    def test_what_the_new_file_says_holds(self):
        server = self.postern()
        with server.connect() as wire:
            wire.hello()
            wire.command("MAIL FROM:<>", 250)
            wire.command("RCPT TO:<alice@example.net>", 550)
        server.sections["domain example.net"] = {"maildirs": server.maildirs}
        former = server.workers()
        reload(server)
        wait_until(lambda: all(is_gone(pid) for pid in former), "the former workers end")
        with server.connect() as wire:
            wire.hello()
            wire.deliver(simple_message(), "alice@example.net")
        self.assertEqual(split_trace(server.maildir().only())[1], lf(simple_message()))

    def test_a_bad_file_changes_nothing_and_is_told_with_its_line(self):
        server = self.postern()
        workers = server.workers()
        server.sections["limits"] = {"message-size": "large"}
        (event,) = reload(server, "reload-failed")
        self.assertIn(f"{server.config}:", event["problem"])
        self.assertIn("message-size", event["problem"])
        self.assertEqual(server.workers(), workers)
        with server.connect() as wire:
            wire.hello()
            wire.deliver(simple_message(), ALICE)

    def test_what_needs_a_restart_is_told(self):
        server = self.postern()
        server.sections["server"]["workers"] = 2
        (event,) = reload(server, "reload-failed")
        self.assertIn("restart", event["problem"])
        server.sections["server"]["workers"] = 1
        reload(server)

    def test_what_the_user_of_the_workers_cannot_reach_is_told(self):
        if not ROOT:
            self.skipTest("only root has users to choose from")
        server = self.postern()
        closed = server.folder / "closed"
        closed.mkdir(mode=0o700)
        server.sections["domain example.net"] = {"maildirs": closed}
        (event,) = reload(server, "reload-failed")
        self.assertIn(str(closed), event["problem"])
        with server.connect() as wire:
            wire.hello()
            wire.deliver(simple_message(), ALICE)

    def test_a_message_in_flight_is_finished_by_the_former_worker(self):
        server = self.postern()
        (former,) = server.workers()
        with server.connect() as wire:
            wire.hello()
            wire.envelope(ALICE)
            wire.command("DATA", 354)
            reload(server)
            server.workers(other_than=(former,))
            self.assertFalse(is_gone(former))
            wire.send(simple_message() + b".\r\n")
            wire.expect(250)
            wire.expect(421)
        wait_until(lambda: is_gone(former), "the former worker ends")
        self.assertEqual(split_trace(server.maildir().only())[1], lf(simple_message()))

    def test_who_waits_at_an_address_that_stays_is_served(self):
        server = self.postern()
        worker, = server.workers()
        os.kill(worker, signal.SIGSTOP)
        waiting = socket.create_connection(server.smtp, PATIENCE)
        server.config.write_text(server.config_text())
        server.signal(signal.SIGHUP)
        server.wait_log("reloaded")
        os.kill(worker, signal.SIGCONT)
        waiting.settimeout(PATIENCE)
        self.assertIn(waiting.recv(3), (b"220", b"421"))
        waiting.close()

    def test_addresses_come_and_go(self):
        server = self.postern()
        server.sections["listen other"] = {"address": "127.0.0.2:0", "protocol": "lmtp"}
        reload(server)
        other = wait_until(lambda: [e for e in server.events("listening") if e["listener"] == "other"], "it listens")[0]
        port = int(other["address"].rpartition(":")[2])
        with Wire(("127.0.0.2", port)) as wire:
            wire.hello(lmtp=True)
        former = server.workers()
        del server.sections["listen other"]
        reload(server, count=2)
        wait_until(lambda: all(is_gone(pid) for pid in former), "the former workers end")
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", port), PATIENCE)
        with server.connect_lmtp() as wire:
            wire.hello(lmtp=True)
            wire.deliver(simple_message(), ALICE)

    def test_a_log_file_is_opened_anew(self):
        server = self.postern(start=False)
        log = server.folder / "postern.log"
        server.sections["log"]["target"] = f"file:{log}"
        server.spawn()
        wait_until(lambda: log.exists() and "listening" in log.read_text(), "it has started")
        log.rename(server.folder / "postern.log.1")
        server.signal(signal.SIGHUP)
        wait_until(lambda: log.exists() and "event=reloaded" in log.read_text(), "it logs into the new file")
        server.stop()
        self.assertIn("event=stopped", log.read_text())

    def test_reloads_under_load_lose_nothing_that_was_acknowledged(self):
        server = self.postern(workers=2)
        load = Load(server, clients=8)
        for number in range(1, 8):
            load.wait_for_more(30)
            former = server.workers()
            server.signal(signal.SIGHUP)
            server.wait_log("reloaded", number)
            wait_until(lambda: all(is_gone(pid) for pid in former), "the former workers end")
        load.stop()
        load.check(self)


if __name__ == "__main__":
    main()
