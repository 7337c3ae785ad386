"""Other receivers of mail, run beside the daemon under the same load, each from its package, with its mail in the folder that is given.

One that cannot run here raises LookupError, which says what is missing. A peer has `smtp` (host, port), `is_lmtp`, `processes()` for those who measure it, and `files()`, the messages that lie in its mailboxes. All it
left is gone with `stop()`, but for its mail.
"""
import contextlib
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import harness
import postfix
from harness import DOMAIN, PACKAGES, PATIENCE, ROOT, WORKER_USER, Wire, processes_of_session, wait_until
from postfix import NOBODY, free_port


def package_command(package, program):
    """The words of a command that runs a program of an unpacked package."""
    wrapper = PACKAGES / package / "env"
    if not (wrapper.exists() and (PACKAGES / package / program).exists()):
        raise LookupError(f"{program}: the package {package} is not unpacked in {PACKAGES}; run: "
                          f"tests/integration/packages {PACKAGES} {package}")
    return [str(wrapper), program]


class Peer:
    is_lmtp = False

    def __init__(self, folder, mailboxes=("alice",)):
        self.folder = Path(folder)
        self.folder.mkdir()
        self.mail = self.folder / "mail"
        self.mailboxes = mailboxes
        for path in (self.mail, *(self.mail / name / part for name in mailboxes for part in ("", "tmp", "new", "cur"))):
            path.mkdir()
            self.give(path)
        self.smtp = "127.0.0.1", free_port()
        self.process = None

    def give(self, path):
        if ROOT:
            shutil.chown(path, NOBODY, NOBODY)

    def spawn(self, command, stdin=subprocess.DEVNULL, **options):
        with open(self.folder / "output", "wb") as output:
            self.process = subprocess.Popen([str(word) for word in command], stdin=stdin, stdout=output,
                                            stderr=subprocess.STDOUT, start_new_session=True, **options)
        wait_until(self.answers, f"{self.name} listens")
        return self

    def answers(self):
        if self.process.poll() is not None:
            raise LookupError(f"{self.name} ended: {(self.folder / 'output').read_text(errors='replace')[-1000:]}")
        with contextlib.suppress(ConnectionError, EOFError):
            self.greets()
            return True

    def greets(self):
        Wire(self.smtp).close()

    def files(self):
        return sum(len(os.listdir(self.mail / name / "new")) for name in self.mailboxes)

    def processes(self):
        return processes_of_session(self.process.pid)

    def stop(self):
        if self.process is None:
            return  # it could not be started
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(PATIENCE)
        wait_until(lambda: not self.processes(), f"{self.name} is gone")


class Sink(Peer):
    """Postfix's smtp-sink, which speaks SMTP and throws messages away: the floor of what the protocol costs, and no rival."""
    name = "smtp-sink"

    def start(self):
        user = ["-u", WORKER_USER] if ROOT else []
        return self.spawn([*package_command("postfix", "usr/sbin/smtp-sink"), *user, f"127.0.0.1:{self.smtp[1]}", "1000"])

    def files(self):
        return None


class OpensslServer(Peer):
    """openssl s_server, which reads what comes in TLS and throws it away: no SMTP, nothing stored."""
    name = "openssl s_server"

    def __init__(self, folder, certificate):
        super().__init__(folder)
        self.certificate = certificate

    def start(self):
        path, key = self.certificate
        # It asks its standard input in turn with the client, all the time if that has ended.
        return self.spawn(["sh", "-c", 'exec "$@" >/dev/null', "sh", "openssl", "s_server", "-quiet", "-cert", path, "-key", key,
                           "-accept", f"127.0.0.1:{self.smtp[1]}"], stdin=subprocess.PIPE)

    def greets(self):
        socket.create_connection(self.smtp).close()


