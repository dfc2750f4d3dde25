"""Hostile and broken peers beside a federation: it ends with the undisturbed model, the server's memory stays bounded,
and each of them is in the server's log with address and reason."""

import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time
import unittest

from federation_process import ADMIN, BRCA, BRCA_SITES, ROOT, Federation, LogWatch

ROUNDS = 60
HALF_OPEN = 500
REQUESTS = 10_000
MEMORY_MARGIN_KB = 64 << 10  # what all of them together may add to the server

_spec = importlib.util.spec_from_file_location("protocol_client", ROOT / "examples" / "protocol_client.py")
protocol_client = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(protocol_client)


def own_address(stream):
    return "%s:%d" % stream.getsockname()[:2]


class Attackers:
    """Peers of every bad kind. Each notes the address it came from and what the log must say of it."""

    def __init__(self, federation, foreign):
        self.federation, self.foreign = federation, foreign
        self.server = ("127.0.0.1", federation.port)
        self.log = LogWatch(federation.folder / "server.log")
        self.open_sockets = []
        self.stopped = threading.Event()

    def close(self):
        self.stopped.set()
        for stream in self.open_sockets:
            stream.close()

    def connect(self, receive_buffer=None):
        stream = socket.socket()
        if receive_buffer:
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        stream.settimeout(30)
        stream.connect(self.server)
        self.open_sockets.append(stream)
        return stream

    def expect(self, address, reason):
        """A line of the log with both. `address`: one, or several of which any will do."""
        addresses = [address] if isinstance(address, str) else address
        self.log.wait_for(rf"({'|'.join(map(re.escape, addresses))})\b.*{reason}")

    def expect_refusal(self, stream, address, reason):
        """The log names it, and the connection ends."""
        self.expect(address, reason)
        try:
            while stream.recv(4096):
                pass
        except OSError:
            pass

    def try_tls(self, context, reason):
        stream = self.connect()
        address = own_address(stream)
        try:
            with context.wrap_socket(stream, server_hostname="127.0.0.1") as tls:
                tls.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
                answer = tls.recv(4096)  # in TLS 1.3 a refused client learns of it at its first read
        except OSError:  # ssl.SSLError is one
            answer = b""
        if b" 200 " in answer:
            raise AssertionError(f"served, although: {reason}")
        self.expect(address, reason)

    # ---- each on its own ----

    def garbage_bytes(self):
        stream = self.connect()
        stream.sendall(bytes(range(255, 0, -1)) * 4)
        self.expect_refusal(stream, own_address(stream), "TLS")

    def plain_http(self):
        stream = self.connect()
        stream.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        self.expect_refusal(stream, own_address(stream), "plain HTTP")

    def no_certificate(self):
        context = ssl.create_default_context(cafile=self.federation.kits / "region_0" / "startup" / "rootCA.pem")
        self.try_tls(context, "certificate")

    def foreign_certificate(self):
        context = self.foreign.tls("region_0")
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.try_tls(context, "not of this project")

    def tls_1_2(self):
        self.try_tls(self.federation.tls("region_0", ssl.TLSVersion.TLSv1_2), "older than 1.3")

    def revoked_certificate(self):
        self.try_tls(self.federation.tls("revoked"), "revoked")

    def certificate_without_a_role(self):
        """Signed by the project's own authority, but not for a site, an admin or a server."""
        folder, authority = self.federation.folder, self.federation.kits / "_authority"
        key, certificate = folder / "stray.key", folder / "stray.pem"
        openssl = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                   "-subj", "/CN=stray/OU=visitor", "-days", "1", "-keyout", key, "-out", certificate,
                   "-CA", authority / "rootCA.pem", "-CAkey", authority / "root.key"]
        subprocess.run(openssl, check=True, capture_output=True, timeout=30)
        context = ssl.create_default_context(cafile=authority / "rootCA.pem")
        context.load_cert_chain(certificate, key)
        self.try_tls(context, "role|OU|visitor")

    def name_that_is_connected_already(self):
        session = protocol_client.Session(self.federation.kits / "region_0", self.federation.address)
        self.open_sockets.append(session.stream)
        session.send(type="hello", versions=[1], task_name="fed_tcga_brca")
        answer = session.receive()
        if answer["type"] != "closed" or answer["kind"] != "already_exists":
            raise AssertionError(answer)
        self.expect(own_address(session.stream), "connected already")

    def body_longer_than_announced(self):
        """The rest is taken for a next request, which it is none of."""
        session = protocol_client.Session(self.federation.kits / "greedy", self.federation.address)
        session.send(type="hello", versions=[1], task_name="fed_tcga_brca")
        token = session.receive()["token"]
        session.send(type="quit")  # nobody shall wait for it
        bulk = protocol_client.Bulk(self.federation.kits / "greedy", self.federation.address, token)
        self.open_sockets += [session.stream, bulk.stream]
        bulk.stream.sendall(b"PUT /v1/updates HTTP/1.1\r\nX-Fed-Learn-Token: %s\r\nContent-Length: 10\r\n\r\n"
                            % token.encode() + b"x" * 10 + b"and more\r\n" * 10 + b"\r\n")
        self.expect_refusal(bulk.stream, own_address(bulk.stream), "not an HTTP head")

    # ---- those that last ----

    def handshake_at_a_byte_a_second(self):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        try:
            self.federation.tls("region_0").wrap_bio(incoming, outgoing, server_hostname="127.0.0.1").do_handshake()
        except ssl.SSLWantReadError:
            pass
        hello, stream = outgoing.read(), self.connect()

        def drip():
            for byte in hello:
                try:
                    stream.send(bytes([byte]))
                except OSError:
                    return
                if self.stopped.wait(1):
                    return

        threading.Thread(target=drip, daemon=True).start()
        return own_address(stream), "no TLS handshake in time"

    def half_open_sockets(self):
        return [own_address(self.connect()) for _ in range(HALF_OPEN)], "no TLS handshake in time"

    def reader_that_stops(self):
        """Asks for the status again and again and reads no answer."""
        context, stream = self.federation.tls(ADMIN), self.connect(receive_buffer=4096)
        tls = context.wrap_socket(stream, server_hostname="127.0.0.1")
        self.open_sockets.append(tls)
        address = own_address(tls)
        tls.sendall(b"GET /v1/control HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
        watch = json.dumps({"type": "watch"}).encode()
        frame = struct.pack("!BB4s", 0x81, 0x80 | len(watch), b"\0\0\0\0") + watch  # masked by zeros
        tls.recv(12)  # "HTTP/1.1 101"

        def ask():
            try:
                while not self.stopped.is_set():
                    tls.sendall(frame * 50)
            except OSError:
                pass

        threading.Thread(target=ask, daemon=True).start()
        return address, "does not read what it is sent"

    def ten_thousand_requests(self):
        """As fast as the server lets them in, from one certificate. Gives the addresses that were refused some."""
        context, left, served, refused, began = self.federation.tls("greedy"), REQUESTS, 0, 0, time.monotonic()
        refused_at = []
        while left > 0:
            with context.wrap_socket(self.connect(), server_hostname="127.0.0.1") as tls:
                sent = min(left, 500)
                left -= sent
                answers = b""
                try:
                    tls.sendall(b"GET /healthz HTTP/1.1\r\n\r\n" * sent)
                    while len(re.findall(rb"HTTP/1.1 \d", answers)) < sent and (piece := tls.recv(65536)):
                        answers += piece
                except OSError:
                    pass
                if b" 429 " in answers:
                    refused_at.append(own_address(tls))
                served, refused = served + answers.count(b"HTTP/1.1 200"), refused + answers.count(b"HTTP/1.1 429")
        print(f"  {REQUESTS} requests in {time.monotonic() - began:.1f} s: {served} served, {refused} answered 429, "
              f"{REQUESTS - served - refused} cut off", flush=True)
        return refused_at


@unittest.skipUnless(shutil.which("openssl"), "no openssl program here, which makes a certificate without a role")
class HostilePeersTest(unittest.TestCase):
    def federation(self, **options):
        federation = Federation(BRCA, BRCA_SITES, server_set=[f"servers.0.num_rounds={ROUNDS}",
                                                              "servers.0.max_num_clients=8"], **options)
        self.addCleanup(federation.__exit__)
        return federation

    def undisturbed(self):
        """Model, and the server's memory shortly before the end."""
        federation = self.federation()
        federation.start_server()
        federation.start_sites()
        LogWatch(federation.folder / "region_0.log").wait_for(f"round {ROUNDS - 10}: counted")
        return federation.server.memory_peak_kb(), federation.finish()

    def test_the_federation_beside_them_is_undisturbed(self):
        began = time.monotonic()
        memory, model = self.undisturbed()
        foreign, federation = self.federation(), self.federation()
        federation.add_sites(["greedy", "revoked"])
        federation.revoke("revoked")
        federation.start_server()
        federation.start_sites()
        attackers = Attackers(federation, foreign)
        self.addCleanup(attackers.close)
        errors = []
        first_wave = threading.Thread(target=self.attack, args=(attackers, errors))
        first_wave.start()

        # Many rounds pass under attack. Then one site stands still until all attackers have been met, so that the run
        # does not end before.
        held = federation.clients["region_5"]
        LogWatch(federation.folder / "region_0.log").wait_for(f"round {ROUNDS // 3}: counted")
        os.kill(held.pid, signal.SIGSTOP)
        first_wave.join()
        os.kill(held.pid, signal.SIGCONT)
        self.assertEqual(errors, [])

        # And the rest of the rounds beside the two that cost the most.
        second_wave = threading.Thread(target=attackers.ten_thousand_requests)
        attackers.half_open_sockets()
        second_wave.start()
        LogWatch(federation.folder / "region_0.log").wait_for(f"round {ROUNDS - 10}: counted")
        peak = federation.server.memory_peak_kb()
        self.assertEqual(federation.finish(), model)
        second_wave.join()
        print(f"  server's memory at most: {memory >> 10} MB undisturbed, {peak >> 10} MB with them; "
              f"{time.monotonic() - began:.0f} s in all", flush=True)
        self.assertLess(peak, memory + MEMORY_MARGIN_KB)

    def attack(self, attackers, errors):
        for attack in (attackers.garbage_bytes, attackers.plain_http, attackers.no_certificate,
                       attackers.foreign_certificate, attackers.tls_1_2, attackers.revoked_certificate,
                       attackers.certificate_without_a_role, attackers.name_that_is_connected_already,
                       attackers.body_longer_than_announced):
            self.note(errors, attack)
        self.note(errors, self.attack_slowly, attackers)
        # Of many alike some lines have to do, since the log has about one a second; the rest are in its count.
        self.note(errors, lambda: attackers.expect(*attackers.half_open_sockets()))
        self.note(errors, self.expect_a_count, attackers)
        self.note(errors, lambda: attackers.expect(attackers.ten_thousand_requests(), "too many requests"))

    @staticmethod
    def expect_a_count(attackers):
        """The count stands in the next line that the log has room for, so there must be one."""
        for _ in range(30):
            attackers.connect().sendall(b"GET / HTTP/1.1\r\n\r\n")
            try:
                return attackers.log.wait_for(r"\d+ others since the last such line", seconds=2)
            except AssertionError:
                pass
        raise AssertionError("the log never says how many refusals it left out")

    @staticmethod
    def attack_slowly(attackers):
        for address, reason in [attackers.handshake_at_a_byte_a_second(), attackers.reader_that_stops()]:
            attackers.expect(address, reason)

    @staticmethod
    def note(errors, attack, *arguments):
        """A thread's assertions are the test's."""
        try:
            attack(*arguments)
        except Exception as error:
            errors.append(f"{getattr(attack, '__name__', '')}: {error!r}")


if __name__ == "__main__":
    unittest.main()
