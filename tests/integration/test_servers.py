"""Other servers in front of it: HAProxy passes connections on, Exim sends chunks, Postfix relays and tells whom it has mail from.

Each runs from its unpacked package, with its configuration, its users (nss_wrapper tells it that they exist) and its spool in
the test's folder.
"""
import contextlib
import os
import shutil
import signal
import smtplib
import socket
import subprocess
from pathlib import Path

import postfix
from harness import (Case, DOMAIN, PACKAGES, PATIENCE, ROOT, Wire, lf, main, odd_message, processes_of_session, simple_message,
                     split_trace, wait_until)
from postfix import NOBODY, free_port

ALICE = f"alice@{DOMAIN}"
SENDER = "bob@example.net"


class ServerCase(Case):
    @contextlib.contextmanager
    def running(self, command, **options):
        """A server in a session of its own, all of which is gone at the end."""
        with open(self.folder / "server.out", "wb") as out:
            process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=out,
                                       stderr=subprocess.STDOUT, start_new_session=True, **options)
        try:
            yield process
        except BaseException:
            for path in (self.folder / "server.out", self.folder / "maillog"):
                if path.exists():
                    self.addCleanup(print, "# " + path.read_text(errors="replace")[-3000:].replace("\n", "\n# "))
            raise
        finally:
            for pid in processes_of_session(process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
            process.wait(PATIENCE)
            wait_until(lambda: not processes_of_session(process.pid), "the server is gone")

    def with_users(self, **ids):
        """An environment in which these users and groups exist, besides root."""
        libraries = list((PACKAGES / "libnss-wrapper").glob("usr/lib/*/libnss_wrapper.so"))
        if not libraries:
            self.skipTest(f"nss_wrapper: tests/integration/packages {PACKAGES} libnss-wrapper unpacks it")
        ids = {"root": 0, **ids}
        passwd, group = self.folder / "passwd", self.folder / "group"
        passwd.write_text("".join(f"{name}:x:{number}:{number}::/:/bin/false\n" for name, number in ids.items()))
        group.write_text("".join(f"{name}:x:{number}:\n" for name, number in ids.items()))
        return {**os.environ, "LD_PRELOAD": str(libraries[0]), "NSS_WRAPPER_PASSWD": str(passwd),
                "NSS_WRAPPER_GROUP": str(group)}


class HaProxy(ServerCase):
    def check_passes_clients_on(self, send_proxy):
        command = self.need_package("haproxy", "usr/sbin/haproxy")
        server = self.postern(sections={"listen smtp": {"proxy": "127.0.0.1"}})
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            config = self.folder / "haproxy.cfg"
            config.write_text(f"defaults\n mode tcp\n timeout connect 60s\n timeout client 60s\n timeout server 60s\n"
                              f"frontend mail\n bind fd@{listener.fileno()}\n default_backend postern\n"
                              f"backend postern\n server postern 127.0.0.1:{server.smtp[1]} {send_proxy}\n")
            with self.running([*command, "-db", "-f", config], pass_fds=[listener.fileno()]):
                with Wire(listener.getsockname(), source_address=("127.0.0.7", 0)) as wire:
                    wire.hello()
                    wire.deliver(odd_message(), ALICE)
        trace, rest = split_trace(server.maildir().only())
        self.assertEqual(rest, lf(odd_message()))
        self.assertIn(b"([127.0.0.7])", trace)
        self.assertEqual(server.wait_log("session-opened")[0]["client"], "127.0.0.7")
        self.assertEqual(server.wait_log("proxied")[0]["proxy"], "127.0.0.1")

    def test_haproxy_passes_clients_on_with_version_1(self):
        self.check_passes_clients_on("send-proxy")

    def test_haproxy_passes_clients_on_with_version_2(self):
        self.check_passes_clients_on("send-proxy-v2")

    def test_haproxy_passes_clients_on_with_tlvs(self):
        self.check_passes_clients_on("send-proxy-v2 proxy-v2-options unique-id,crc32c")


class Exim(ServerCase):
    def send(self, server, message, *recipients):
        """Hands the message to Exim, which delivers it while we wait; what its log says."""
        program = "usr/sbin/exim4"
        command = self.need_package("exim4-daemon-light", program)
        folder = self.folder / "exim"
        folder.mkdir()
        if ROOT:
            shutil.chown(folder, NOBODY, NOBODY)
        identity = NOBODY if ROOT else os.getuid()
        config = folder / "exim.conf"
        config.write_text(f"""
exim_path = {PACKAGES}/exim4-daemon-light/{program}
exim_user = {identity}
exim_group = {NOBODY if ROOT else os.getgid()}
spool_directory = {folder}/spool
log_file_path = {folder}/%slog
log_selector = +smtp_confirmation
primary_hostname = client.example.net
keep_environment = LD_PRELOAD : LD_LIBRARY_PATH : ^NSS_WRAPPER
add_environment =
deliver_drop_privilege
begin routers
all:
  driver = manualroute
  route_list = * 127.0.0.1
  self = send
  transport = postern
begin transports
postern:
  driver = smtp
  hosts_override
  port = {server.smtp[1]}
""")
        config.chmod(0o644)
        done = subprocess.run([*command, "-C", config, "-odf", "-oi", "-f", SENDER, *recipients], input=lf(message),
                              env=self.with_users(**{"Debian-exim": identity, "nobody": NOBODY}), capture_output=True, timeout=PATIENCE)
        log = folder / "mainlog"
        said = done.stdout.decode() + done.stderr.decode() + (log.read_text() if log.exists() else "")
        self.assertEqual(done.returncode, 0, said)
        return said

    def check_chunks(self, message):
        server = self.postern(mailboxes=("alice", "carol"))
        said = self.send(server, message, ALICE, f"carol@{DOMAIN}")
        ids = {event["id"] for event in server.wait_log("delivered", 2)}
        self.assertIn(" K ", said)  # Exim's word for: CHUNKING was used
        for name in ("alice", "carol"):
            _, rest = split_trace(server.maildir(name).only())
            self.assertTrue(rest.startswith(b"Received: from "), rest[:200])  # Exim's own, and other fields of its
            self.assertTrue(rest.endswith(b"\n\n" + lf(message).partition(b"\n\n")[2]))
        self.assertEqual(len(ids), 1)

    def test_exim_sends_a_message_as_a_chunk(self):
        self.check_chunks(odd_message())

    def test_exim_sends_a_large_message_in_many_chunks(self):
        self.check_chunks(odd_message() + (b"x" * 70 + b"\r\n") * 30_000)


POSTFIX = """
myhostname = relay.example.net
default_transport = {transport}
lmtp_send_xforward_command = yes
smtp_send_xforward_command = yes
"""
POSTFIX_SERVICES = """
smtp unix - - n - - smtp
lmtp unix - - n - - lmtp
"""


class Postfix(ServerCase):
    @contextlib.contextmanager
    def postfix(self, transport):
        """A relay to postern; where it listens."""
        command = self.need_package("postfix", postfix.PROGRAM)
        if not ROOT:
            self.skipTest("Postfix starts as root only")
        environment = self.with_users(**postfix.USERS)
        folder = self.folder / "postfix"
        port = free_port()
        arguments = postfix.lay_out(folder, port, lambda path: shutil.chown(path, NOBODY, NOBODY),
                                    POSTFIX.format(transport=transport), POSTFIX_SERVICES)
        maillog = folder / "maillog"
        with self.running([*command, *arguments], env=environment):
            try:
                wait_until(lambda: maillog.exists() and "daemon started" in maillog.read_text(), "Postfix runs")
                yield "127.0.0.1", port
                wait_until(lambda: ": removed" in maillog.read_text(), "Postfix has delivered")
            except BaseException:
                self.addCleanup(print, "# " + (maillog.read_text() if maillog.exists() else "").replace("\n", "\n# "))
                raise

    def check_relay(self, server, transport, protocol):
        with self.postfix(transport) as address:
            with smtplib.SMTP(*address, local_hostname="[192.0.2.1]", timeout=PATIENCE) as client:
                client.sendmail(SENDER, [ALICE], odd_message(), mail_options=["BODY=8BITMIME", "ENVID=QQ+2B1", "RET=HDRS"],
                                rcpt_options=["NOTIFY=FAILURE,DELAY", "ORCPT=rfc822;Alice@old.example"])
        server.stop()
        trace, rest = split_trace(server.maildir().only())
        self.assertIn(b"\tby mx.example.org with " + protocol, trace)
        self.assertTrue(rest.startswith(b"Received: from [192.0.2.1] (localhost [127.0.0.1])"), rest[:200])
        self.assertTrue(rest.endswith(lf(odd_message()).partition(b"\n\n")[2]))
        told = {}
        for event in server.events("xforward"):
            told.update(event)
        self.assertEqual([told.get(key) for key in ("name", "client", "proto", "helo")],
                         ["localhost", "127.0.0.1", "ESMTP", "[192.0.2.1]"])
        self.assertIn(f"id {told['ident']}\n".encode(), rest)
        (delivered,) = server.events("delivered")
        self.assertEqual({key: delivered.get(key) for key in ("session", "envid", "ret", "orcpt", "notify")},
                         {"session": told["session"], "envid": "QQ+2B1", "ret": "hdrs", "orcpt": "rfc822;Alice@old.example",
                          "notify": "failure,delay"})
        self.assertEqual([event["reason"] for event in server.events("command-refused")], [])

    def test_postfix_relays_over_lmtp_and_tells_whose_mail_it_is(self):
        server = self.postern(sections={"listen lmtp": {"xforward": "unix"}})
        self.check_relay(server, f"lmtp:unix:{server.lmtp}", b"LMTP")

    def test_postfix_relays_over_smtp_and_tells_whose_mail_it_is(self):
        server = self.postern(sections={"listen smtp": {"xforward": "127.0.0.1"}})
        self.check_relay(server, f"smtp:[127.0.0.1]:{server.smtp[1]}", b"ESMTP")


if __name__ == "__main__":
    main()
