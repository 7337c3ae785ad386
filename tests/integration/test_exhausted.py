"""Under load, a disk fills up again and again, or there are no descriptors left: who is told 250 has his mail stored.

A test of one refusal is in test_delivery.py (Disks) and test_overload.py (NoDescriptors).
"""
import collections
import resource
import subprocess

from faults import Control
from harness import ROOT, TOOLS, Case, Maildir, main, print_diagnostics, wait_until
from load import KEPT, REFUSED, Load

BOXES = ("alice", "bob")
ROUNDS = 8  # of filling a disk


class Fetched(Load):
    """Users fetch their mail, so that there is room again."""

    def __init__(self, server, maildirs, **options):
        self.maildirs = maildirs
        self.fetched = collections.defaultdict(list)
        super().__init__(server, **options)

    def fetch(self):
        for box, maildir in self.maildirs.items():
            for name in maildir.names():
                path = maildir.path / "new" / name
                self.fetched[box].append(path.read_bytes())
                path.unlink()

    def fetch_until_more(self, count):
        """As wait_for_more(); but a disk may be full before that many have come, and who waits for room would wait for ever."""
        goal = self.acknowledged_count() + count
        wait_until(lambda: self.fetch() or self.failure or self.acknowledged_count() >= goal, f"{count} more are delivered")

    def contents(self, box):
        return self.fetched[box]


class Full(Case):
    def check_rounds(self, server, maildirs, fill, empty):
        load = Fetched(server, maildirs, clients=6, boxes=BOXES, refusals=(452,),
                       listeners=[(server.smtp, False), (server.lmtp, True)])
        with load.running():
            for number in range(1, ROUNDS + 1):
                load.fetch_until_more(10)
                fill()
                refused = load.told()[REFUSED]
                wait_until(lambda: load.failure or load.told()[REFUSED] >= refused + 5, "some are refused")
                load.fetch()
                empty()
            load.fetch_until_more(20)
        load.fetch()
        self.assertEqual(load.check(self), load.told()[KEPT])
        self.assertEqual(load.broken, 0)
        self.assertEqual([name for maildir in maildirs.values() for name in maildir.names("tmp")], [])
        print_diagnostics(f"{ROUNDS} rounds: {load.told()[KEPT]} copies answered 250, {load.told()[REFUSED]} refused")

    def test_calls_that_find_no_room(self):
        control = Control(self.folder / "control")
        server = self.postern(program=str(TOOLS / "integration/postern_faulty"), mailboxes=BOXES, workers=2,
                              environment={"POSTERN_FAULTS": str(self.folder / "control")})
        self.check_rounds(server, {box: server.maildir(box) for box in BOXES}, fill=lambda: control.fill(True),
                          empty=lambda: control.fill(False))

    def test_a_file_system_that_fills_up(self):
        """Of 4 MiB, in a mount namespace of the daemon's, where it may have one: we look in through /proc."""
        user = [] if ROOT else ["--map-root-user"]
        if subprocess.run(["unshare", "--mount", *user, "true"], capture_output=True).returncode != 0:
            print_diagnostics("no mount namespaces here: calls find no room once more")
            self.test_calls_that_find_no_room()
            return
        script = ('mount -t tmpfs -o size=4m,mode=777 none "$0" && cd "$0" && '
                  f'for box in {" ".join(BOXES)}; do mkdir -m 777 $box $box/tmp $box/new $box/cur; done && exec "$@"')
        server = self.postern(start=False, mailboxes=(), workers=2)
        server.wrapper = ["unshare", "--mount", *user, "sh", "-c", script, str(server.maildirs)]
        if not ROOT:
            server.sections["server"].pop("user", None)
        server.start()
        root = f"/proc/{server.process.pid}/root{server.maildirs}"
        self.check_rounds(server, {box: Maildir(f"{root}/{box}") for box in BOXES}, fill=lambda: None, empty=lambda: None)


class NoDescriptors(Case):
    def test_a_crowd_that_takes_all_of_them(self):
        server = self.postern(mailboxes=BOXES, workers=2,
                              preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (80, 80)))
        load = Load(server, 120, BOXES, [(server.smtp, False), (server.lmtp, True)], refusals=(421, 451, 452))
        with load.running():
            load.wait_for(300)
        self.assertEqual(load.check(self), load.told()[KEPT])
        overloads = server.events("overload")
        print_diagnostics(f"{load.told()[KEPT]} copies answered 250, {load.told()[REFUSED]} refused; {len(overloads)} times told of")


if __name__ == "__main__":
    main()
