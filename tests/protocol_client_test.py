"""A site that is examples/protocol_client.py, among sites that are `fedlearn client`."""

import hashlib
import importlib.util
import json
import sqlite3
import sys
import unittest

from federation_process import BRCA, BRCA_SITES, ROOT, Federation, Process

ROUNDS = 3
SCRIPT = ROOT / "examples" / "protocol_client.py"

_spec = importlib.util.spec_from_file_location("protocol_client", SCRIPT)
protocol_client = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(protocol_client)


class ProtocolClientTest(unittest.TestCase):
    def federation(self, sites=BRCA_SITES):
        federation = Federation(BRCA, sites, server_set=[f"servers.0.num_rounds={ROUNDS}",
                                                         f"servers.0.min_num_clients={len(sites)}"])
        self.addCleanup(federation.__exit__)
        federation.start_server()
        return federation

    def run_with(self, script):
        federation = self.federation()
        federation.start_sites(BRCA_SITES[:-1])
        name = BRCA_SITES[-1]
        words = [sys.executable, script, federation.kits / name, federation.address, "fed_tcga_brca"]
        federation.clients[name] = Process(name, words, federation.folder / f"{name}.log")
        return federation, federation.finish()

    def test_script_takes_part_in_every_round(self):
        federation, _ = self.run_with(SCRIPT)
        self.assertEqual((federation.folder / f"{BRCA_SITES[-1]}.log").read_text().splitlines(),
                         [f"round {number}: counted" for number in range(ROUNDS)])
        with sqlite3.connect(federation.folder / "server" / "run_1" / "store" / "store.db") as store:
            rows = store.execute("SELECT sites FROM rounds WHERE round >= 0").fetchall()
        self.assertEqual([json.loads(sites) for sites, in rows], [BRCA_SITES] * ROUNDS)

    def test_what_it_sends_is_what_counts(self):
        federation, model = self.run_with(SCRIPT)
        self.assertEqual(self.run_with(SCRIPT)[1], model)
        other = federation.folder / "other_step.py"
        other.write_text(SCRIPT.read_text().replace("-0.01 * value", "-0.02 * value"))
        self.assertNotEqual(self.run_with(other)[1], model)

    def test_bytes_that_are_not_what_their_hash_says_are_refused_and_may_come_again(self):
        federation = self.federation(["region_0", "region_1"])  # the round stays open for the other one
        kit = federation.kits / "region_0"
        session = protocol_client.Session(kit, federation.address)
        session.send(type="hello", versions=[1], task_name="fed_tcga_brca")
        bulk = protocol_client.Bulk(kit, federation.address, session.receive()["token"])
        offer = session.receive()
        difference, metrics = protocol_client.train(protocol_client.fetch_model(bulk, offer["model"]))

        original, protocol_client.hashlib = protocol_client.hashlib, _WrongHashes
        self.addCleanup(setattr, protocol_client, "hashlib", original)
        with self.assertRaisesRegex(ConnectionError, "422.*data_loss.*layers.0.weight"):
            protocol_client.contribute(bulk, offer, difference, metrics)
        protocol_client.hashlib = original
        self.assertEqual(protocol_client.contribute(bulk, offer, difference, metrics), "counted")
        self.assertEqual(protocol_client.contribute(bulk, offer, difference, metrics), "counted")
        session.stream.close()
        bulk.stream.close()


class _WrongHashes:
    """Stands in for hashlib: the right digest of other bytes."""

    @staticmethod
    def sha256(data):
        return hashlib.sha256(data + b"!")


if __name__ == "__main__":
    unittest.main()
