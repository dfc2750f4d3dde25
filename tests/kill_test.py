"""kill -9 of the server and of a site, at ten moments each, in runs of real processes: the model is the undisturbed one."""

import os
import random
import time
import unittest

from federation_process import BRCA, BRCA_SITES, Federation, LogWatch

ROUNDS = 20
KILLS = 10
SEED = int(os.environ.get("FED_LEARN_KILL_SEED", "20210601"))


class KillTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        first = cls.enterClassContext(Federation(BRCA, BRCA_SITES, server_set=[f"servers.0.num_rounds={ROUNDS}"]))
        first.start_server()
        first.start_sites()
        cls.undisturbed, cls.first = first.finish(), first

    def federation(self):
        return Federation(BRCA, BRCA_SITES, server_set=self.first.server_set, kits=self.first.kits)

    def await_moment(self, federation, draw):
        """A moment of the run: some milliseconds after a site has seen some round counted."""
        site, round_number = draw.choice(federation.sites), draw.randrange(ROUNDS - 2)
        LogWatch(federation.folder / f"{site}.log").wait_for(f"round {round_number}: counted")
        time.sleep(draw.uniform(0, 0.1))  # no event marks a random moment
        return f"after {site}'s round {round_number}"

    def disturbed_run(self, draw, disturb):
        with self.federation() as federation:
            federation.start_server()
            federation.start_sites()
            moment = self.await_moment(federation, draw)
            began = time.monotonic()
            victim = disturb(federation)
            model = federation.finish()
            print(f"  {victim} killed {moment}; the run ended {time.monotonic() - began:.1f} s later", flush=True)
            self.assertEqual(model, self.undisturbed, f"seed {SEED}: {victim} killed {moment}")
            return federation

    def kill_server(self, federation):
        self.assertTrue(federation.server.running(), "the run ended before the kill")
        federation.server.kill()
        federation.start_server()
        return "server"

    def kill_site(self, federation, name):
        self.assertTrue(federation.clients[name].running(), "the run ended before the kill")
        federation.clients[name].kill()
        federation.start_site(name)
        return name

    def test_server_is_killed_at_ten_moments(self):
        draw = random.Random(SEED)
        for _ in range(KILLS):
            self.disturbed_run(draw, self.kill_server)

    def test_site_is_killed_at_ten_moments(self):
        draw = random.Random(SEED + 1)
        for _ in range(KILLS):
            victim = draw.choice(BRCA_SITES)
            self.disturbed_run(draw, lambda federation: self.kill_site(federation, victim))

    def test_everybody_is_killed_at_once(self):
        def kill_all(federation):
            for process in [*federation.clients.values(), federation.server]:
                process.kill()
            federation.start_server()
            federation.start_sites()
            return "everybody"

        self.disturbed_run(random.Random(SEED + 2), kill_all)

    def test_other_seed_gives_another_model(self):
        """The comparison above can fail."""
        with self.federation() as federation:
            federation.server_set.append("seed=1")
            federation.start_server()
            federation.start_sites()
            self.assertNotEqual(federation.finish(), self.undisturbed)


if __name__ == "__main__":
    print(f"seed {SEED} (FED_LEARN_KILL_SEED sets another)", flush=True)
    unittest.main()
