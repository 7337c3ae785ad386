"""coverage.py BUILD [--files] [--missing LAYER/FILE...]: what gcov counted in BUILD, by layer of src/, against the bars.

Each object's counts come from `gcov --json-format`; what several objects have of one source (headers, sources that a test includes) is
added up. Counted are all files below src/, and of these all lines for which gcc made code and all branches that gcov tells of at -O0.

The one thing that is left out of the branches: lines that begin with `pst_assert(`. One of their branches is a bug of ours, which ends the
process, so that no test can take it and go on. (Their lines are counted.) The figure with them stands beside.
"""
import argparse
import collections
import concurrent.futures
import gzip
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
BARS_BRANCHES = {"smtp": 85, "delivery": 85, "worker": 85}
BAR_LINES = 92
ASSERTION = re.compile(r"\s*pst_assert\(")


class Source:
    def __init__(self, path):
        self.lines = {}     # number: times executed
        self.branches = {}  # number: [times taken, ...]
        self.text = path.read_text().splitlines()

    def add(self, number, count, branches):
        self.lines[number] = self.lines.get(number, 0) + count
        mine = self.branches.get(number, [])
        if len(branches) > len(mine):
            self.branches[number] = branches
        elif len(branches) == len(mine):
            self.branches[number] = [a + b for a, b in zip(mine, branches)]

    def is_assertion(self, number):
        return ASSERTION.match(self.text[number - 1]) is not None

    def sums(self):
        """Lines, lines executed, branches, taken; then the last two with those of assertions."""
        with_assertions = [taken for branches in self.branches.values() for taken in branches]
        branches = [taken for number, found in self.branches.items() if not self.is_assertion(number) for taken in found]
        return collections.Counter(lines=len(self.lines), executed=sum(count > 0 for count in self.lines.values()),
                                   branches=len(branches), taken=sum(taken > 0 for taken in branches),
                                   all_branches=len(with_assertions), all_taken=sum(taken > 0 for taken in with_assertions))


def gcov(build, counts):
    """[(path below the top, lines)] of one object."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["gcov", "--json-format", "--branch-probabilities", counts], cwd=folder, check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        found = []
        for path in Path(folder).glob("*.gcov.json.gz"):
            for file in json.load(gzip.open(path))["files"]:
                source = (build / file["file"]).resolve()
                if source.is_relative_to(TOP / "src"):
                    found.append((source.relative_to(TOP / "src"), file["lines"]))
        return found


def measure(build):
    sources = {}
    # Those of src/ first: what a test that includes a source made other by macros has, is added where it fits.
    objects = sorted(build.glob("src/**/*.gcda")) + sorted(build.glob("tests/**/*.gcda"))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for found in pool.map(lambda counts: gcov(build, counts), objects):
            for path, lines in found:
                source = sources.setdefault(path, Source(TOP / "src" / path))
                for line in lines:
                    source.add(line["line_number"], line["count"], [branch["count"] for branch in line["branches"]])
    return sources


def never_run(build, sources):
    """Sources that no program of the tests has: their lines count, as never executed."""
    for notes in build.glob("src/**/*.gcno"):
        if not notes.with_suffix(".gcda").exists():
            for path, lines in gcov(build, notes):
                source = sources.setdefault(path, Source(TOP / "src" / path))
                for line in lines:
                    source.add(line["line_number"], 0, [0] * len(line["branches"]))


def percent(part, whole):
    return 100 * part / whole if whole else 100


def row(name, sums, bars=""):
    print(f"{name:<32}{sums['lines']:>7}{percent(sums['executed'], sums['lines']):>8.1f} %"
          f"{sums['branches']:>9}{percent(sums['taken'], sums['branches']):>8.1f} %"
          f"{percent(sums['all_taken'], sums['all_branches']):>12.1f} %  {bars}".rstrip())


def print_missing(path, source):
    for number in sorted(source.lines):
        taken = source.branches.get(number, [])
        never = sum(count == 0 for count in taken)
        if source.lines[number] == 0 or (never and not source.is_assertion(number)):
            note = "-" if source.lines[number] == 0 else f"{never}/{len(taken)}"
            print(f"{path}:{number}: {note:>6}  {source.text[number - 1]}")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("build", type=Path)
    arguments.add_argument("--files", action="store_true", help="a row for each file, too")
    arguments.add_argument("--missing", nargs="+", metavar="PATH", help="only the lines below PATH of src/ that were not executed (-), "
                           "and of which branches were not taken (how many of how many)")
    given = arguments.parse_args()
    sources = measure(given.build.resolve())
    never_run(given.build.resolve(), sources)
    if given.missing:
        for path in sorted(sources):
            if any(path.is_relative_to(wanted) for wanted in given.missing):
                print_missing(path, sources[path])
        return 0

    layers = collections.defaultdict(collections.Counter)
    for path, source in sources.items():
        layers[path.parts[0]].update(source.sums())
    total = sum(layers.values(), collections.Counter())
    failed = False
    print(f"{'':<32}{'lines':>7}{'executed':>10}{'branches':>9}{'taken':>10}{'with asserts':>14}")
    for layer in sorted(layers):
        bar = BARS_BRANCHES.get(layer)
        bad = bar is not None and percent(layers[layer]["taken"], layers[layer]["branches"]) < bar
        failed |= bad
        row(f"src/{layer}", layers[layer], "" if bar is None else f"branches {'<' if bad else '>='} {bar} %")
        if given.files:
            for path in sorted(sources):
                if path.parts[0] == layer:
                    row(f"  {path}", sources[path].sums())
    bad = percent(total["executed"], total["lines"]) < BAR_LINES
    row("src", total, f"lines {'<' if bad else '>='} {BAR_LINES} %")
    return 1 if failed or bad else 0


if __name__ == "__main__":
    sys.exit(main())
