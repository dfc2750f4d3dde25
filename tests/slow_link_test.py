"""Large models over bad networks, with every time setting at its default: the undisturbed model, and hardly more on the
wire than the model has bytes."""

import json
import subprocess
import tempfile
import time
import unittest

from federation_process import BRCA, FEDLEARN, SLOW_TESTS, Federation
from slow_link import SlowLink, why_not

BYTES_PER_HIDDEN_UNIT = 4 * (39 + 1 + 1)  # of a perceptron with the example's 39 inputs
OVERHEAD_MAX = 1.05


@unittest.skipIf(why_not(), why_not())
class SlowLinkTest(unittest.TestCase):
    def settings(self, model_bytes, rounds):
        """One site, whose training is next to nothing."""
        server = [f"servers.0.num_rounds={rounds}", "servers.0.min_num_clients=1", "servers.0.max_num_clients=1",
                  f"model.args.hidden=[{model_bytes // BYTES_PER_HIDDEN_UNIT}]", "aggregator.args={}"]
        return server, ["client.steps_aggregation=1"]

    def undisturbed(self, server_set, client_set):
        words = [word for entry in server_set for word in ("--set", entry)]
        words += [word for entry in client_set for word in ("--set-client", entry)]
        with tempfile.TemporaryDirectory(prefix="simulated_") as folder:
            done = subprocess.run(
                [FEDLEARN, "simulate", str(BRCA), "--sites", "1", "--site-prefix", "region_", "--json",
                 "-o", folder, *words], capture_output=True, text=True, timeout=300)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)["model_sha256"]

    def run_over(self, link, model_bytes, rounds, meanwhile=lambda: None):
        """Runs server and site at the ends of the link; checks the model and what went over the wire."""
        server_set, client_set = self.settings(model_bytes, rounds)
        with Federation(BRCA, ["region_0"], server_set, client_set, host=link.addresses[0]) as federation:
            began = time.monotonic()
            federation.start_server(namespace=link.namespaces[0])
            federation.start_site("region_0", namespace=link.namespaces[1])
            meanwhile()
            model = federation.finish(seconds=900)
            seconds = time.monotonic() - began
            down, up = link.statistics()
        payload = rounds * model_bytes
        print(f"  {rounds} x {model_bytes / 1e6:.0f} MB each way in {seconds:.0f} s; TLS carried "
              f"{down['tcp_bytes'] / payload:.4f} of that down and {up['tcp_bytes'] / payload:.4f} up, "
              f"IP {down['ip_bytes'] / payload:.3f} and {up['ip_bytes'] / payload:.3f}", flush=True)
        for direction in (down, up):
            self.assertGreater(direction["tcp_bytes"], payload * 0.99)
            self.assertLessEqual(direction["tcp_bytes"], payload * OVERHEAD_MAX)
        self.assertEqual(model, self.undisturbed(server_set, client_set))

    def test_2_mbit_200_ms_and_5_percent_loss(self):
        with SlowLink(rate=2e6, delay=0.2, loss=0.05) as link:
            self.run_over(link, model_bytes=2_000_000, rounds=1)

    @unittest.skipUnless(SLOW_TESTS, "takes some minutes; FED_LEARN_SLOW_TESTS=1 runs it")
    def test_a_cut_of_a_minute_in_the_middle_of_an_upload(self):
        model_bytes = 200_000_000

        def cut_in_the_middle():
            while link.statistics()[1]["tcp_bytes"] < model_bytes // 2:
                time.sleep(0.1)
            link.cut()
            time.sleep(60)  # the length of the cut is the test
            link.mend()

        with SlowLink(rate=100e6, delay=0.01) as link:
            self.run_over(link, model_bytes, rounds=1, meanwhile=cut_in_the_middle)


if __name__ == "__main__":
    unittest.main()
