"""The life of a host: how it starts, what ends it, and that nothing is left."""
import os
import random
import signal
import socket
import struct

from host import (BUILT, MEBI, PATIENCE, Case, Ended, Host, all_of, configuration, descendants, handler, lives,
                  main, message, unless_sanitized, wait_until, wire)

FAR = "fork far"
NEAR = "fork"


def child_of(log):
    return int(log["text"].removeprefix("child "))


class Starting(Case):
    def test_no_handlers(self):
        host = self.host()
        self.assertEqual(self.judge(host, turns=[])["fates"][0]["decision"], wire.DELIVER)

    def test_many_handlers_are_made_ready_in_their_order(self):
        host = self.host(*(handler(f"init option number", name=f"h{n}", number=str(n)) for n in range(5)))
        self.assertEqual([(log["handler"], log["text"]) for log in host.logs], [(n, f"option {n}") for n in range(5)])

    def test_a_file_that_is_missing(self):
        self.assertIn("No such file or directory", self.refused(handler(file="/nowhere/none.so")))

    def test_a_file_that_is_no_shared_object(self):
        problem = self.refused(handler(file=__file__))
        self.assertTrue(problem.startswith("handler test: "), problem)
        self.assertIn("test_host.py: invalid ELF header", problem)

    def broken(self, name, reason):
        self.assertEqual(self.refused(handler(file=BUILT / f"{name}.so")), f"handler test: {BUILT}/{name}.so: {reason}")

    def test_a_missing_symbol(self):
        self.broken("no_symbol", "has no symbol postern_handler_entry (POSTERN_HANDLER defines it)")

    def test_another_abi(self):
        self.broken("wrong_abi", "was built for version 2 of the handlers' ABI, and this is version 1")

    def test_a_newer_one(self):
        self.broken("newer", "was built for a newer postern")

    def test_one_without_sizes(self):
        self.broken("not_made", "was not made with POSTERN_HANDLER: its sizes are wrong")

    def test_one_without_on_message(self):
        self.broken("no_function", "has no on_message")

    def test_an_undefined_symbol(self):
        self.assertIn("undefined symbol: nobody_has_this", self.refused(handler(file=BUILT / "undefined.so")))

    def test_init_that_fails(self):
        self.assertEqual(self.refused(handler("init fail option.queue is missing")), "handler test: option.queue is missing")

    def test_init_that_returns_what_it_should_not(self):
        self.assertEqual(self.refused(handler(init="7")), "handler test: init returned 7")

    def test_the_second_one_fails_and_the_first_is_shut_down(self):
        host = Host(self)
        self.addCleanup(host.clean_up)
        problem = host.configure(handler("shutdown rubbish bye", name="a"), handler("init fail no", name="b"))
        self.assertEqual(problem, "handler b: no")
        self.assertEqual(host.ended().rest, b"bye")

    def dies_at_start(self, do, **obituary):
        host = Host(self)
        self.addCleanup(host.clean_up)
        host.send("config", configuration(handler(), handler(do)))
        self.assertEqual(host.obituary(), {"stage": wire.LOADING, "handler": 1, "signal": 0, "status": 0, **obituary})

    def test_init_that_crashes(self):
        self.dies_at_start("init crash", signal=signal.SIGSEGV)

    def test_init_that_exits(self):
        self.dies_at_start("init exit 3", status=3)

    def test_init_that_exits_well(self):
        self.dies_at_start("init exit 0")

    def test_data_from_init(self):
        host = self.host(handler("count"))
        for _ in range(3):
            self.judge(host)
        self.assertEqual([log["text"] for log in host.logs], ["count 1", "count 2", "count 3"])


