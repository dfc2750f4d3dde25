#!/usr/bin/env python3
"""A site of a federation in a page of Python, standard library only, written from docs/protocol.md.

    protocol_client.py KIT HOST:PORT TASK_NAME

It shows how little the protocol asks of whoever cannot, or will not, run fed_learn. Its training is a stand-in: one
step that makes every weight a hundredth smaller. `fedlearn client` also resumes, retries and survives a kill.
"""

import array
import base64
import hashlib
import json
import os
import pathlib
import socket
import ssl
import sys


def connect(kit, address):
    startup = pathlib.Path(kit) / "startup"
    tls = ssl.create_default_context(cafile=startup / "rootCA.pem")
    tls.load_cert_chain(startup / "client.crt", startup / "client.key")
    tls.minimum_version = ssl.TLSVersion.TLSv1_3
    host, port = address.rsplit(":", 1)
    stream = tls.wrap_socket(socket.create_connection((host, int(port))), server_hostname=host)
    return stream, stream.makefile("rb")


def read_head(file):
    """Status and headers of an answer; 102 Processing says that the server is still at it."""
    while True:
        status = int(file.readline().split()[1])
        headers = dict(line.decode().lower().rstrip().split(": ", 1) for line in iter(file.readline, b"\r\n"))
        if status != 102:
            return status, headers


class Session:
    """The control channel: a WebSocket with one JSON object a message."""

    def __init__(self, kit, address):
        self.stream, self.file = connect(kit, address)
        key = base64.b64encode(os.urandom(16)).decode()
        self.stream.settimeout(60)  # the server pings after 30 s without a word
        self.stream.sendall(f"GET /v1/control HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\n"
                            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode())
        status, headers = read_head(self.file)
        digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        accept = base64.b64encode(digest).decode()
        if status != 101 or headers["sec-websocket-accept"] != accept.lower():
            raise ConnectionError(f"no control channel: {status} {self.file.read(int(headers['content-length']))}")

    def send_frame(self, opcode, payload):
        size = len(payload)
        length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
        mask = os.urandom(4)
        self.stream.sendall(bytes([0x80 | opcode]) + length + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload)))

    def send(self, **message):
        self.send_frame(1, json.dumps(message).encode())

    def receive(self):
        text = b""
        while True:
            first, size = self.file.read(2)
            if size > 125:
                size = int.from_bytes(self.file.read(2 if size == 126 else 8), "big")
            payload = self.file.read(size)
            if first & 15 == 8:
                raise ConnectionError("the server has closed the session")
            if first & 15 == 9:
                self.send_frame(10, payload)  # the pong to its ping, and
                self.send(type="heartbeat", phase="waiting")
            elif first & 15 <= 1:
                text += payload
                if first & 0x80:
                    return json.loads(text)


class Bulk:
    """One connection for transfers."""

    def __init__(self, kit, address, token):
        self.stream, self.file = connect(kit, address)
        self.token = token

    def request(self, method, path, body=b"", **headers):
        lines = [f"{method} {path} HTTP/1.1", "Host: server", f"X-Fed-Learn-Token: {self.token}",
                 *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
        if method == "PUT":
            lines.append(f"Content-Length: {len(body)}")
        self.stream.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        status, answer = read_head(self.file)
        content = self.file.read(int(answer["content-length"]))
        if status != 200:
            raise ConnectionError(f"{method} {path}: {status} {content.decode()}")
        return content


def fetch_model(bulk, model):
    """[(entry of the manifest, bytes)]"""
    entries = json.loads(bulk.request("GET", f"/v1/models/{model}/manifest"))["tensors"]
    wanted = ",".join(str(i) for i, entry in enumerate(entries) if entry["length"])
    data, at, tensors = bulk.request("GET", f"/v1/models/{model}/data?tensors={wanted}"), 0, []
    for entry in entries:
        tensors.append((entry, data[at:at + entry["length"]]))
        at += entry["length"]
    return tensors


def train(tensors):
    """The difference that this site contributes, tensor by tensor, and its metrics."""
    difference = []
    for entry, data in tensors:
        if entry["dtype"] == "f32" and data:
            difference.append((entry, array.array("f", [-0.01 * value for value in array.array("f", data)]).tobytes()))
    return difference, {"train/loss": 0.5}


def selected(selection, count):
    """The indices in "0-3,7"."""
    ranges = [part.split("-") for part in selection.split(",") if part]
    return [i for first, *last in ranges for i in range(int(first), int((last or [first])[0]) + 1) if i < count]


def contribute(bulk, offer, difference, metrics):
    header = {"run": offer["run"], "round": offer["round"], "base_model": offer["model"], "n_iter": 1,
              "kind": "difference", "metrics": metrics}
    manifest = {"format": "fed_learn.model/1", "tensors": [
        {**entry, "encoding": "raw", "length": len(data), "hash": "sha256:" + hashlib.sha256(data).hexdigest()}
        for entry, data in difference]}
    offered = json.dumps(header) + "\n" + json.dumps(manifest)
    grant = json.loads(bulk.request("PUT", "/v1/updates", offered.encode()))  # answered when the server has room
    if grant["state"] == "send":
        data = b"".join(difference[i][1] for i in selected(grant["tensors"], len(difference)))
        total, offset = grant["bytes"], grant["offset"]
        part = {"Content_Range": f"bytes {offset}-{total - 1}/{total}"} if offset else {}
        grant = json.loads(bulk.request("PUT", f"/v1/uploads/{grant['upload']}", data[offset:], **part))
    return grant["state"]


def main(kit, address, task_name):
    session = Session(kit, address)
    session.send(type="hello", versions=[1], capabilities=["zeros"], task_name=task_name, software="protocol_client.py")
    token = None
    while True:
        message = session.receive()
        if message["type"] == "welcome":
            token = message["token"]
        elif message["type"] == "round" and not message["counted"]:
            session.send(type="heartbeat", phase="training")
            bulk = Bulk(kit, address, token)
            state = contribute(bulk, message, *train(fetch_model(bulk, message["model"])))
            print(f"round {message['round']}: {state}", flush=True)
            session.send(type="heartbeat", phase="waiting")
        elif message["type"] == "done":
            session.send(type="quit")
            return 0 if message["completed"] else 1
        elif message["type"] == "closed":
            raise ConnectionError(f"{message['kind']}: {message['message']}")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
