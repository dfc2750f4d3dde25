"""The local channel, seen from a program that `fedlearn` has started: messages with shared memory over a UNIX socket.

Byte by byte: docs/local_channel.md. A Channel is used from one thread at a time.
"""

import fcntl
import json
import mmap
import os
import select
import socket
import struct

import numpy as np

_HEAD = struct.Struct("<4sII")
_MAGIC = b"FLC1"
_ALIGNMENT = 64
_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL

# NumPy has no bf16: such a tensor is an array of its bits, as uint16.
_NUMPY_OF = {
    "f16": "<f2", "bf16": "<u2", "f32": "<f4", "f64": "<f8", "i8": "i1", "u8": "u1", "i16": "<i2", "u16": "<u2",
    "i32": "<i4", "u32": "<u4", "i64": "<i8", "u64": "<u8", "bool": "?",
}  # fmt: skip
_DTYPE_OF = {np.dtype(code): name for name, code in _NUMPY_OF.items() if name != "bf16"}


class ChannelClosed(Exception):
    """The client is gone."""


class Message:
    """A message that was received: a JSON object, and its shared memory if it came with one."""

    def __init__(self, header, memory):
        self.header = header
        self._memory = memory

    def arrays(self, key):
        """The model under `key`: name -> array. The arrays view the shared memory: no copy, read-only."""
        arrays = {}
        for tensor in self.header[key]["tensors"]:
            dtype = np.dtype(_NUMPY_OF[tensor["dtype"]])
            shape = tuple(tensor["shape"])
            if tensor["length"] == 0:
                array = np.empty(shape, dtype)
                array.flags.writeable = False
            else:
                count = tensor["length"] // dtype.itemsize
                array = np.frombuffer(self._memory, dtype, count, tensor["offset"]).reshape(shape)
            arrays[tensor["name"]] = array
        return arrays


class Channel:
    """One end of the channel, over a connected UNIX stream socket that it takes over."""

    def __init__(self, descriptor):
        os.set_inheritable(descriptor, False)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=descriptor)
        self._socket.setblocking(True)

    def receive(self):
        """Waits for the next message. ChannelClosed if the other end has closed."""
        head, descriptors = b"", []
        while len(head) < _HEAD.size:
            data, received, _, _ = socket.recv_fds(self._socket, _HEAD.size - len(head), 1)
            descriptors += received
            if not data:
                raise ChannelClosed("the client has closed the channel")
            head += data
        magic, length, memories = _HEAD.unpack(head)
        if magic != _MAGIC or memories != len(descriptors):
            raise RuntimeError("the client sent what is not a frame; are package and program of one version?")
        body = bytearray(length)
        view = memoryview(body)
        while view:
            got = self._socket.recv_into(view)
            if got == 0:
                raise ChannelClosed("the client has closed the channel")
            view = view[got:]
        return Message(json.loads(body), _map(descriptors[0]) if descriptors else None)

    def has_message(self):
        """Whether receive would find the beginning of a message, or the channel's end, at once."""
        return bool(select.select([self._socket], [], [], 0)[0])

    def send(self, header, model=None, dtypes=None):
        """Sends a message; with `model`, name -> array, its bytes are copied once, into shared memory.

        `dtypes` says for names whose array is uint16 that it holds bf16.
        """
        memory = None
        if model is not None:
            tensors, memory = _pack(model, dtypes or {})
            header = {**header, "model": {"tensors": tensors}}
        body = json.dumps(header, allow_nan=False).encode()
        frame = _HEAD.pack(_MAGIC, len(body), 0 if memory is None else 1) + body
        try:
            sent = 0 if memory is None else socket.send_fds(self._socket, [frame], [memory])
            self._socket.sendall(frame[sent:])
        except (BrokenPipeError, ConnectionResetError) as error:
            raise ChannelClosed("the client has closed the channel") from error
        finally:
            if memory is not None:
                os.close(memory)


def _map(descriptor):
    size = os.fstat(descriptor).st_size
    try:
        # Private, since kernels before 6.7 refuse a shared mapping of sealed memory. Nothing is copied: nobody writes.
        return mmap.mmap(descriptor, size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ) if size else b""
    finally:
        os.close(descriptor)


def dtype_name(array, expected=None):
    """The name of an array's dtype on the channel, or NumPy's if the channel has none for it."""
    if array.dtype.name == "bfloat16" or (expected == "bf16" and array.dtype == np.uint16):
        return "bf16"
    return _DTYPE_OF.get(array.dtype.newbyteorder("<"), array.dtype.name)


def _bytes_of(array):
    array = np.ascontiguousarray(array)
    if array.dtype.byteorder == ">":
        array = array.astype(array.dtype.newbyteorder("<"))
    return memoryview(array.reshape(-1).view(np.uint8))


def _pack(model, dtypes):
    tensors, end = [], 0
    for name, array in model.items():
        offset = -(-end // _ALIGNMENT) * _ALIGNMENT
        tensors.append({
            "name": name, "dtype": dtype_name(array, dtypes.get(name)), "shape": list(array.shape),
            "offset": offset, "length": array.nbytes,
        })  # fmt: skip
        end = offset + array.nbytes
    memory = os.memfd_create("fed_learn", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(memory, end)
        for tensor, array in zip(tensors, model.values()):
            rest, offset = _bytes_of(array), tensor["offset"]
            while rest:
                written = os.pwrite(memory, rest, offset)
                rest, offset = rest[written:], offset + written
        fcntl.fcntl(memory, fcntl.F_ADD_SEALS, _SEALS)
    except BaseException:
        os.close(memory)
        raise
    return tensors, memory