class Ending(Case):
    def test_the_wire_ends_before_the_configuration(self):
        host = Host(self)
        self.addCleanup(host.clean_up)
        self.assertIsNone(host.end().obituary)
        self.assertEqual(host.process.returncode, 0)

    def test_the_wire_ends(self):
        host = self.host(handler("shutdown rubbish one\nat-exit rubbish two"))
        self.judge(host)
        end = host.end()
        self.assertEqual((end.rest, end.obituary, host.process.returncode), (b"onetwo", None, 0))

    def test_shutdown_in_the_reverse_order(self):
        host = self.host(*(handler(f"shutdown rubbish {name}", name=name) for name in "abc"))
        self.assertEqual(host.end().rest, b"cba")

    def test_shutdown_that_crashes(self):
        host = self.host(handler(), handler("shutdown crash", file=BUILT / "act.so"))
        self.assertEqual(host.end().obituary["stage"], wire.ENDING)

    def test_a_crash_at_exit(self):
        host = self.host(handler("at-exit crash 11"))
        self.assertEqual(host.end().obituary,
                         {"stage": wire.ENDING, "handler": 0, "signal": signal.SIGSEGV, "status": 0})

    def test_children_are_ended_with_it(self):
        host = self.host(handler(f"shutdown {NEAR}\nshutdown {FAR}"))
        self.assertIsNone(host.end().obituary)  # clean_up() looks for who is left

    def test_SIGTERM(self):
        host = self.host(handler(f"{FAR}\n{NEAR}\nhang"))
        host.send("message", message())
        wait_until(lambda: len(descendants(host.process.pid)) == 4, "the handler's children")
        everybody = descendants(host.process.pid)
        host.process.terminate()
        self.assertEqual(host.obituary(),
                         {"stage": wire.HANDLING, "handler": 0, "signal": signal.SIGTERM, "status": 0})
        self.assertEqual([pid for pid in everybody if lives(pid)], [])

    def test_SIGTERM_while_it_waits(self):
        host = self.host(handler())
        host.process.terminate()
        self.assertEqual(host.obituary()["stage"], wire.WAITING)

    def test_SIGTERM_is_not_undone_by_a_runner_that_is_stopped(self):
        host = self.host(handler("crash 19"))  # SIGSTOP
        host.send("message", message())
        runner = host.runner()
        wait_until(lambda: open(f"/proc/{runner}/stat").read().split()[2] == "T", "the runner to stop")
        host.process.terminate()
        self.assertEqual(host.obituary()["signal"], signal.SIGTERM)

    def test_the_guard_is_killed(self):
        host = self.host(handler("hang"))
        host.send("message", message())
        runner = host.runner()
        host.process.kill()
        host.process.wait()
        wait_until(lambda: not lives(runner), "the runner to end")

    def test_the_worker_dies(self):
        reader, writer = os.pipe()
        worker = os.fork()
        if worker == 0:
            try:
                host = Host(self)
                host.configure(handler("hang"))
                host.send("message", message())
                os.write(writer, struct.pack("=ii", host.process.pid, host.runner()))
                signal.pause()
            finally:
                os._exit(1)
        guard, runner = struct.unpack("=ii", os.read(reader, 8))
        os.close(reader)
        os.close(writer)
        os.kill(worker, signal.SIGKILL)
        os.waitpid(worker, 0)
        wait_until(lambda: not lives(guard) and not lives(runner), "the host to end")


    def test_the_worker_is_dead_before_it_begins(self):
        host = Host(self, wire.encode("config", configuration(handler("init hang"))))
        self.addCleanup(host.clean_up)
        self.assertEqual(host.process.wait(PATIENCE), 71)


class Dying(Case):
    """What a handler does in a message, and what the host then says."""

    def dies(self, do, **obituary):
        host = self.host(handler(), handler(do), memory=512 * MEBI, stack=8 * MEBI)
        self.judge(host)
        host.send("message", message(turns=all_of(2)))
        got = host.obituary()
        self.assertEqual(got, {"stage": wire.HANDLING, "handler": 1, "signal": 0, "status": 0, **obituary})
        return host

    def test_crash(self):
        self.dies("crash", signal=signal.SIGSEGV)

    def test_abort(self):
        self.dies("crash 6", signal=signal.SIGABRT)

    def test_SIGTERM_of_its_own(self):
        self.dies("crash 15", signal=signal.SIGTERM)

    def test_exit(self):
        self.dies("exit 0")

    def test_exit_with_a_status(self):
        self.dies("exit 9", status=9)

    def test_a_crash_with_lingering_children(self):
        host = self.dies(f"{NEAR}\n{FAR}\ncrash", signal=signal.SIGSEGV)
        self.assertEqual([lives(child_of(log)) for log in host.logs], [False, False])

    def test_a_log_line_before_a_crash_is_there(self):
        self.assertEqual(self.dies("log 3 the end is near\ncrash", signal=signal.SIGSEGV).logs,
                         [{"handler": 1, "level": wire.ERROR, "text": "the end is near"}])

    def test_closing_every_descriptor(self):
        host = self.host(handler("close-all"))
        host.send("message", message())
        self.assertEqual(host.obituary()["handler"], -1)  # the verdict could not be told

    def test_a_message_whose_parsing_kills(self):
        host = self.host(handler(), stack=1 * MEBI)
        host.send("message", message(b"To: " + b"a:" * 400_000 + b"\n\nbody\n"))
        self.assertEqual(host.obituary(), {"stage": wire.PARSING, "handler": -1, "signal": signal.SIGSEGV, "status": 0})


