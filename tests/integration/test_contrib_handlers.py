#!/usr/bin/env python3
"""The handlers that come with postern (contrib/handlers), each in the daemon and in its sandbox, with the keys that the
comment at its top tells; what the README says of handlers; and the template, built and tested as a stranger would.
"""
import base64
import configparser
import ctypes
import hashlib
import http.server
import json
import os
import queue
import re
import shutil
import subprocess
import sys
import threading
import time
from email.message import EmailMessage
from pathlib import Path

import harness
from harness import Case, DOMAIN, PATIENCE, POSTERN, TOOLS, WORKER_USER, lf, simple_message, split_trace, wait_until

SOURCE = Path(__file__).resolve().parents[2]
BUILD = TOOLS.resolve().parent
HANDLERS = BUILD / "contrib/handlers"
ALICE = f"alice@{DOMAIN}"
DELIVERED = (250, "2.0.0")
LATER = (451, "4.3.0")


def clean_environment(**more):
    """Without what `make check` tells the makes below it."""
    return {**{key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}, **more}


class ContribCase(Case):
    name = None  # of the handler

    def setUp(self):
        super().setUp()
        self.load = HANDLERS / f"{self.name}.so"
        if not self.load.exists():
            self.skipTest(f"{self.load} was not built")

    def section(self, keys, options):
        return {"load": self.load, **keys, **{f"option.{key}": value for key, value in options.items()}}

    def serve(self, keys=None, handlers=None, **options):
        return self.postern(mailboxes=("alice", "bob"), sections={
            "handlers": {"processes": 1, **(handlers or {})},
            f"handler {self.name}": self.section(keys or {}, options),
        })

    def send(self, server, message, *recipients, sender="bob@example.net"):
        with server.connect() as wire:
            wire.hello()
            wire.envelope(*(recipients or [ALICE]), sender=sender)
            wire.data(message)
            return wire.reply()

    def expect(self, server, reply, message, *recipients, **options):
        got = self.send(server, message, *recipients, **options)
        self.assertEqual(got[0], reply[0], got)
        self.assertTrue(got[1].startswith(reply[1]), got)

    def logged(self, server, text):
        wait_until(lambda: [e for e in server.events("handler-log") if text in e["text"]], f"the handler logs {text!r}")

    def refused(self, reason, keys=None, **options):
        """`postern check` says why it would not do."""
        server = self.postern(False, sections={f"handler {self.name}": self.section(keys or {}, options)})
        server.command_line()
        done = self.run_postern("check", "-c", server.config)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(reason, done.stdout + done.stderr)

    def public_folder(self, name):
        folder = self.folder / name
        folder.mkdir()
        folder.chmod(0o755)
        if WORKER_USER:
            shutil.chown(folder, WORKER_USER)
        return folder


# ---- example -----------------------------------------------------------------------------------------------------------

class Example(ContribCase):
    name = "example"

    def test_it_rejects_and_adds_a_field(self):
        server = self.serve()
        self.expect(server, (550, "5.7.1 use the web form, please"), simple_message(subject=b"unsubscribe"))
        self.expect(server, DELIVERED, simple_message())
        trace, message = split_trace(server.maildir().only())
        self.assertEqual(message, b"X-Client: 127.0.0.1\n" + lf(simple_message()))

    def test_the_readme_shows_the_file(self):
        shown = re.findall(r"^```c\n(.*?)^```$", (SOURCE / "README.md").read_text(), re.M | re.S)
        example = (SOURCE / "contrib/handlers/example.c").read_text()
        self.assertEqual(shown, [example])
        self.assertLessEqual(example.count("\n"), 15)

    def test_the_command_of_the_readme(self):
        """With the addresses filled in, it receives mail."""
        command = re.search(r"^    postern (serve --listen smtp://127.0.0.1:0 .*--handler .*)$",
                            (SOURCE / "README.md").read_text(), re.M)[1]
        shutil.copy(self.load, self.folder / "h.so")
        server = self.postern(False, mailboxes=("alice",))
        words = command.replace("DIR", str(server.maildirs)).replace("./h.so", str(self.folder / "h.so")).split()
        server.arguments = words + (["--user", WORKER_USER] if WORKER_USER else [])
        server.start()
        self.expect(server, DELIVERED, simple_message())
        self.assertIn(b"\nX-Client: 127.0.0.1\n", server.maildir().only())


