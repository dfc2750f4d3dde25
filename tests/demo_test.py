"""The demo as a user runs it: seven processes over TLS; the same model as the same app and seed in one process."""

import hashlib
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

FEDLEARN = os.environ["FEDLEARN"]
SOURCE = pathlib.Path(os.environ["FED_LEARN_SOURCE"])
APP = SOURCE / "examples" / "fed_tcga_brca"


def run(*arguments):
    return subprocess.run([FEDLEARN, *map(str, arguments)], cwd=SOURCE, capture_output=True, text=True, timeout=240)


class DemoTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.out = pathlib.Path(cls.folder.name) / "out"
        cls.demo = run("demo", "--seed", 3, "-o", cls.out, "--work", pathlib.Path(cls.folder.name) / "run")

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_it_ends_well_and_says_what_happened(self):
        self.assertEqual(self.demo.returncode, 0, self.demo.stdout + self.demo.stderr)
        self.assertIn("6 sites trained one model in 20 rounds", self.demo.stdout)
        self.assertIn("pooled training", self.demo.stdout)

    def test_the_summary_has_every_figure(self):
        summary = json.loads((self.out / "summary.json").read_text())
        self.assertEqual(summary["sites"], 6)
        self.assertEqual(summary["rounds"], 20)
        self.assertEqual(summary["seed"], 3)
        self.assertEqual(summary["tls"]["version"], "TLSv1.3")
        self.assertGreater(summary["tls"]["handshakes"], 0)
        self.assertGreater(summary["seconds"], 0)
        scores = summary["c_index"]
        self.assertGreater(scores["federated"], 0.78)
        self.assertEqual(len(scores["each_site_alone"]), 6)
        self.assertIn("FedAdam", scores["published"]["federated"])
        for alone in scores["each_site_alone"].values():
            self.assertLess(alone, scores["federated"])

    def test_the_model_is_the_one_of_the_same_app_and_seed_in_one_process(self):
        summary = json.loads((self.out / "summary.json").read_text())
        model = (self.out / "model.safetensors").read_bytes()
        self.assertEqual(hashlib.sha256(model).hexdigest(), summary["model_sha256"])
        for clock in ("real", "simulated"):
            simulated = run("simulate", APP, "--json", "--site-prefix", "region_", "--clock", clock, "--set", "seed=3",
                            "--set", "model.args.seed=3", "-o", pathlib.Path(self.folder.name) / clock)
            self.assertEqual(simulated.returncode, 0, simulated.stderr)
            self.assertEqual(json.loads(simulated.stdout)["model_sha256"], summary["model_sha256"], clock)

    def test_curves_and_event_files_are_there(self):
        self.assertIn("</svg>", (self.out / "curves.svg").read_text())
        self.assertTrue((self.out / "curves.png").read_bytes().startswith(b"\x89PNG"))
        self.assertTrue(list((self.out / "tensorboard").glob("events.out.tfevents.*")))

    def test_a_second_demo_makes_no_new_keys(self):
        kits = pathlib.Path(self.folder.name) / "run" / "kits"
        before = {p: p.stat().st_mtime_ns for p in kits.rglob("*.key")}
        again = run("demo", "--seed", 4, "-o", self.out / "again", "--work", pathlib.Path(self.folder.name) / "run")
        self.assertEqual(again.returncode, 0, again.stdout + again.stderr)
        self.assertEqual(before, {p: p.stat().st_mtime_ns for p in kits.rglob("*.key")})
        self.assertEqual(len(before), 9)


class MisuseTest(unittest.TestCase):
    """One clear line, and the exit code of docs/exit_codes.md."""

    def check(self, code, needle, *arguments):
        result = run(*arguments)
        self.assertEqual(result.returncode, code, result.stdout + result.stderr)
        self.assertIn(needle, result.stderr + result.stdout)

    def test_no_command(self):
        self.check(2, "--help")

    def test_unknown_option(self):
        self.check(2, "--nonsense", "simulate", APP, "--nonsense")

    def test_misspelt_key(self):
        with tempfile.TemporaryDirectory() as folder:
            self.check(2, "did you mean", "simulate", APP, "-o", folder, "--set", "servers.0.num_round=5")

    def test_no_app(self):
        self.check(1, "config_fed_server.json", "simulate", "/nonexistent")

    def test_no_kit(self):
        self.check(1, "startup/manifest.json is missing", "server", "--kit", "/nonexistent", "--app", APP)

    def test_wrong_number_of_sites_for_the_data(self):
        with tempfile.TemporaryDirectory() as folder:
            self.check(1, "hospital_0", "simulate", APP, "-o", folder, "--site-prefix", "hospital_")

    def test_every_command_has_help_with_an_example(self):
        for command in ("demo", "simulate", "server", "client", "admin", "provision", "inspect"):
            result = run(command, "--help")
            self.assertEqual(result.returncode, 0)
            self.assertIn("Example", result.stdout, command)


if __name__ == "__main__":
    unittest.main()
