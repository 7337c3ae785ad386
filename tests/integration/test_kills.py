"""kill -9 of the master, workers and hosts, at random and under load, round after round.

What was answered 250 is in each mailbox, once and whole, what was refused is not, and what was left in tmp/ goes 36 hours
later. KILL_ROUNDS=N for so many rounds, KILL_SEED=N for those of a run that failed.
"""
import collections
import os
import random
import shutil
import signal

from faults import DAY, Clock, faulty_postern
from harness import POSTERN, TOOLS, Case, main, print_diagnostics, proc_name, wait_until
from load import KEPT, REFUSED, UNANSWERED, Load
from test_handlers_zoo import processes_with

ROUNDS = int(os.environ.get("KILL_ROUNDS", 100))
SEED = int(os.environ.get("KILL_SEED", 0)) or random.SystemRandom().getrandbits(32)
VICTIMS = {"master": 1, "worker": 3, "host": 4}  # how often each, about
BOXES = ("alice", "bob", "carol")


class Kills(Case):
    def start(self):
        """Unix sockets, which a new master finds again."""
        self.clock = Clock(self.folder / "clock")
        self.handler = self.folder / "act.so"  # a copy of this test's own: that is how its processes are known
        shutil.copy(TOOLS / "handlers/act.so", self.handler)
        server = self.postern(start=False, mailboxes=BOXES, workers=3, environment=self.clock.environment(),
                              program=faulty_postern(TOOLS, POSTERN, self.folder / "bin"), sections={
                                  "log": {"level": "info"},
                                  "handlers": {"processes": 2, "timeout": "10s"},
                                  "handler act": {"load": self.handler, "option.do": "by-header"}})
        server.sections["listen smtp"]["address"] = f"unix:{server.folder}/smtp.sock"
        server.sections["domain example.org"]["quota"] = "10G"
        server.may_lose_workers = True
        return server.start()

    def kill_master(self, server, _):
        server.process.kill()
        server.process.wait()
        self.check_no_process(server)
        self.restart(server)

    def check_no_process(self, server):
        wait_until(lambda: not server.processes() and not processes_with(self.handler), "what it had started ends")

    def restart(self, server):
        server.reader.join()
        server.log.clear()
        server.log_ended = False
        server.start()

    def kill_one(self, pids, dice):
        """Of those that are there, and were not too quick for us."""
        with_one = wait_until(pids, "there is one")
        os.kill(dice.choice(with_one), signal.SIGKILL)

    def kill_worker(self, server, dice):
        self.kill_one(server.children, dice)

    def kill_host(self, server, dice):
        """Its guard, or its runner with the handlers in it."""
        self.kill_one(lambda: [pid for pid in server.processes() if (proc_name(pid) or "").startswith("postern-host")], dice)

    def check_swept(self, server):
        """37 hours later, a minute after its start; it has to be woken up, since real time went on as it does."""
        left = len(server.staged())
        server.connect_lmtp().close()  # it is there, and waits for that minute
        self.clock.set_wall(DAY + 13 * 60 * 60)
        self.clock.stand_still(61)

        def swept():
            server.connect_lmtp().close()
            return server.events("swept")
        (event,) = wait_until(swept, "a worker has swept")
        self.assertEqual((event["mailboxes"], event["removed"], event["failed"]), (str(len(BOXES)), str(left), "0"))
        self.assertEqual(server.staged(), [])
        return left

    def test_rounds_of_kills_under_load_lose_and_double_nothing(self):
        print_diagnostics(f"KILL_SEED={SEED} KILL_ROUNDS={ROUNDS}")
        dice = random.Random(SEED)
        server = self.start()
        listeners = [(server.folder / "smtp.sock", False), (server.lmtp, True)]
        load = Load(server, 8, BOXES, listeners, refusals=(421, 451), seed=SEED, mark=b"X-Do: add X-Edited yes\r\n",
                    edit=b"X-Edited: yes\n")
        kills = collections.Counter()
        with load.running():
            for _ in range(ROUNDS):
                load.wait_for_more(dice.randrange(1, 20))
                (victim,) = dice.choices(list(VICTIMS), VICTIMS.values())
                getattr(self, f"kill_{victim}")(server, dice)
                kills[victim] += 1
            load.wait_for_more(20)
        found = load.check(self)
        server.stop()
        self.check_no_process(server)
        server.sections["server"]["workers"] = 1  # it is this one that wakes up then
        self.restart(server)
        left = self.check_swept(server)
        self.assertEqual(load.check(self), found)
        told = load.told()
        self.assertGreater(load.broken, 0)
        print_diagnostics(f"{ROUNDS} rounds: {dict(kills)}; {told[KEPT]} copies answered 250, 0 of them lost; {told[REFUSED]} "
                          f"refused; {told[UNANSWERED]} without an answer, {found - told[KEPT]} of them there; {left} files "
                          f"were left in tmp/, and swept")


if __name__ == "__main__":
    main()
