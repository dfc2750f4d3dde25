"""A bad network between two network namespaces: rate, delay, loss, and cuts, as real TCP meets them.

Two TUN devices, one in each namespace, and this program between them, which carries every packet; so it needs no netem,
which many kernels lack, and loses the same packets of the same traffic every time. Needs root, `ip` and /dev/net/tun.

    with SlowLink(rate=2e6, delay=0.1, loss=0.05) as link:
        ...processes in link.namespaces, that reach each other at link.addresses...
        link.cut(); link.mend(); link.statistics()
"""

import fcntl
import heapq
import json
import os
import random
import re
import select
import shutil
import struct
import subprocess
import sys
import time

_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_QUEUE_SECONDS = 0.25  # what the bottleneck holds before it drops


def why_not():
    """Why there can be no such link here; None if there can."""
    if os.geteuid() != 0:
        return "needs root, for network namespaces"
    if not shutil.which("ip"):
        return "needs the program ip (iproute2)"
    if not os.path.exists("/dev/net/tun"):
        return "needs /dev/net/tun"
    return None


def _ip(*words):
    done = subprocess.run(["ip", *words], capture_output=True, text=True, timeout=30)
    if done.returncode != 0:
        raise RuntimeError(f"ip {' '.join(words)}: {done.stderr.strip()}")


def _remove_left_over():
    """Namespaces of a process that was killed."""
    for line in subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, timeout=30).stdout.splitlines():
        ours = re.fullmatch(r"fl(\d+)[ab]", line.split()[0])
        if ours and not os.path.exists(f"/proc/{ours.group(1)}"):
            _ip("netns", "del", ours.group(0))


class SlowLink:
    """`rate`: bits a second each way; `delay`: seconds one way; `loss`: probability, each way."""

    def __init__(self, rate, delay=0.0, loss=0.0, seed=1):
        tag = f"fl{os.getpid()}"  # with a letter behind it, a device's name: 15 characters at most
        self.namespaces = [f"{tag}a", f"{tag}b"]
        self.addresses = ["10.203.7.1", "10.203.7.2"]
        self._settings = {"devices": self.namespaces, "rate": rate, "delay": delay, "loss": loss, "seed": seed}

    def __enter__(self):
        _remove_left_over()
        for namespace in self.namespaces:
            _ip("netns", "add", namespace)
        self._carrier = subprocess.Popen([sys.executable, __file__, json.dumps(self._settings)], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, text=True)
        self._carrier.stdout.readline()  # the devices are there
        for namespace, address in zip(self.namespaces, self.addresses):
            _ip("link", "set", "dev", namespace, "netns", namespace)
            _ip("-n", namespace, "link", "set", "dev", "lo", "up")
            _ip("-n", namespace, "address", "add", f"{address}/24", "dev", namespace)
            _ip("-n", namespace, "link", "set", "dev", namespace, "up")
        return self

    def __exit__(self, *_):
        self._carrier.kill()
        self._carrier.communicate()
        for namespace in self.namespaces:
            _ip("netns", "del", namespace)

    def _ask(self, command):
        self._carrier.stdin.write(command + "\n")
        self._carrier.stdin.flush()
        return json.loads(self._carrier.stdout.readline())

    def cut(self):
        """From now on everything is lost."""
        self._ask("cut")

    def mend(self):
        self._ask("mend")

    def statistics(self):
        """Of each direction (first → second namespace, and back): "packets", "ip_bytes" put on the link, lost ones
        included, and "tcp_bytes" of the streams, however often they were sent."""
        return self._ask("statistics")


# ---- the program between the devices --------------------------------------------------------------------------------


class Direction:
    def __init__(self, settings, source, sink, seed):
        self.rate, self.delay, self.loss = settings["rate"], settings["delay"], settings["loss"]
        self.source, self.sink, self.random = source, sink, random.Random(seed)
        self.free_at = 0.0  # when the bottleneck has sent what it holds
        self.packets = self.ip_bytes = 0
        self.streams = {}  # ports → [sequence number of the SYN, bytes so far]

    def carry(self, packet, now, cut):
        """When the packet arrives; None if never."""
        self.packets += 1
        self.ip_bytes += len(packet)
        self.follow(packet)
        if cut or self.random.random() < self.loss or self.free_at - now > _QUEUE_SECONDS:
            return None
        self.free_at = max(self.free_at, now) + len(packet) * 8 / self.rate
        return self.free_at + self.delay

    def follow(self, packet):
        if packet[0] >> 4 != 4 or packet[9] != 6:
            return
        ip_head = (packet[0] & 15) * 4
        source, target, sequence = struct.unpack_from("!HHI", packet, ip_head)
        payload = len(packet) - ip_head - (packet[ip_head + 12] >> 4) * 4
        if packet[ip_head + 13] & 2:  # SYN; a port that is used again is another stream
            stream = self.streams.setdefault((source, target, sequence), [sequence, 0])
            self.streams[source, target] = stream
        stream = self.streams.get((source, target))
        if stream and payload:
            end = (sequence + payload - stream[0] - 1) & 0xFFFFFFFF
            if end < 1 << 31 or stream[1] > 1 << 30:
                stream[1] = max(stream[1], end)

    def statistics(self):
        streams = {id(stream): stream[1] for stream in self.streams.values()}
        return {"packets": self.packets, "ip_bytes": self.ip_bytes, "tcp_bytes": sum(streams.values())}


def open_device(name):
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH14s", name.encode(), _IFF_TUN | _IFF_NO_PI, b""))
    return device


def answer(command, directions, cut):
    reply = [direction.statistics() for direction in directions] if command == "statistics" else command
    print(json.dumps(reply), flush=True)
    return {"cut": True, "mend": False}.get(command, cut)


def carry_all(settings):
    first, second = (open_device(name) for name in settings["devices"])
    seed = settings["seed"]
    directions = [Direction(settings, first, second, seed), Direction(settings, second, first, seed + 1)]
    print("ready", flush=True)
    under_way, count, cut = [], 0, False  # (when it arrives, order, where to, packet)
    while True:
        pause = max(0.0, under_way[0][0] - time.monotonic()) if under_way else None
        readable, _, _ = select.select([sys.stdin, first, second], [], [], pause)
        now = time.monotonic()
        while under_way and under_way[0][0] <= now:
            _, _, sink, packet = heapq.heappop(under_way)
            deliver(sink, packet)
        for direction in directions:
            for packet in packets(direction.source) if direction.source in readable else ():
                arrives, count = direction.carry(packet, now, cut), count + 1
                if arrives is not None:
                    heapq.heappush(under_way, (arrives, count, direction.sink, packet))
        if sys.stdin in readable:
            command = sys.stdin.readline().strip()
            if not command:
                return  # whoever started us has gone
            cut = answer(command, directions, cut)


def packets(device):
    for _ in range(64):
        try:
            yield os.read(device, 65536)
        except OSError:  # nothing more; or the device is not up
            return


def deliver(device, packet):
    try:
        os.write(device, packet)
    except OSError:
        pass  # the device is not up: lost


if __name__ == "__main__":
    carry_all(json.loads(sys.argv[1]))
