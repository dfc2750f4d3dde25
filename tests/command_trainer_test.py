"""A federation whose sites train with a script: examples/numpy_trainer, through `fedlearn simulate`."""

import json
import os
import pathlib
import select
import signal
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(os.environ.get("FED_LEARN_SOURCE", pathlib.Path(__file__).resolve().parent.parent))
FEDLEARN = os.environ["FEDLEARN"]
PYTHON = "/usr/bin/python3"  # Debian's, for which python3-numpy is installed
HAS_NUMPY = subprocess.run([PYTHON, "-c", "import numpy"], capture_output=True).returncode == 0


def processes_in(folder):
    """Ids of the processes whose working directory is `folder`."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.readlink(entry / "cwd") == str(folder):
                found.append(int(entry.name))
        except OSError:
            pass
    return found


@unittest.skipUnless(HAS_NUMPY, f"{PYTHON} has no NumPy; install python3-numpy")
class CommandTrainerTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name).resolve()

    def command(self, output, script="train.py", **args):
        args = {"command": [PYTHON, str(script)], "environment": {"PYTHONPATH": str(ROOT / "python"),
                                                                  "PYTHONDONTWRITEBYTECODE": "1"}, **args}
        overrides = [f"client.trainer.args.{key}={json.dumps(value)}" for key, value in args.items()]
        return [FEDLEARN, "simulate", str(ROOT / "examples" / "numpy_trainer"), "--sites", "3", "--json", "-o",
                str(self.folder / output), *(word for override in overrides for word in ("--set-client", override))]

    def simulate(self, output, **args):
        done = subprocess.run(self.command(output, **args), capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def test_three_sites_learn_and_two_runs_give_the_same_bits(self):
        first = self.simulate("first")
        self.assertEqual(first["rounds"], 5)
        self.assertEqual(self.simulate("second")["model_sha256"], first["model_sha256"])

    def test_script_that_dies_in_the_middle_costs_nothing(self):
        broken = self.folder / "breaks_once.py"
        broken.write_text(f"""
import os, signal, sys
sys.path.insert(0, {str(ROOT / "examples" / "numpy_trainer")!r})
import fed_learn
original = fed_learn.Task.submit
def submit(task, *args, **kwargs):
    marker = {str(self.folder)!r} + f"/broke_{{task.client_name}}_{{task.round}}"
    if task.round == 2 and not os.path.exists(marker):
        open(marker, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    original(task, *args, **kwargs)
fed_learn.Task.submit = submit
import train
""")
        calm = self.simulate("calm")
        self.assertEqual(self.simulate("broken", script=broken)["model_sha256"], calm["model_sha256"])
        self.assertEqual(len(list(self.folder.glob("broke_*"))), 3)

    def test_nothing_survives_a_killed_client(self):
        work = self.folder / "work"
        work.mkdir()
        os.mkfifo(self.folder / "ready")
        hanging = self.folder / "hangs.py"
        hanging.write_text(f"""
import signal, subprocess
child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
open({str(self.folder / "ready")!r}, "w").write("x")
signal.pause()
""")
        client = subprocess.Popen(self.command("killed", script=hanging, working_directory=str(work)),
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with open(self.folder / "ready") as ready:
            self.assertIn("x", ready.read(1))
        watched = [os.pidfd_open(pid) for pid in processes_in(work)]
        self.assertGreaterEqual(len(watched), 2, "a script and what it started")
        client.send_signal(signal.SIGKILL)
        client.wait()
        for process in watched:
            self.wait_for_end(process)

    def wait_for_end(self, process):
        poll = select.poll()
        poll.register(process, select.POLLIN)
        self.assertTrue(poll.poll(60000), "a process has survived the client")
        os.close(process)


if __name__ == "__main__":
    unittest.main()
