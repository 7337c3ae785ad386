"""System calls that fail and clocks that are set, for tests of what a daemon does then: failing_syscalls, Control, Clock."""
import ctypes
import mmap
import os
import shutil
import struct
from pathlib import Path

DAY = 24 * 60 * 60

_SYSCALLS = {  # name: (x86_64, aarch64)
    "fsync": (74, 82), "fdatasync": (75, 83), "openat": (257, 56), "renameat2": (316, 276), "renameat": (264, 38),
    "rename": (82, None), "linkat": (265, 37), "link": (86, None), "syncfs": (306, 267),
}


def failing_syscalls(error, *names):
    """For Popen(preexec_fn=): from then on the named calls fail with errno `error`, in all children too.

    A seccomp filter does it, which needs neither root nor a disk that is really full. "create" is openat(2) where it makes
    a new file (O_CREAT | O_EXCL).
    """
    machine = ("x86_64", "aarch64").index(os.uname().machine)
    architecture = (0xC000003E, 0xC00000B7)[machine]
    load, equal, has_bit, ret = 0x20, 0x15, 0x45, 0x06
    allow, fail = 0x7FFF0000, 0x00050000 | error
    # Steps of (what, how many to skip if so, and if not, value); offset 0 holds the call's number, 4 the architecture.
    program = [(load, 0, 0, 4), (equal, 1, 0, architecture), (ret, 0, 0, allow), (load, 0, 0, 0)]
    for name in names:
        number = _SYSCALLS["openat" if name == "create" else name][machine]
        if number is None:
            continue
        if name == "create":  # the flags are argument 2
            program += [(equal, 0, 5, number), (load, 0, 0, 32), (has_bit, 0, 2, os.O_CREAT), (has_bit, 0, 1, os.O_EXCL),
                        (ret, 0, 0, fail), (load, 0, 0, 0)]
        else:
            program += [(equal, 0, 1, number), (ret, 0, 0, fail)]
    program.append((ret, 0, 0, allow))
    code = b"".join(struct.pack("HBBI", *step) for step in program)
    libc = ctypes.CDLL(None, use_errno=True)

    def apply():
        buffer = ctypes.create_string_buffer(code, len(code))
        filter_program = struct.pack("HxxxxxxQ", len(program), ctypes.addressof(buffer))
        argument = ctypes.create_string_buffer(filter_program, len(filter_program))
        no_new_privileges, set_seccomp, mode_filter = 38, 22, 2
        if libc.prctl(no_new_privileges, 1, 0, 0, 0) or libc.prctl(set_seccomp, mode_filter, argument, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")
    return apply


class Clock:
    """How far the clocks of postern_faulty are ahead, in seconds: the memory that clock_faulty.c shares with us."""

    def __init__(self, path):
        self.path = path
        path.write_bytes(bytes(16))
        path.chmod(0o666)
        with open(path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), 16)

    def environment(self):
        return {"POSTERN_CLOCK": str(self.path)}

    def set_wall(self, ahead):
        struct.pack_into("q", self.memory, 0, ahead * 1_000_000)

    def stand_still(self, seconds):
        """All processes did nothing for so long. They notice it when something wakes them."""
        (ahead,) = struct.unpack_from("q", self.memory, 8)
        struct.pack_into("q", self.memory, 8, ahead + seconds * 1_000_000)


NONE, FAIL, SHORT, KILL = range(4)  # what a call does


class Control:
    """What the daemon's system calls on files do: the memory that disk_faulty.c shares with us, laid out as there."""
    CALLS, STRIKE, ACTION, ERROR, HOLD, HELD, LACKS, MADE, NAME, MAX, FULL = 0, 8, 16, 20, 24, 32, 40, 104, 20, 1024, 20584

    def __init__(self, path):
        size = self.FULL + 4
        path.write_bytes(bytes(size))
        path.chmod(0o666)
        with open(path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), size)

    def put(self, at, form, value):
        struct.pack_into(form, self.memory, at, value)

    def get(self, at, form="Q"):
        return struct.unpack_from(form, self.memory, at)[0]

    def lack(self, *names):
        words = f" {' '.join(names)} ".encode()
        self.memory[self.LACKS:self.LACKS + len(words)] = words

    def arm(self, strike, action=NONE, error=0, hold=0):
        """From now on calls count from 1, and this happens to number `strike`, and number `hold` waits until released."""
        self.put(self.STRIKE, "Q", strike)
        self.put(self.ACTION, "I", action)
        self.put(self.ERROR, "i", error)
        self.put(self.HELD, "Q", 0)
        self.put(self.HOLD, "Q", hold)
        self.put(self.CALLS, "Q", 0)

    def fill(self, full):
        """From now on there is no room left on any disk, or again."""
        self.put(self.FULL, "I", full)

    def release(self):
        self.put(self.HOLD, "Q", 0)

    def calls(self):
        return self.get(self.CALLS)

    def made(self):
        """The names of all calls since `arm`."""
        count = self.calls()
        assert count < self.MAX, f"{count} calls"
        return [self.get(self.MADE + self.NAME * number, f"{self.NAME}s").partition(b"\0")[0].decode()
                for number in range(1, count + 1)]

    def struck(self):
        """The name of the call that something happened to; None when there was no such call."""
        strike = self.get(self.STRIKE)
        return self.made()[strike - 1] if 0 < strike <= self.calls() else None


def faulty_postern(tools, postern, folder):
    """The path of a postern_faulty that has postern-host beside it."""
    folder.mkdir()
    shutil.copy(tools / "integration" / "postern_faulty", folder)
    (folder / "postern-host").symlink_to(Path(postern).resolve().with_name("postern-host"))
    return str(folder / "postern_faulty")
