"""The repository holds itself to its own plan: rooms, reach, habits, links. Says what to do instead, not only what is wrong."""

import os
import pathlib
import re
import sys
import unittest

ROOT = pathlib.Path(os.environ.get("FED_LEARN_SOURCE", pathlib.Path(__file__).resolve().parent.parent))
SRC = ROOT / "src"
CODE = sorted(p for p in SRC.rglob("*") if p.suffix in {".h", ".cc"})
INCLUDE = re.compile(r'^\s*#include "([^"]+)"', re.MULTILINE)

# Calls that make a run depend on the moment or the machine, where they may stand, and what to use instead.
BANNED = {
    r"\bsleep_for\b|\bsleep_until\b|\busleep\(": ({"base/child_reaper.cc"}, "await an event: Loop::After, a condition variable, poll"),
    r"\bsystem_clock::now\b|\bsteady_clock::now\b|\bgettimeofday\b|\btime\(nullptr\)": (
        {"transport/asio_loop.cc", "base/log.cc", "transport/local", "client/command", "demo/", "client/trainer_process"},
        "the time comes from the Loop that the constructor was given"),
    # The tabular model starts as torch would start it, and that is torch's generator.
    r"\brandom_device\b|\bmt19937\b": ({"trainers/tabular_model_source.cc"}, "Random of base/random.h, from a seed; keys and tokens from OpenSSL"),
    r"\bstd::rand\b|\bsrand\(": (set(), "Random of base/random.h"),
    r"\bsystem\(|\bpopen\(": (set(), "start programs without a shell"),
}


def rooms():
    """Room -> rooms it links, as the root CMakeLists.txt says."""
    text = (ROOT / "CMakeLists.txt").read_text()
    found = {}
    for name, rest in re.findall(r"^fed_learn_room\((\w+)([^)]*)\)", text, re.MULTILINE):
        links = re.search(r"LINKS((?:\s+\w+)+?)(?:\s+LIBRARIES|\s*$)", rest)
        found[name] = set(links.group(1).split()) if links else set()
    return found


class HouseTest(unittest.TestCase):
    def test_arrows_are_those_of_the_picture(self):
        links = rooms()
        for path in CODE:
            room = path.relative_to(SRC).parts[0]
            self.assertIn(room, links, f"{path}: the room '{room}' is not in the root CMakeLists.txt")
            for include in INCLUDE.findall(path.read_text()):
                target = include.split("/")[0]
                if target in links and target != room:
                    self.assertIn(target, links[room],
                                  f"{path.relative_to(ROOT)} includes {include}, but {room} may see only "
                                  f"{sorted(links[room])}; put what both need into a room below them")

    def test_rooms_of_the_middle_do_not_know_each_other(self):
        links = rooms()
        middle = {"formats", "aggregation", "codec", "privacy", "workflows", "transport", "identity", "trainers"}
        for room in middle & set(links):
            self.assertFalse(links[room] & middle, f"{room} links {links[room] & middle}")

    def test_no_cycle_among_rooms(self):
        links = rooms()
        done = set()

        def visit(room, path):
            self.assertNotIn(room, path, f"cycle: {' -> '.join(path + [room])}")
            if room in done:
                return
            for other in links.get(room, ()):
                visit(other, path + [room])
            done.add(room)

        for room in links:
            visit(room, [])

    def test_every_header_has_a_reader(self):
        included = set()
        for folder in (SRC, ROOT / "tools", ROOT / "benchmarks", ROOT / "tests"):
            for path in folder.rglob("*"):
                if path.suffix in {".h", ".cc"}:
                    for include in INCLUDE.findall(path.read_text()):
                        included.add((include, path.with_suffix("").name))
        for path in CODE:
            if path.suffix != ".h":
                continue
            name = str(path.relative_to(SRC))
            readers = {stem for include, stem in included if include == name}
            self.assertTrue(readers, f"{name} is included by nobody: delete it, or use it")

    def test_headers_say_what_they_are_before_their_first_line_of_code(self):
        for path in CODE:
            if path.suffix == ".h":
                text = path.read_text()
                self.assertTrue(text.startswith("//"), f"{path.relative_to(ROOT)}: begin with what it is and its threads")
                self.assertIn("#pragma once", text, f"{path.relative_to(ROOT)}: no include guard")

    def test_nothing_reaches_past_the_constructor(self):
        for path in CODE:
            name = str(path.relative_to(SRC))
            if "_test." in name or "_bench." in name:
                continue
            text = path.read_text()
            for pattern, (allowed, instead) in BANNED.items():
                match = re.search(pattern, text)
                if match and not any(name.startswith(a) for a in allowed):
                    self.fail(f"{name} uses {match.group(0)}: {instead}")

    def test_lines_fit(self):
        for path in CODE + sorted((ROOT / "tools").rglob("*.cc")):
            for number, line in enumerate(path.read_text().splitlines(), 1):
                self.assertLessEqual(len(line), 120, f"{path.relative_to(ROOT)}:{number}: run clang-format")

    def test_reminders_are_done_or_gone(self):
        for path in CODE:
            match = re.search(r"\b(TODO|FIXME|XXX|HACK)\b", path.read_text())
            self.assertFalse(match, f"{path.relative_to(ROOT)}: do it, or say in an issue why not yet")

    def test_links_in_documents_lead_somewhere(self):
        for page in sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").rglob("*.md")) + sorted(
                (ROOT / "examples").rglob("*.md")):
            for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
                if "://" not in target and not target.startswith("mailto:"):
                    self.assertTrue((page.parent / target).exists(),
                                    f"{page.relative_to(ROOT)} links to {target}, which is not there")

    def test_at_most_five_settings_are_times(self):
        names = set()
        for schema in (ROOT / "schemas").glob("*.json"):
            names |= set(re.findall(r'"(\w*(?:timeout|wait|interval|seconds|period|delay)\w*)"\s*:\s*\{', schema.read_text()))
        self.assertLessEqual(len(names), 5, f"time settings: {sorted(names)}; judge by progress instead of adding one")

    def test_the_project_speaks_of_itself_alone(self):
        forbidden = re.compile(r"/wo" r"rk/|/ro" r"ot/|\.lib" r"rary|py" r"pi\.org|registry\.np" r"mjs|deb\.deb" r"ian\.org")
        for path in ROOT.rglob("*"):
            relative = path.relative_to(ROOT)
            if not path.is_file() or {".git", "build", "bin", "demo", "__pycache__"} & {relative.parts[0], path.parent.name}:
                continue
            if path.suffix in {".png", ".npz"}:
                continue
            match = forbidden.search(path.read_text(errors="ignore"))
            self.assertFalse(match, f"{relative}: '{match.group(0) if match else ''}' is of one machine, not of the project")


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=1))