class NodeServer(Peer):
    """npm's smtp-server with a handler that stores each message as durably as we do (smtp-server.js)."""
    name = "smtp-server"

    def start(self):
        modules = os.environ.get("POSTERN_NODE_MODULES", "")
        if not (Path(modules) / "smtp-server").is_dir() or not shutil.which("node"):
            raise LookupError("smtp-server: $POSTERN_NODE_MODULES must name a folder that has it; make one with: "
                              "npm install --prefix FOLDER smtp-server, and name FOLDER/node_modules")
        script = Path(__file__).resolve().with_name("smtp-server.js")
        identity = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if ROOT else {}
        return self.spawn(["node", script, modules, self.mail / self.mailboxes[0], self.smtp[1]], **identity)


class ServerWithUsers(Peer):
    """One that wants users to exist: nss_wrapper tells it that they do."""

    def environment(self, **ids):
        if not ROOT:
            raise LookupError(f"{self.name} runs for root only")
        libraries = list((PACKAGES / "libnss-wrapper").glob("usr/lib/*/libnss_wrapper.so"))
        if not libraries:
            raise LookupError(f"nss_wrapper: tests/integration/packages {PACKAGES} libnss-wrapper unpacks it")
        passwd, group = self.folder / "passwd", self.folder / "group"
        passwd.write_text("".join(f"{name}:x:{number}:{number}::/:/bin/false\n" for name, number in ids.items()))
        group.write_text("".join(f"{name}:x:{number}:\n" for name, number in ids.items()))
        return {**os.environ, "LD_PRELOAD": str(libraries[0]), "NSS_WRAPPER_PASSWD": str(passwd),
                "NSS_WRAPPER_GROUP": str(group)}


POSTFIX = """
myhostname = mx.example.org
virtual_mailbox_domains = {domain}
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = texthash:{folder}/conf/mailboxes
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_transport = virtual
in_flow_delay = 0
smtpd_peername_lookup = no
"""
POSTFIX_TLS = """
smtpd_tls_security_level = may
smtpd_tls_chain_files = {key} {certificate}
"""


class Postfix(ServerWithUsers):
    """Which says 250 when the message is durable in its queue, and delivers it afterwards; it offers STARTTLS with a certificate."""
    name = "Postfix"

    def __init__(self, folder, mailboxes=("alice",), certificate=None):
        super().__init__(folder, mailboxes)
        self.certificate = certificate

    def start(self):
        command = package_command("postfix", postfix.PROGRAM)
        environment = self.environment(root=0, **postfix.USERS)
        main, services = POSTFIX.format(folder=self.folder, domain=DOMAIN), "virtual unix - n n - - virtual\n"
        if self.certificate:
            path, key = self.certificate
            main += POSTFIX_TLS.format(certificate=path, key=key)
            services += "tlsmgr unix - - n 1000? 1 tlsmgr\n"
        arguments = postfix.lay_out(self.folder, self.smtp[1], self.give, main, services)
        (self.folder / "conf/mailboxes").write_text("".join(f"{name}@{DOMAIN} {name}/\n" for name in self.mailboxes))
        return self.spawn([*command, *arguments], env=environment)


DOVECOT = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
ssl = no
protocols = lmtp
default_internal_user = daemon
default_internal_group = daemon
default_login_user = nobody
first_valid_uid = 1
mail_location = maildir:{folder}/mail/%n
passdb {{
  driver = static
}}
userdb {{
  driver = static
  args = uid=65534 gid=65534 home={folder}/mail/%n allow_all_users=yes
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {port}
  }}
  unix_listener lmtp {{
    mode = 0
  }}
  client_limit = 1
  process_limit = 200
}}
"""


class DovecotLmtp(Peer):
    name = "Dovecot LMTP"
    is_lmtp = True

    def start(self):
        package_command("dovecot-lmtpd", "usr/sbin/dovecot")
        if not ROOT:
            raise LookupError(f"{self.name} runs for root only")
        config = self.folder / "dovecot.conf"
        config.write_text(DOVECOT.format(folder=self.folder, port=self.smtp[1]))
        # It looks for its parts where they were to be installed; in a name space of its own, they are there.
        install = 'mount -t overlay overlay -o "lowerdir=$0/usr:/usr" /usr && exec dovecot -F -c "$1"'
        return self.spawn(["unshare", "-m", "sh", "-c", install, PACKAGES / "dovecot-lmtpd", config])
