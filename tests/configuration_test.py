"""Every key of the shipped schemas stands in docs/configuration.md with its default, and there are five time settings."""

import json
import os
import pathlib
import re
import unittest

ROOT = pathlib.Path(os.environ.get("FED_LEARN_SOURCE", pathlib.Path(__file__).resolve().parent.parent))
PAGE = (ROOT / "docs" / "configuration.md").read_text()
SCHEMAS = {side: json.loads((ROOT / "schemas" / f"config_fed_{side}.schema.json").read_text())
           for side in ("server", "client")}
TIMES = {"wait_after_min_clients": 10, "heart_beat_timeout": 600, "round_timeout": None, "retry_timeout": 7200,
         "trainer_stall_timeout": 600}
ROW = re.compile(r"^\| `([^`]+)` \| ([^|]+) \| ([^|]+) \| (.+) \|$", re.MULTILINE)


def keys(root, schema, path=""):
    """(path, schema) of every key below `schema`; lists add [], component entries are not entered."""
    for name, below in schema.get("properties", {}).items():
        if below.get("$ref") == "#/definitions/component":
            yield path + name, below
            continue
        items = below.get("items", {})
        if "$ref" in items:
            items = root["definitions"][items["$ref"].rsplit("/", 1)[1]]
        inner = items if "properties" in items else below
        is_component = below.get("items", {}).get("$ref") == "#/definitions/component"
        if "properties" in inner and not is_component:
            yield from keys(root, inner, path + name + ("[]." if inner is items else "."))
        else:
            yield path + name, below


def section(title):
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


class ConfigurationTest(unittest.TestCase):
    def test_every_key_is_described_with_its_default(self):
        for side, schema in SCHEMAS.items():
            rows = {key: default for key, _, default, _ in ROW.findall(section(f"The {side}'s file"))}
            for path, below in keys(schema, schema):
                self.assertIn(path, rows, f"docs/configuration.md lacks a row for {path} of the {side}'s file")
                wanted = f"`{json.dumps(below['default'])}`" if "default" in below else "–"
                self.assertEqual(rows.pop(path), wanted, f"docs/configuration.md: default of {path}")
            self.assertFalse(rows, f"docs/configuration.md describes keys that the {side}'s schema does not have")

    def test_the_keys_of_a_component_are_described(self):
        described = {key for key, *_ in ROW.findall(section("Components"))}
        for schema in SCHEMAS.values():
            self.assertEqual(described, set(schema["definitions"]["component"]["properties"]))

    def test_every_key_has_a_meaning_and_a_type(self):
        for schema in SCHEMAS.values():
            for path, below in keys(schema, schema):
                self.assertTrue(below.get("description"), path)
                self.assertTrue("type" in below or "$ref" in below, path)

    def test_there_are_five_time_settings(self):
        found = {}
        for schema in SCHEMAS.values():
            for path, below in keys(schema, schema):
                name = re.split(r"[.\]]+", path)[-1]
                if below.get("x-unit") == "seconds" or re.search(
                        r"timeout|time$|wait|beat|interval|delay|period|seconds|retry|deadline", name):
                    found[name] = below.get("default")
        self.assertEqual(found, TIMES, "a time setting more is one more thing to tune; judge by progress instead")

    def test_no_object_takes_unknown_keys(self):
        def check(below, path):
            if isinstance(below, dict):
                if "properties" in below and below.get("type") == "object":
                    self.assertIs(below.get("additionalProperties"), False, path)
                for name, inner in below.items():
                    check(inner, f"{path}/{name}")
        for side, schema in SCHEMAS.items():
            check(schema, side)


if __name__ == "__main__":
    unittest.main()