# ---- exec --------------------------------------------------------------------------------------------------------------

class Exec(ContribCase):
    name = "exec"

    def program(self, text):
        """A shell script, and the keys that let it be run."""
        folder = self.folder / "filter"
        folder.mkdir(exist_ok=True)
        path = folder / "filter"
        path.write_text("#!/bin/sh\n" + text)
        path.chmod(0o755)
        self.out = self.public_folder("out")
        return path, {"paths": f"/bin, /usr/bin, {folder}", "writable-paths": self.out}

    def run_script(self, text, arguments="", handlers=None, **options):
        path, keys = self.program(text)
        return self.serve(keys, handlers, command=f"{path}{arguments}", **options)

    def test_a_script_without_its_interpreter(self):
        path, keys = self.program("exit 0\n")
        server = self.serve({**keys, "paths": path.parent}, command=path)
        self.expect(server, LATER, simple_message())
        self.logged(server, "its interpreter")

    def test_exit_statuses_are_verdicts(self):
        """The recipient's subaddress says what the program does."""
        server = self.run_script('how=${POSTERN_TO#*+}; how=${how%@*}\n'
                                 'test "$how" = killed && kill -KILL $$\n'
                                 'exit "$how"\n')
        rows = {0: DELIVERED, 99: DELIVERED,
                65: (550, "5.7.1 message refused"), 69: (550, "5.7.1 message refused"), 77: (550, "5.7.1"),
                100: (550, "5.7.1"), 67: (550, "5.1.1 no such mailbox here"),
                **{status: LATER for status in (1, 2, 64, 66, 68, 70, 73, 75, 76, 78, 98, 101, 111, 126, 127, 255)},
                "killed": (451, "4.3.0 try again later")}
        for how, reply in rows.items():
            with self.subTest(how):
                self.expect(server, reply, simple_message(subject=str(how).encode()), f"alice+{how}@{DOMAIN}")
        _, message = split_trace(server.maildir().only())  # status 0 is the only one that delivers
        self.assertEqual(message, lf(simple_message(subject=b"0")))
        self.logged(server, "the program ended with status 75")

    def test_what_it_says_is_the_reply(self):
        server = self.run_script('echo "told: $POSTERN_HELO"; echo more; exit ${POSTERN_FROM%@*}\n')
        for status, reply in ((69, "5.7.1 told: client.example.net"), (67, "5.1.1 told: client.example.net"),
                              (75, "4.3.0 told: client.example.net")):
            code, text = self.send(server, simple_message(), sender=f"{status}@example.net")
            self.assertEqual((code, text), (451 if status == 75 else 550, reply))
        self.expect(server, DELIVERED, simple_message(), sender="0@example.net")

    def test_words_that_are_no_reply(self):
        server = self.run_script('printf "gr\\303\\274n"; exit 69\n')
        self.expect(server, (550, "5.7.1 Message refused"), simple_message())

    def test_arguments_and_environment(self):
        server = self.run_script(f'printf "%s|" "$@" >{self.folder}/out/arguments\nenv >{self.folder}/out/env\n',
                                 " --strict 'two words'")
        self.expect(server, DELIVERED, simple_message(), ALICE, f"bob+x@{DOMAIN}")
        self.assertEqual((self.out / "arguments").read_text(), "--strict|two words|")
        text = (self.out / "env").read_text()
        found = dict(re.findall(r"^(\w+)=((?:.*)(?:\n(?![A-Z_]+=).*)*)$", text, re.M))
        _, message = split_trace(server.maildir().only())
        session = server.wait_log("session-opened")[-1]["session"]
        expected = {"ID": f"{session}.1", "SESSION": session, "LISTENER": "smtp", "PROTOCOL": "ESMTP",
                    "CLIENT": "127.0.0.1", "HELO": "client.example.net", "FROM": "bob@example.net",
                    "SIZE": str(len(message)), "TO": f"{ALICE}\nbob+x@{DOMAIN}", "MAILBOXES": f"{ALICE}\nbob@{DOMAIN}"}
        self.assertEqual({key[8:]: value.rstrip("\n") for key, value in found.items() if key.startswith("POSTERN_")},
                         expected)
        others = {key for key in found if not key.startswith("POSTERN_")} - {"_", "PWD", "OLDPWD", "SHLVL"}
        self.assertEqual(others, {"PATH"})

    def test_the_null_sender_and_a_unix_socket(self):
        server = self.run_script(f'printf "%s|" "${{POSTERN_FROM-unset}}" "$POSTERN_CLIENT" "$POSTERN_PROTOCOL" '
                                 f'>{self.folder}/out/env\n')
        with server.connect_lmtp() as wire:
            wire.hello(lmtp=True)
            wire.envelope(ALICE, sender="")
            wire.data(simple_message())
            wire.expect(250, "2.0.0")
        self.assertEqual((self.out / "env").read_text(), "|unix|LMTP|")

    def test_the_message_is_a_file(self):
        """head puts back what it has read too far, which it cannot do with a pipe."""
        for size in (100, 5_000_000):
            with self.subTest(size=size):
                shutil.rmtree(self.folder / "out", ignore_errors=True)
                server = self.run_script(f'head -n 1 >/dev/null; head -n 1 >{self.folder}/out/second; '
                                         f'cat >{self.folder}/out/rest; echo $POSTERN_SIZE >{self.folder}/out/size\n')
                message = simple_message(b"0123456789abcde\r\n" * (size // 17))
                self.expect(server, DELIVERED, message)
                self.assertEqual((self.out / "second").read_text(), f"To: {ALICE}\n")
                lines = lf(message).split(b"\n", 2)
                self.assertTrue((self.out / "rest").read_bytes() == lines[2])
                self.assertEqual(int((self.out / "size").read_text()), len(lf(message)))

    def test_header_fields(self):
        server = self.run_script('echo "X-One: 1"; echo "this is no field"; echo "X-Two:   gr\u00fcn "; '
                                 'sed -n "s/^Subject:/X-Three:/p"\n', output="headers")
        self.expect(server, DELIVERED, simple_message())
        _, message = split_trace(server.maildir().only())
        self.assertEqual(message, b"X-One: 1\nX-Two: =?UTF-8?Q?gr=C3=BCn?=\nX-Three: one\n" + lf(simple_message()))

    def test_what_can_be_no_header_field(self):
        server = self.run_script('echo "X One: 1"\n', output="headers")
        self.expect(server, LATER, simple_message())
        self.assertEqual(server.maildir().names(), [])

    def test_another_message(self):
        for size in (10, 3_000_000):
            with self.subTest(size=size):
                shutil.rmtree(self.folder / "out", ignore_errors=True)
                server = self.run_script("sed s/hello/good-bye/\n", output="message")
                message = simple_message(b"hello\r\n" * (size // 7 + 1))
                self.expect(server, DELIVERED, message)
                _, stored = split_trace(server.maildir().only())
                self.assertTrue(stored == lf(message).replace(b"hello", b"good-bye"))

    def test_an_empty_message_is_none(self):
        """A filter that wrote nothing has failed, whatever it says: mail must not become nothing."""
        server = self.run_script("exit 0\n", output="message")
        self.expect(server, LATER, simple_message())
        self.assertEqual(server.maildir().names(), [])
        self.logged(server, "the program wrote no message")

    def test_a_refused_message_has_no_edits(self):
        server = self.run_script('echo "X-One: 1"; exit 69\n', output="headers")
        self.expect(server, (550, "5.7.1 message refused"), simple_message())

    def test_what_it_leaves_running_is_ended(self):
        server = self.run_script(f"sleep 1000 & echo $! >{self.folder}/out/pid\n")
        self.expect(server, DELIVERED, simple_message())
        self.assertIsNone(harness.proc_stat(int((self.out / "pid").read_text())))

    def test_the_time_limit(self):
        server = self.run_script("sleep 1000\n", handlers={"timeout": "500ms"})
        self.expect(server, LATER, simple_message())
        self.assertEqual(server.maildir().names(), [])

    def test_pipes_end_as_in_a_shell(self):
        """No signal is ignored that programs rely on."""
        server = self.run_script("sh -c 'kill -PIPE $$'; exit $((160 + $? - 141))\n")
        code, text = self.send(server, simple_message())
        self.assertEqual((code, text), (451, "4.3.0 try again later"))
        self.logged(server, "the program ended with status 160")

    def test_nothing_else_can_be_read(self):
        secret = self.folder / "secret"
        secret.write_text("secret\n")
        server = self.run_script(f"test -d /tmp && ls / >/dev/null 2>&1 && exit 70\n"
                                 f"cat {secret} >/dev/null 2>&1 && exit 71\nexit 0\n")
        if not has_landlock():
            self.skipTest("this kernel has no Landlock")
        self.expect(server, DELIVERED, simple_message())

    def test_bad_options(self):
        path, keys = self.program("exit 0\n")
        self.refused("option.command is missing", keys)
        self.refused("option.output: expected reply, headers or message", keys, command=path, output="body")
        self.refused("option.command: it is empty, or its quotes do not match", keys, command=f"{path} 'x")
        self.refused("option.command: that program cannot be run", keys, command=f"{path}-not")
        self.refused("option.command: expected an absolute path", keys, command="filter")


def has_landlock():
    return ctypes.CDLL(None).syscall(444, None, 0, 1) > 0


# ---- attachments -------------------------------------------------------------------------------------------------------

def sha256(content):
    return hashlib.sha256(content).hexdigest()


class Attachments(ContribCase):
    name = "attachments"
    PNG, PDF = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40, b"%PDF-1.4\n" + b"x" * 100_000

    def start(self, **options):
        self.store = self.public_folder("attachments")
        return self.serve({"writable-paths": self.store}, directory=self.store, **options)

    def message(self, *attachments, subject="attached"):
        m = EmailMessage()
        m["From"], m["To"], m["Subject"] = "bob@example.net", ALICE, subject
        m.set_content("see there\n")
        for content, kind, name in attachments:
            if isinstance(content, EmailMessage):
                m.add_attachment(content)
            else:
                main, sub = kind.split("/")
                m.add_attachment(content, maintype=main, subtype=sub, **({"filename": name} if name else {}))
        return m

    def octets(self, message):
        return message.as_bytes(policy=message.policy.clone(linesep="\r\n"))

    def objects(self):
        return {path.name: path.read_bytes() for path in (self.store / "objects").iterdir()}

    def manifests(self):
        found = []
        for path in sorted((self.store / "manifests").iterdir()):
            parser = configparser.ConfigParser(interpolation=None)
            parser.read_string(path.read_text())
            found.append((path.name, {name: dict(parser[name]) for name in parser.sections()}))
        return found

    def test_objects_and_manifest(self):
        server = self.start()
        message = self.message((self.PNG, "image/png", "gr\u00fc\u00dfe.png"), (self.PDF, "application/pdf", None))
        code, text = self.send(server, self.octets(message))
        self.assertEqual(code, 250, text)
        identity = re.search(r"id (\S+)$", text)[1]
        self.assertEqual(self.objects(), {sha256(c): c for c in (self.PNG, self.PDF)})
        self.assertEqual(self.manifests(), [(f"{identity}.ini", {
            "attachment 0": {"hash": sha256(self.PNG), "name": "gr\u00fc\u00dfe.png", "type": "image/png",
                             "size": str(len(self.PNG))},
            "attachment 1": {"hash": sha256(self.PDF), "name": "", "type": "application/pdf",
                             "size": str(len(self.PDF))},
            "message": {"id": identity, "from": "bob@example.net"}})])
        _, stored = split_trace(server.maildir().only())
        self.assertTrue(stored == lf(self.octets(message)), "the message is as it came")

    def test_each_content_once(self):
        server = self.start()
        for n in range(3):
            self.expect(server, DELIVERED, self.octets(self.message((self.PNG, "image/png", f"{n}.png"),
                                                                    (self.PNG, "image/png", "again.png"))))
        self.assertEqual(list(self.objects()), [sha256(self.PNG)])
        names = [[group["name"] for key, group in manifest.items() if key != "message"]
                 for _, manifest in self.manifests()]
        self.assertEqual(sorted(names), [[f"{n}.png", "again.png"] for n in range(3)])

    def test_embedded_messages(self):
        server = self.start()
        inner = self.message((self.PDF, "application/pdf", "inner.pdf"), subject="inner")
        message = self.message((inner, None, None), (self.PNG, "image/png", "outer.png"))
        self.expect(server, DELIVERED, self.octets(message))
        ((_, manifest),) = self.manifests()
        self.assertEqual([manifest[f"attachment {n}"]["name"] for n in range(2)], ["inner.pdf", "outer.png"])
        self.assertEqual(self.objects(), {sha256(c): c for c in (self.PNG, self.PDF)})

    def test_nothing_attached(self):
        server = self.start()
        self.expect(server, DELIVERED, simple_message())
        self.assertEqual((self.objects(), self.manifests()), ({}, []))

    def test_the_least_size(self):
        server = self.start(minimum="10")
        self.expect(server, DELIVERED, self.octets(self.message((b"123456789", "text/plain", "nine"),
                                                                (b"1234567890", "text/plain", "ten"))))
        self.assertEqual(self.objects(), {sha256(b"1234567890"): b"1234567890"})
        ((_, manifest),) = self.manifests()
        self.assertEqual(manifest["attachment 0"]["name"], "ten")

    def test_a_name_is_only_a_name(self):
        server = self.start()
        name = "../../etc/pass\nwd]=[x"
        self.expect(server, DELIVERED, self.octets(self.message((b"12345", "text/plain", "x"))).replace(
            b'filename="x"', b"filename*=utf-8''" + b"".join(b"%%%02X" % octet for octet in name.encode())))
        self.assertEqual(self.objects(), {sha256(b"12345"): b"12345"})
        ((_, manifest),) = self.manifests()
        self.assertEqual(manifest["attachment 0"]["name"], name.replace("\n", "\\n"))
        self.assertEqual(set(manifest), {"attachment 0", "message"})

    def test_a_directory_that_takes_nothing(self):
        """What cannot be stored is not delivered; what has nothing to be stored is."""
        message = self.octets(self.message((self.PNG, "image/png", "x.png")))
        for part in ("objects", "manifests"):
            with self.subTest(part):
                server = self.start()
                self.expect(server, DELIVERED, simple_message())  # the host has opened them
                shutil.rmtree(self.store / part)
                self.expect(server, (452, "4.3.1"), message)
                self.logged(server, "attachments cannot be stored: No such file or directory")
                self.expect(server, DELIVERED, simple_message())
                self.assertEqual(len(server.maildir().names()), 2)
                shutil.rmtree(self.store)

    def test_a_full_disk(self):
        if not harness.ROOT:
            self.skipTest("only root can mount a small disk")
        self.store = self.public_folder("attachments")
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=777", "none", self.store],
                                 capture_output=True, text=True)
        if mounted.returncode != 0:
            self.skipTest(f"mount: {mounted.stderr.strip()}")
        self.addCleanup(subprocess.run, ["umount", "-l", self.store], check=False)
        server = self.serve({"writable-paths": self.store}, directory=self.store)
        self.expect(server, (452, "4.3.1"), self.octets(self.message((os.urandom(400_000), "image/png", "large.png"))))
        self.logged(server, "attachments cannot be stored: No space left on device")
        self.assertEqual((self.objects(), self.manifests()), ({}, []))
        self.expect(server, DELIVERED, self.octets(self.message((self.PNG, "image/png", "small.png"))))
        self.assertEqual(list(self.objects()), [sha256(self.PNG)])
        server.stop()

    def test_bad_options(self):
        folder = self.public_folder("attachments")
        keys = {"writable-paths": folder}
        self.refused("option.directory is missing", keys)
        self.refused("option.minimum: expected a number of octets", keys, directory=folder, minimum="1K")
        self.refused("option.directory: cannot be written to", keys, directory=f"{folder}/not")
        if has_landlock():
            self.refused("option.directory: cannot be written to", directory=folder)


# ---- webhook -----------------------------------------------------------------------------------------------------------

class Service(http.server.ThreadingHTTPServer):
    """A web service: what was posted is in `posted`; `answer` is (status, text), or None: it says nothing."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Request)
        self.posted = queue.Queue()
        self.answer = (200, "")
        self.closing = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_address[1]}/mail"
        self.thread = threading.Thread(target=self.serve_forever)
        self.thread.start()

    def end(self):
        self.closing.set()
        self.shutdown()
        self.thread.join()
        self.server_close()


class Request(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posted.put((self.path, dict(self.headers), json.loads(body)))
        if self.server.answer is None:
            self.server.closing.wait(PATIENCE)
            self.close_connection = True
            return
        status, text = self.server.answer
        content = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


class Webhook(ContribCase):
    name = "webhook"

    def setUp(self):
        super().setUp()
        self.service = Service()
        self.addCleanup(self.service.end)

    def start(self, keys=None, **options):
        return self.serve({"network": "yes", **(keys or {})}, **{"url": self.service.url, **options})

    def posted(self):
        path, headers, content = self.service.posted.get(timeout=PATIENCE)
        self.assertEqual(path, "/mail")
        return headers, content

    def test_what_is_posted(self):
        server = self.start(authorization="Bearer 0123456789")
        message = EmailMessage()
        message["From"], message["To"] = "bob@example.net", ALICE
        message["Subject"] = "gr\u00fc\u00dfe \u2709"
        message["X-Twice"] = "one"
        message["X-Twice"] = "gr\u00fcn"
        message.set_content("hello\n")
        message.add_attachment(b"12345", maintype="image", subtype="png", filename="\u00fc.png")
        octets = message.as_bytes(policy=message.policy.clone(linesep="\r\n")).replace(
            b"\r\nX-Twice: one",
            b"\r\n =?utf-8?b?IGE=?= =?utf-8?b?Yg==?=\r\nX-Twice: one")  # GMime alone would lose the b
        before = int(time.time())
        self.expect(server, DELIVERED, octets, ALICE, f"bob+x@{DOMAIN}")
        headers, content = self.posted()
        self.assertEqual((headers["Content-Type"], headers["Authorization"]), ("application/json", "Bearer 0123456789"))
        envelope = content["envelope"]
        session = server.wait_log("session-opened")[-1]["session"]
        self.assertTrue(before <= envelope.pop("arrived") <= time.time())
        self.assertEqual(envelope, {
            "id": f"{session}.1", "session": session, "listener": "smtp", "protocol": "ESMTP", "client": "127.0.0.1",
            "helo": "client.example.net", "user": None, "from": "bob@example.net", "size": len(lf(octets)),
            "recipients": [{"address": ALICE, "mailboxes": [ALICE]},
                           {"address": f"bob+x@{DOMAIN}", "mailboxes": [f"bob@{DOMAIN}"]}]})
        self.assertEqual([tuple(field) for field in content["headers"]],
                         [("From", "bob@example.net"), ("To", ALICE), ("Subject", "gr\u00fc\u00dfe \u2709 ab"),
                          ("X-Twice", "one"), ("X-Twice", "gr\u00fcn"), ("MIME-Version", "1.0"),
                          ("Content-Type", message["Content-Type"])])
        self.assertEqual(content["subject"], "gr\u00fc\u00dfe \u2709 ab")
        self.assertEqual(content["parts"], [
            {"name": None, "type": "text/plain", "depth": 1, "size": len("hello\n")},
            {"name": "\u00fc.png", "type": "image/png", "depth": 1, "size": 5}])
        self.assertNotIn("message", content)

    def test_a_message_that_comes_with_it(self):
        small = simple_message()
        limit = len(lf(small))
        server = self.start(inline=str(limit))
        self.expect(server, DELIVERED, small)
        self.assertEqual(base64.b64decode(self.posted()[1]["message"]), lf(small))
        self.expect(server, DELIVERED, simple_message(b"hello!\r\n"))
        self.assertNotIn("message", self.posted()[1])

    def test_a_large_one(self):
        """It lies on the disk, and in a file behind the trace fields."""
        message = simple_message(b"0123456789\r\n" * 200_000)
        server = self.start(inline="4M")
        self.expect(server, DELIVERED, message)
        self.assertTrue(base64.b64decode(self.posted()[1]["message"]) == lf(message))

    def test_what_clients_say_need_not_be_utf8(self):
        server = self.start()
        self.expect(server, DELIVERED, simple_message(subject=b"\xff\xfe \x01"))
        _, content = self.posted()
        self.assertIn("Subject", [name for name, _ in content["headers"]])

    def test_answers_are_verdicts(self):
        server = self.start()
        for answer, reply in (((200, "fine"), DELIVERED), ((204, ""), DELIVERED), ((299, ""), DELIVERED),
                              ((400, ""), (550, "5.7.1 message refused")),
                              ((403, "not today\r\nreally"), (550, "5.7.1 not today")),
                              ((499, "gr\u00fcn"), (550, "5.7.1 Message refused")),
                              ((422, "x" * 1000), (550, "5.7.1 " + "x" * 300)),
                              ((301, ""), LATER), ((500, "oh"), LATER), ((503, ""), LATER), ((599, ""), LATER)):
            with self.subTest(answer):
                self.service.answer = answer
                self.expect(server, reply, simple_message())
                self.posted()
        self.assertEqual(len(server.maildir().names()), 3)
        self.logged(server, "the web service answered 503")

    def test_a_service_that_does_not_answer(self):
        server = self.start(timeout="1")
        self.service.answer = None
        self.expect(server, LATER, simple_message())
        self.logged(server, "the web service: Timeout was reached")
        self.assertEqual(server.events("handler-failed"), [])
        self.service.answer = (200, "")
        self.expect(server, DELIVERED, simple_message())

    def test_no_service(self):
        server = self.start(url="http://127.0.0.1:1/mail")
        self.expect(server, LATER, simple_message())
        self.logged(server, "the web service: ")

    def test_names_of_hosts(self):
        server = self.start(url=self.service.url.replace("127.0.0.1", "localhost"))
        self.expect(server, DELIVERED, simple_message())
        self.posted()

    def test_no_network(self):
        if b"seccomp_load" not in (Path(POSTERN).parent / "postern-host").read_bytes():
            self.skipTest("postern was built without libseccomp")
        server = self.start({"network": "no"})
        self.expect(server, LATER, simple_message())
        self.assertTrue(self.service.posted.empty())

    def test_bad_options(self):
        keys = {"network": "yes"}
        self.refused("option.url is missing", keys)
        for url in ("hooks.example.org", "ftp://hooks.example.org/", "http://", "http://a b/"):
            self.refused("option.url: expected a URL", keys, url=url)
        self.refused("option.inline: expected a size", keys, url=self.service.url, inline="65M")
        self.refused("option.inline: expected a size", keys, url=self.service.url, inline="64KB")
        self.refused("option.timeout: expected seconds", keys, url=self.service.url, timeout="0")
        self.refused("option.timeout: expected seconds", keys, url=self.service.url, timeout="10s")


# ---- handlers of others ------------------------------------------------------------------------------------------------

class Elsewhere(Case):
    """As one has it who knows only what is installed."""

    def setUp(self):
        super().setUp()
        for program in ("make", "cc", "pkg-config"):
            self.need_program(program)
        if not (BUILD / "Makefile").exists():
            self.skipTest("postern was not built here")
        self.root = self.folder / "root"
        self.run_well("make", "-C", BUILD, "install-pkgconfigDATA", "install-pkgincludeHEADERS",
                      "install-nodist_pkgincludeHEADERS", f"DESTDIR={self.root}")
        (pc,) = self.root.rglob("postern.pc")
        prefix = re.search(r"^prefix=(.*)$", pc.read_text(), re.M)[1]
        pc.write_text(pc.read_text().replace(f"prefix={prefix}\n", f"prefix={self.root}{prefix}\n"))
        path = [str(pc.parent), *filter(None, [os.environ.get("PKG_CONFIG_PATH")])]
        self.environment = clean_environment(PKG_CONFIG_PATH=":".join(path),
                                             PATH=f"{Path(POSTERN).resolve().parent}:{os.environ['PATH']}")

    def run_well(self, *command, **options):
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=PATIENCE,
                              **{"env": clean_environment(), **options})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_the_template(self):
        folder = self.folder / "mine"
        shutil.copytree(SOURCE / "contrib/handler-template", folder)
        for path in (folder, *folder.iterdir()):
            path.chmod(0o755)  # of a distribution that is read-only
        run = dict(cwd=folder, env=self.environment)
        self.assertNotIn("warning", self.run_well("make", "CFLAGS=-O2 -Wall -Wextra -Werror", **run))
        self.assertIn("+ X-Greeting: welcome\n", self.run_well("make", "check", **run))
        self.run_well("make", "install", f"DESTDIR={self.folder}/other", **run)
        (installed,) = (self.folder / "other").rglob("*.so")
        self.assertEqual(str(installed.parent), str(self.folder / "other") + self.run_well(
            "pkg-config", "--variable=handlersdir", "postern", **run).strip())
        self.run_well("make", "clean", **run)
        self.assertFalse((folder / "handler.so").exists())

    def test_the_commands_of_the_readme(self):
        """Compiled and tried there and then, as they stand."""
        shutil.copy(SOURCE / "contrib/handlers/example.c", self.folder)
        (self.folder / "message.eml").write_bytes(simple_message())
        commands = re.findall(r"^    ((?:cc|postern handle) .*)$", (SOURCE / "README.md").read_text(), re.M)
        self.assertEqual(len(commands), 2)
        out = self.run_well("sh", "-ec", "\n".join(commands), cwd=self.folder, env=self.environment)
        self.assertEqual(out, "recipient@example.org: deliver to recipient@example.org\n+ X-Client: 127.0.0.1\n")

    def blocks_of_manual(self, name):
        page = (SOURCE / "man" / name).read_text().replace(r"\en", r"\n").replace(r"\e", "\\")
        return re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed", page, re.M | re.S)

    def test_the_examples_of_the_manual(self):
        """The handler of postern-handler(3), and the tests of it in postern-testing(7), all of them."""
        blocks = self.blocks_of_manual("postern-handler.3")
        source = next(block for block in blocks if "POSTERN_HANDLER(" in block)
        (self.folder / "h.c").write_text(f"#include <postern/handler.h>\n{source}")
        run = dict(cwd=self.folder, env=self.environment)
        self.run_well("sh", "-ec", next(block for block in blocks if block.startswith("cc -O2")), **run)
        shell, *python = self.blocks_of_manual("postern-testing.7")
        self.run_well("sh", "-ec", shell, **run)
        self.assertEqual(len(python), 2)
        for block in python:
            self.run_well(sys.executable, "-c", block, **run)

    def test_a_handler_in_cxx(self):
        compiler = shutil.which("c++") or self.skipTest("there is no C++ compiler")
        source = (SOURCE / "contrib/handlers/example.c").read_text()
        words = '.name = "example", .on_message = on_message'
        self.assertIn(words, source)
        (self.folder / "h.cc").write_text(source.replace(words, '.name = "example", .init = nullptr, '
                                                                '.on_message = on_message, .shutdown = nullptr'))
        flags = self.run_well("pkg-config", "--cflags", "--libs", "postern", env=self.environment).split()
        self.run_well(compiler, "-std=c++20", "-Wall", "-Wextra", "-Werror", "-fvisibility=hidden", "-fPIC", "-shared",
                      "-o", "h.so", "h.cc", *flags, cwd=self.folder)
        out = subprocess.run([POSTERN, "handle", "--load", "./h.so"], input="Subject: x\n\n", cwd=self.folder,
                             capture_output=True, text=True, timeout=PATIENCE)
        self.assertEqual((out.returncode, out.stdout.splitlines()[-1]), (0, "+ X-Client: 127.0.0.1"), out.stderr)


if __name__ == "__main__":
    harness.main()
