"""Runs a program's unittest cases and tells of them as TAP; a failing one also says how to run just itself."""
import os
import re
import sys
import unittest


def print_diagnostics(text):
    for line in text.rstrip("\n").split("\n"):
        print("#", line, flush=True)


def is_sanitized(program):
    return program.exists() and b"__asan_init" in program.read_bytes()


def unless_sanitized(program):
    """A decorator of cases that mean nothing with sanitizers in that program: there they are left out, as no such cases exist."""
    sanitized = is_sanitized(program)
    return lambda reason: lambda case: None if sanitized else case


class TapResult(unittest.TestResult):
    def __init__(self, environment):
        super().__init__()
        self.environment = environment
        self.count = 0
        self.subtest_failed = False

    def describe(self, test):
        return re.sub(r"[#\\]", "", test._testMethodName.removeprefix("test_").replace("_", " "))

    def report(self, test, line, suffix=""):
        self.count += 1
        print(f"{line} {self.count} - {self.describe(test)}{suffix}", flush=True)

    def startTest(self, test):
        super().startTest(test)
        self.subtest_failed = False

    def addSuccess(self, test):
        super().addSuccess(test)
        self.report(test, "ok")

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.report(test, "ok", f" # SKIP {reason}")

    def fail(self, test, error):
        print_diagnostics(self._exc_info_to_string(error, test))
        print_diagnostics(f"to run just this one: {self.environment} python3 {os.path.abspath(sys.argv[0])} "
                          f"{test.__class__.__name__}.{test._testMethodName}")

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.fail(test, error)
        if not self.subtest_failed:
            self.report(test, "not ok")

    def addError(self, test, error):
        self.addFailure(test, error)

    def addSubTest(self, test, subtest, error):
        if error is not None:
            super().addSubTest(test, subtest, error)
            print_diagnostics(f"in {subtest._subDescription()}")
            self.fail(test, error)
            if not self.subtest_failed:
                self.report(test, "not ok")
            self.subtest_failed = True


def run(environment):
    """Runs the calling program's tests; arguments name a class or Class.test to run only these. Never returns.

    `environment` is what must stand in front of the program's name to run it by hand: "NAME=value ...".
    """
    module = sys.modules["__main__"]
    loader = unittest.defaultTestLoader
    suite = loader.loadTestsFromNames(sys.argv[1:], module) if sys.argv[1:] else loader.loadTestsFromModule(module)
    print(f"1..{suite.countTestCases()}", flush=True)
    result = TapResult(environment)
    suite.run(result)
    sys.exit(0 if result.wasSuccessful() else 1)
