"""Plays the dialogue scripts against the running daemon, over TCP and over unix sockets, as TAP.

    POSTERN=src/postern TEST_TOOLS=tests daemon.py [--transport tcp|unix] [--cut whole|lines|bytes] [SCRIPT...]

Scripts that want the same limits share a daemon, which listens for SMTP and LMTP on both transports. Those that use TLS
are played with what is said inside it cut into records in three ways.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))
import harness  # noqa: E402

CUTS = ("whole", "lines", "bytes")
DIALOGUE = os.path.join(os.environ.get("TEST_TOOLS", HERE.parent), "dialogue", "dialogue")
SCRATCH_MARK = "dialogue-scratch"  # without it, the runner would not wipe the maildirs


class Tap:
    def __init__(self):
        self.count = 0
        self.failed = 0

    def case(self, passed, name):
        self.count += 1
        self.failed += not passed
        print(f"{'ok' if passed else 'not ok'} {self.count} - {name}", flush=True)

    def take(self, line):
        """A line of the runner's TAP, with the number that its case has here. Returns whether it passed; None: no case."""
        if match := re.match(r"(ok|not ok) \d+ - (.*)", line):
            self.case(match[1] == "ok", match[2])
            return match[1] == "ok"
        if not line.startswith("1.."):
            print(line, flush=True)
        return None


def limits_needed(paths):
    """{limits as told by --needs: [script, ...]} of the scripts that a daemon can play."""
    needs = subprocess.run([DIALOGUE, "--needs", *paths], stdout=subprocess.PIPE, text=True, check=True).stdout
    groups = {}
    for line in needs.splitlines():
        path, where, limits = line.split("\t")
        if where != "core":
            groups.setdefault(limits, []).append(path)
    return groups


def tls_section(folder):
    subprocess.run([DIALOGUE, "--certificate", str(folder)], check=True)
    return {"certificate": folder / "certificate.pem", "private-key": folder / "key.pem"}


def auth_section(folder):
    """Who is let in is alice, by PLAIN and LOGIN: without the keys of SCRAM, that is not offered."""
    line = subprocess.run([harness.POSTERN, "passwd", "--stdin", "alice"], input="secret\n", stdout=subprocess.PIPE,
                          text=True, check=True).stdout
    user, hashed, _ = line.split(":", 2)
    passwords = folder / "passwords"
    passwords.write_text(f"{user}:{hashed}\n")
    passwords.chmod(0o600)
    if harness.ROOT:
        shutil.chown(passwords, harness.WORKER_USER)
    return {"passwords": passwords, "failure-delay": "0s"}


def start_daemon(folder, needs):
    folder.chmod(0o755)  # workers may have another identity
    maildirs = folder / "maildirs"
    needs = dict(need.split("=") for need in needs.split())
    domain = needs.pop("domain", None)
    listen = {key.removeprefix("listen."): value for key, value in needs.items() if key.startswith("listen.")}
    sections = {
        "listen smtp": {"address": "127.0.0.1:0", "protocol": "smtp"},
        "listen lmtp": {"address": "127.0.0.1:0", "protocol": "lmtp"},
        "listen unix-smtp": {"address": f"unix:{folder}/smtp.sock", "protocol": "smtp"},
        "listen unix-lmtp": {"address": f"unix:{folder}/lmtp.sock", "protocol": "lmtp"},
        "limits": {key: value for key, value in needs.items() if not key.startswith("listen.")},
        # What is tested here is the dialogue; that all is synced, other tests show.
        "delivery": {"sync": "none"},
    }
    if domain is not None:
        sections[f"domain {domain}"] = {"maildirs": maildirs}
    for name in sections:
        if name.startswith("listen "):
            sections[name].update(listen)
    if "tls" in listen:
        sections["tls"] = tls_section(folder)
    if "auth" in listen:
        sections["auth"] = auth_section(folder)
    server = harness.Postern(folder, mailboxes=(), sections=sections)
    (maildirs / SCRATCH_MARK).touch()
    try:
        return server.start()
    except BaseException:
        server.kill()
        raise


def places(server):
    """{transport: (where it speaks SMTP, where LMTP)}, as its log says."""
    at = {(event["address"].startswith("unix:"), event["protocol"]): event["address"]
          for event in server.events("listening")}
    return {"tcp": (at[False, "smtp"], at[False, "lmtp"]), "unix": (at[True, "smtp"], at[True, "lmtp"])}


def play(tap, server, transport, cut, paths, results):
    """Plays them all, each in a session of its own, and appends for each (number of the case, whether it passed)."""
    smtp, lmtp = places(server)[transport]
    rerun = (f"POSTERN={harness.POSTERN} TEST_TOOLS={os.environ.get('TEST_TOOLS', '')} "
             f"python3 {os.path.abspath(__file__)} --transport {transport}")
    command = [DIALOGUE, "--smtp", smtp, "--lmtp", lmtp, "--maildirs", str(server.maildirs),
               "--label", f"daemon over {transport}", "--rerun", rerun, "--cut", cut, *paths]
    before = len(results)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as runner:
        for line in runner.stdout:
            passed = tap.take(line.rstrip("\n"))
            if passed is not None:
                results.append((tap.count, passed))
    if len(results) - before != len(paths) or runner.returncode not in (0, 1):
        tap.case(False, f"the runner plays all scripts over {transport}, {cut} (its status was {runner.returncode})")


def print_logs(server, results):
    """What the daemon logged about the sessions that failed, which it opened in the order of the results."""
    sessions = [event["session"] for event in server.events("session-opened")]
    for (case, passed), session in zip(results, sessions):
        if not passed:
            lines = [line for line in server.log if f"session={session} " in line]
            harness.print_diagnostics("\n".join([f"the log of case {case}:", *lines]))


def play_group(tap, limits, paths, transports, cuts):
    """One daemon, from its start to its end."""
    folder = Path(tempfile.mkdtemp(prefix="postern-dialogue."))
    name = f"a daemon with {limits or 'default limits'} ends well after {len(paths)} dialogues"
    server = None
    results = []
    try:
        server = start_daemon(folder, limits)
        for transport in transports:
            for cut in cuts if "listen.tls=" in limits else CUTS[:1]:
                play(tap, server, transport, cut, paths, results)
        server.stop()
        tap.case(True, name)
    except (AssertionError, OSError, KeyError) as error:
        harness.print_diagnostics(f"{type(error).__name__}: {error}")
        tap.case(False, name)
    finally:
        if server is not None:
            server.kill()
            print_logs(server, results)
        shutil.rmtree(folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--transport", choices=("tcp", "unix"))
    parser.add_argument("--cut", choices=CUTS)
    parser.add_argument("scripts", nargs="*")
    options = parser.parse_args()
    if not os.access(harness.POSTERN, os.X_OK):
        print(f"Bail out! POSTERN={harness.POSTERN} names no program to test")
        return 1
    tap = Tap()
    groups = limits_needed(options.scripts or sorted(map(str, HERE.glob("*.smtp"))))
    for limits, paths in sorted(groups.items()):
        play_group(tap, limits, paths, [options.transport] if options.transport else ["tcp", "unix"],
                   [options.cut] if options.cut else CUTS)
    if tap.count == 0:
        tap.case(False, "there are scripts for a daemon")
    print(f"1..{tap.count}")
    return tap.failed > 0


if __name__ == "__main__":
    sys.exit(main())
