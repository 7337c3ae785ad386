"""Postfix from its unpacked package, with all that it needs in one folder: as a relay to the daemon, and as a peer of it."""
import socket

from harness import PACKAGES

NOBODY = 65534  # whom it runs as
USERS = {"postfix": NOBODY, "postdrop": NOBODY - 2, "nobody": NOBODY - 3}  # whom it wants to exist
PROGRAM = "usr/lib/postfix/sbin/master"

QUEUES = ("active", "bounce", "corrupt", "defer", "deferred", "hold", "incoming", "maildrop", "private", "public", "trace")
MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/data
daemon_directory = {package}/usr/lib/postfix/sbin
command_directory = {package}/usr/sbin
shlib_directory = {package}/usr/lib/postfix
meta_directory = {package}/etc/postfix
import_environment = MAIL_CONFIG LD_LIBRARY_PATH LD_PRELOAD NSS_WRAPPER_PASSWD NSS_WRAPPER_GROUP
export_environment = $import_environment
maillog_file = {folder}/maillog
maillog_file_prefixes = {folder}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
mydestination =
local_recipient_maps =
alias_maps =
alias_database =
"""
MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""


def free_port():
    """One that was free a moment ago, for a server that can neither take a socket nor tell which port it got."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def lay_out(folder, port, give, main, services):
    """Its folders, of which `give` gives it those that it writes to, and its configuration: what is `main`'s and which `services`
    there are besides the usual ones. What follows the program's name on its command line."""
    for name in ("conf", "data", *(f"spool/{queue}" for queue in QUEUES)):
        (folder / name).mkdir(parents=True)
        if name != "conf":
            give(folder / name)
    (folder / "spool/pid").mkdir()
    conf = folder / "conf"
    (conf / "main.cf").write_text(MAIN.format(folder=folder, package=PACKAGES / "postfix") + main)
    (conf / "master.cf").write_text(MASTER.format(port=port) + services)
    return ["-c", conf, "-d"]
