"""A TCP relay that counts: what connects to it is connected on to one address, and every byte each way is counted."""

import select
import socket
import threading


class CountingRelay:
    def __init__(self, target):
        self.target = target  # (host, port)
        self.to_target = self.from_target = 0
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listener.close()

    def counts(self):
        """Bytes to the target and from it, so far."""
        with self._lock:
            return self.to_target, self.from_target

    def _accept(self):
        while True:
            try:
                inner, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(inner,), daemon=True).start()

    def _carry(self, inner):
        with inner, socket.create_connection(self.target) as outer:
            other, buffer = {inner: outer, outer: inner}, bytearray(1 << 18)
            while True:
                for source in select.select([inner, outer], [], [])[0]:
                    try:
                        size = source.recv_into(buffer)
                        if size == 0:
                            return
                        with self._lock:  # before it goes on, so that whoever has it finds it counted
                            self.to_target += size if source is inner else 0
                            self.from_target += size if source is outer else 0
                        other[source].sendall(memoryview(buffer)[:size])
                    except OSError:
                        return