class Limits(Case):
    def test_stack_overflow(self):
        host = self.host(handler("overflow"), stack=8 * MEBI, memory=512 * MEBI)
        host.send("message", message())
        self.assertEqual(host.obituary()["signal"], signal.SIGSEGV)

    @unless_sanitized("a sanitizer needs terabytes of address space")
    def test_more_memory_than_it_may_have(self):
        host = self.host(handler("malloc 4096\nmalloc 16"), memory=256 * MEBI)
        self.judge(host)
        self.assertEqual([log["text"] for log in host.logs], ["malloc none", "malloc all"])

    def test_processor_time(self):
        host = self.host(handler("spin"), cpu_seconds=1)
        host.send("message", message())
        self.assertEqual(host.obituary(), {"stage": wire.HANDLING, "handler": 0, "signal": signal.SIGXCPU, "status": 0})

    def test_processor_time_is_each_message_s(self):
        host = self.host(handler("burn 400"), cpu_seconds=1)
        for _ in range(4):
            self.judge(host)

    def too_long(self, do, octets, *logs):
        host = self.host(handler(do), file_size=MEBI)
        verdict = self.judge(host, b"", in_frame=False, size=len(octets), descriptor=self.file(octets))
        self.assertEqual([log["text"] for log in host.logs], [*logs])
        return self.stored(host, verdict, octets)

    def test_a_file_that_is_too_long(self):
        octets = b"A: b\n\n" + b"x" * 2 * MEBI
        self.assertEqual(self.too_long("replace-raw", octets,
                                       "replace_raw: the new message cannot be written: File too large", "replace_raw -27"),
                         octets)

    def test_files_that_are_too_long_together(self):
        octets = b"A: b\n\n" + b"x" * (MEBI // 3)
        self.assertEqual(self.too_long("replace-raw\nadd X y\nreplace-raw\nreplace-raw", octets,
                                       "replace_raw 0", "add 0", "replace_raw 0",
                                       "replace_raw: the new message cannot be written: File too large", "replace_raw -27"),
                         octets)

    def test_no_core(self):
        host = self.host(handler())
        limits = open(f"/proc/{host.runner()}/limits").read()
        self.assertRegex(limits, r"Max core file size +0 +0 ")


class Children(Case):
    def test_none_lingers_behind_the_verdict(self):
        host = self.host(handler("\n".join([NEAR, FAR] * 3)))
        for _ in range(2):
            self.judge(host)
            self.assertEqual(len(host.logs), 6)
            self.assertEqual([lives(child_of(log)) for log in host.logs], [False] * 6)
            host.logs.clear()

    def test_nor_behind_init(self):
        host = self.host(handler(f"init {NEAR}"))
        self.assertFalse(lives(child_of(host.logs[0])))


class Rubbish(Case):
    """On the wire, from the handler, and from the worker."""

    def test_a_handler_writes_on_the_wire(self):
        host = self.host(handler("rubbish \\377\\377\\377\\377 what is this?"))
        host.send("message", message())
        with self.assertRaises(AssertionError):
            host.receive()

    def test_half_a_frame_before_a_crash(self):
        host = self.host(handler("rubbish \\020\\001\\001\ncrash"))
        host.send("message", message())
        octets = b""
        while more := host.wire.recv(1000):
            octets += more
        octets = octets[-24:]
        self.assertEqual(wire.decode(octets)[:2], ("obituary", {"stage": wire.HANDLING, "handler": 0,
                                                               "signal": signal.SIGSEGV, "status": 0}))

    def told(self, octets):
        host = self.host(handler())
        host.wire.sendall(octets)
        host.wire.shutdown(socket.SHUT_WR)
        self.assertEqual(host.obituary(), {"stage": wire.WAITING, "handler": -1, "signal": 0, "status": 76})

    def test_a_worker_s_frame_of_no_type(self):
        self.told(wire.HEAD.pack(0, 99))

    def test_a_frame_that_is_too_long(self):
        self.told(wire.HEAD.pack(wire.FRAME_MAX + 1, 3))

    def test_half_a_frame_at_the_end(self):
        self.told(wire.encode("message", message())[:-1])

    def test_a_second_configuration(self):
        self.told(wire.encode("ready", {"problem": None}))

    def test_octets_behind_the_fields(self):
        self.told(wire.HEAD.pack(5, 2) + b"\xff\xff\xff\xff!")

    def bad_message(self, **changes):
        host = self.host(handler())
        host.send("message", message(**changes))
        self.assertEqual(host.obituary()["status"], 76)

    def test_a_turn_of_a_handler_that_is_not(self):
        self.bad_message(turns=[{"handler": 1, "recipients": []}])

    def test_a_turn_for_a_recipient_that_is_not(self):
        self.bad_message(turns=[{"handler": 0, "recipients": [1]}])

    def test_a_message_that_is_nowhere(self):
        self.bad_message(in_frame=False)

    def test_a_message_behind_its_file_s_end(self):
        host = self.host(handler())
        host.send("message", message(b"", in_frame=False, offset=1, size=10), self.file(b"0123456789"))
        self.assertEqual(host.obituary()["status"], 76)


    def test_random_changes_of_a_message(self):
        """Whatever comes, it is a message or it is not; the host itself neither hangs nor crashes."""
        rng = random.Random(3)
        frame = wire.encode("message", message(turns=[{"handler": 0, "recipients": [0]}], user="u"))
        outcomes = {"verdict": 0, "refused": 0}
        for number in range(150):
            changed = bytearray(frame)
            for _ in range(rng.randrange(1, 4)):
                changed[rng.randrange(len(frame))] = rng.choice([0, 1, 2, 0x7f, 0x80, 0xff, rng.randrange(256)])
            with self.subTest(number, frame=bytes(changed)):
                host = self.host(handler("envelope\nparts"))
                host.wire.sendall(changed)
                host.wire.shutdown(socket.SHUT_WR)
                try:
                    host.expect("verdict")
                    outcomes["verdict"] += 1
                except Ended as end:
                    self.assertEqual((end.obituary["signal"], end.obituary["status"]), (0, 76))
                    outcomes["refused"] += 1
                host.clean_up()
        self.assertGreater(min(outcomes.values()), 10, outcomes)


class Wire(Case):
    def test_octet_by_octet(self):
        host = self.host(handler("add X-A b"))
        for octet in wire.encode("message", message()):
            host.wire.sendall(bytes([octet]))
        self.assertEqual(host.expect("verdict")["front"], b"X-A: b\n")

    def test_several_messages_at_once(self):
        host = self.host(handler("header Subject"))
        octets = b"".join(wire.encode("message", message(b"Subject: %d\n\n" % n)) for n in range(100))
        host.wire.sendall(octets)
        for n in range(100):
            host.expect("verdict")
        self.assertEqual([log["text"] for log in host.logs], [f"Subject: {n}" for n in range(100)])

    def test_messages_of_many_sizes(self):
        host = self.host(handler("parts"))
        for size in (0, 1, 100_000, 130_000, 131_072, 1_000_000, 10, 15_000_000, 3):
            self.judge(host, b"A: b\n\n" + b"x" * size)
            self.assertEqual(host.logs.pop()["text"], f"part text/plain - 0 {size}")

    def test_a_configuration_and_messages_at_once(self):
        host = Host(self)
        self.addCleanup(host.clean_up)
        config = configuration(handler("option secret", secret="x" * 1000))
        host.wire.sendall(wire.encode("config", config) + wire.encode("message", message()))
        self.assertIsNone(host.expect("ready")["problem"])
        host.expect("verdict")
        self.assertEqual(host.logs[0]["text"], "option " + "x" * 993)

    def with_long_header(self, length):
        octets = b"A: b\n" + b"X-Long: " + b"x" * length + b"\n\nbody\n"
        host = self.host(handler("remove A"))
        verdict = self.judge(host, b"", in_frame=False, size=len(octets), descriptor=self.file(octets))
        self.assertEqual((verdict["front"], verdict["skip"]), (b"", 0))
        return verdict["fates"][0]["decision"], host.logs

    @unless_sanitized("GMime grows what it reads bit by bit, which a sanitizer copies each time")
    def test_a_header_section_that_is_too_long(self):
        decision, logs = self.with_long_header(wire.FRAME_MAX)
        self.assertEqual(decision, wire.DELIVER)
        self.assertEqual(logs[0]["text"], "remove_header: the header cannot be read: Message too long")

    @unless_sanitized("GMime grows what it reads bit by bit, which a sanitizer copies each time")
    def test_a_verdict_that_is_too_long(self):
        decision, logs = self.with_long_header(wire.FRAME_MAX - 50)
        self.assertEqual(decision, wire.DEFER)
        self.assertEqual(logs[-1], {"handler": -1, "level": wire.ERROR,
                                    "text": "the verdict, with the header fields, is too long"})


if __name__ == "__main__":
    main()
