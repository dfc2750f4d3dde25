"""kill -9 of the server and of sites, at ten random moments each, in runs of real processes: the model is the
undisturbed one, bit for bit."""

import os
import random
import time
import unittest

from federation_process import BRCA, BRCA_SITES, Federation, LogWatch

ROUNDS = 50
KILLS = 5  # in a run
RUNS = 2
SEED = int(os.environ.get("FED_LEARN_KILL_SEED", "20210601"))


class KillTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.first = Federation(BRCA, BRCA_SITES, server_set=[f"servers.0.num_rounds={ROUNDS}"])
        cls.addClassCleanup(cls.first.__exit__)
        cls.undisturbed = cls.run_through(cls.first)

    @staticmethod
    def run_through(federation, disturb=lambda federation: None):
        federation.start_server()
        federation.start_sites()
        disturb(federation)
        return federation.finish()

    def another(self, **options):
        return Federation(BRCA, BRCA_SITES, kits=self.first.kits, **{"server_set": self.first.server_set, **options})

    def check_disturbed(self, draw, kill, kills=KILLS):
        """A run in which `kill` happens some milliseconds after a site has seen some round counted, several times."""
        def disturb(federation):
            for round_number in sorted(draw.sample(range(ROUNDS - 5), kills)):
                witness = draw.choice(BRCA_SITES)
                LogWatch(federation.folder / f"{witness}.log").wait_for(f"round {round_number}: counted")
                time.sleep(draw.uniform(0, 0.1))  # no event marks a random moment
                self.assertTrue(federation.server.running(), "the run ended before the kill")
                victim = kill(federation)
                print(f"  kill -9 of {victim} when {witness}'s round {round_number} was counted", flush=True)

        with self.another() as federation:
            self.assertEqual(self.run_through(federation, disturb), self.undisturbed, f"FED_LEARN_KILL_SEED={SEED}")

    def test_server_is_killed_at_ten_moments(self):
        def kill(federation):
            federation.server.kill()
            federation.start_server()
            return "the server"

        draw = random.Random(SEED)
        for _ in range(RUNS):
            self.check_disturbed(draw, kill)

    def test_site_is_killed_at_ten_moments(self):
        draw = random.Random(SEED + 1)

        def kill(federation):
            victim = draw.choice(BRCA_SITES)
            federation.clients[victim].kill()
            federation.start_site(victim)
            return victim

        for _ in range(RUNS):
            self.check_disturbed(draw, kill)

    def test_everybody_is_killed_at_once(self):
        def kill(federation):
            for process in [*federation.clients.values(), federation.server]:
                process.kill()
            federation.start_server()
            federation.start_sites()
            return "everybody"

        self.check_disturbed(random.Random(SEED + 2), kill, kills=1)

    def test_another_seed_gives_another_model(self):
        """So the comparisons above can fail."""
        with self.another(server_set=[*self.first.server_set, "seed=1"]) as federation:
            self.assertNotEqual(self.run_through(federation), self.undisturbed)


if __name__ == "__main__":
    print(f"seed {SEED}; FED_LEARN_KILL_SEED sets another", flush=True)
    unittest.main()
