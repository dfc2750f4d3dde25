"""A model of which a site trains one per cent: from the second round on, hardly more than that goes over the wire."""

import array
import json
import os
import pathlib
import random
import socket
import struct
import subprocess
import tempfile
import unittest

from counting_relay import CountingRelay
from federation_process import ROOT, SLOW_TESTS, Federation

PYTHON = "/usr/bin/python3"  # Debian's, for which python3-numpy is installed
HAS_NUMPY = subprocess.run([PYTHON, "-c", "import numpy"], capture_output=True).returncode == 0
FROZEN_TENSORS = 9
ROUNDS = 4

# The script hands the whole model back, as scripts with a frozen backbone do, and changes its head. Before each round it
# waits until the bytes so far are noted.
TRAINER = """
import os, socket
import fed_learn, numpy as np

marks = socket.socket(socket.AF_UNIX)
marks.connect(os.environ["FED_LEARN_MARKS"])
for task in fed_learn.tasks():
    if task.kind != "train":
        task.submit(metrics={})
        continue
    marks.sendall(b"r")
    marks.recv(1)
    task.submit({**task.model, "head": task.model["head"] + np.float32(0.5 + task.round)}, n_iter=1)
"""


def write_safetensors(path, tensors):
    """`tensors`: name → list of pieces of f32 bytes."""
    header, at = {}, 0
    for name, pieces in tensors.items():
        size = sum(map(len, pieces))
        header[name] = {"dtype": "F32", "shape": [size // 4], "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for pieces in tensors.values():
            file.writelines(pieces)


def model_of(size):
    """A backbone of 99 parts of a hundred, each tensor different from the others, and a head of one."""
    block = array.array("f", random.Random(1).choices([0.25, -0.5, 1.5, 3.0], k=1 << 16)).tobytes()
    frozen = size * 99 // 100 // FROZEN_TENSORS // 4 * 4

    def tensor(mark, bytes_left):
        first = struct.pack("<f", mark)
        whole, rest = divmod(bytes_left - len(first), len(block))
        return [first, *[block] * whole, block[:rest]]

    tensors = {f"backbone.{i}": tensor(float(i + 1), frozen) for i in range(FROZEN_TENSORS)}
    return {**tensors, "head": tensor(-1.0, size // 100 // 4 * 4)}


@unittest.skipUnless(HAS_NUMPY, f"{PYTHON} has no NumPy; install python3-numpy")
class FrozenBackboneTest(unittest.TestCase):
    def write_app(self, folder, size):
        app = folder / "app"
        (app / "config").mkdir(parents=True)
        write_safetensors(app / "first.safetensors", model_of(size))
        (app / "train.py").write_text(TRAINER)
        name = [{"name": "frozen_backbone"}]
        server = {"servers": [{**name[0], "min_num_clients": 1, "max_num_clients": 1, "num_rounds": ROUNDS}],
                  "model_saver": {"name": "SafetensorsModelSaver", "args": {"ckpt_preload_path": "first.safetensors"}}}
        environment = {"PYTHONPATH": str(ROOT / "python"), "PYTHONDONTWRITEBYTECODE": "1",
                       "FED_LEARN_MARKS": str(folder / "marks")}
        client = {"servers": name, "client": {"trainer": {"name": "CommandFitter", "args": {
            "command": [PYTHON, "train.py"], "environment": environment}}}}
        (app / "config" / "config_fed_server.json").write_text(json.dumps(server))
        (app / "config" / "config_fed_client.json").write_text(json.dumps(client))
        return app

    def bytes_at_round_starts(self, federation, listener):
        """(up, down) at the start of each round's training, and at the end of the run."""
        federation.start_server()
        relay = CountingRelay(("127.0.0.1", federation.port))
        self.addCleanup(relay.close)
        federation.start_site("site_1", address=relay.address)
        listener.settimeout(300)
        marks, _ = listener.accept()
        counts = []
        with marks:
            marks.settimeout(300)
            while marks.recv(1):
                counts.append(relay.counts())
                marks.sendall(b"g")
        federation.finish()
        return counts + [relay.counts()]

    def check(self, size):
        with tempfile.TemporaryDirectory(prefix="frozen_") as folder, socket.socket(socket.AF_UNIX) as listener:
            app = self.write_app(pathlib.Path(folder), size)
            listener.bind(os.path.join(folder, "marks"))
            listener.listen()
            with Federation(app, ["site_1"]) as federation:
                counts = self.bytes_at_round_starts(federation, listener)
            self.assertEqual(len(counts), ROUNDS + 1)
            first_down = counts[0][1]
            down = [after[1] - before[1] for before, after in zip(counts, counts[1:-1])]  # of rounds 1, 2, …
            up = [after[0] - before[0] for before, after in zip(counts, counts[1:])]      # of rounds 0, 1, 2, …
            print(f"  {size >> 20} MB, 1 % trained; of that on the wire: first model {first_down / size:.2%}, "
                  f"later ones {', '.join(f'{value / size:.4%}' for value in down)}, updates "
                  f"{', '.join(f'{value / size:.4%}' for value in up)}", flush=True)
            self.assertGreater(first_down, 0.99 * size)
            for value in down + up:
                self.assertGreater(value, 0.0099 * size)  # or nothing was trained
                self.assertLessEqual(value, 0.0105 * size)

    def test_64_mb(self):
        self.check(64 << 20)

    @unittest.skipUnless(SLOW_TESTS, "needs 8 GB of memory and some minutes; FED_LEARN_SLOW_TESTS=1 runs it")
    def test_1_gb(self):
        self.check(1 << 30)


if __name__ == "__main__":
    unittest.main()
