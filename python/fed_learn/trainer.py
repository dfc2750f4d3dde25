"""Tasks from the client: train the global model on this site's data, or measure it."""

import math
import numbers
import os

import numpy as np

from .channel import Channel, ChannelClosed, dtype_name

_VERSION = 1
_DESCRIPTOR = "FED_LEARN_CHANNEL_FD"


class Task:
    """A piece of work: a model, and what is to be done with it. Answer it once, with submit or fail.

    kind: "train" or "validate".
    model: dict, name -> NumPy array. The arrays are read-only views of memory shared with the client: copy what you
        change. A bf16 tensor is a uint16 array of its bits; `dtypes` tells.
    dtypes, roles: name -> "f32", "bf16", …; name -> "parameter", "buffer", "counter", "opaque".
    round, start_round, num_rounds, run: where training is.
    seed: 0 … 2**32 - 1, different for each site and round, the same when the round is done again after a crash.
    local_epochs, steps_aggregation: what the configuration asks for; 0 if it does not.
    task_name, client_name: the federation's name, and this site's.
    """

    def __init__(self, channel, message):
        header = message.header
        self.kind = header["kind"]
        self.model = message.arrays("model")
        tensors = header["model"]["tensors"]
        self.dtypes = {tensor["name"]: tensor["dtype"] for tensor in tensors}
        self.roles = {tensor["name"]: tensor["role"] for tensor in tensors}
        self.round = header["round"]
        self.start_round = header["start_round"]
        self.num_rounds = header["num_rounds"]
        self.run = header["run"]
        self.seed = header["seed"]
        self.local_epochs = header["local_epochs"]
        self.steps_aggregation = header["steps_aggregation"]
        self.task_name = header["task_name"]
        self.client_name = header["client_name"]
        self._id = header["task"]
        self._channel = channel
        self._answered = False
        self._aborted = False
        self._closed = False

    @property
    def aborted(self):
        """True once the client no longer wants an answer. Look now and then, and go on with the next task."""
        while not self._aborted and self._channel.has_message():
            header = self._channel.receive().header
            self._closed = header.get("type") == "close"
            self._aborted = self._closed or (header.get("type") == "abort" and header.get("task") == self._id)
        return self._aborted

    def progress(self, done, note=""):
        """Tells people how far it is: `done` from 0 to 1, and a line of text. Also shows that the script is alive."""
        self._channel.send({"type": "progress", "task": self._id, "done": float(done), "note": str(note)})

    def submit(self, model=None, *, n_iter=None, metrics=None, update=None):
        """Answers the task.

        For "train": `model`, the trained values by name, or `update`, trained less global values; tensors may be left
        out. `n_iter`, the number of training steps done, weighs this site's part. For "validate": metrics only.
        metrics: {"loss": 0.3}, or {"group": {"loss": 0.3}}.
        """
        header = {"type": "result", "task": self._id, "metrics": self._encoded(metrics)}
        if self.kind != "train":
            self._answer(header)
            return
        if (model is None) == (update is None):
            raise TypeError("submit takes either the trained model or, as update=, the difference to the global one")
        if n_iter is None or not math.isfinite(n_iter) or n_iter < 0:
            raise ValueError(f"n_iter must be the number of training steps done, not {n_iter!r}")
        header["kind"] = "weights" if update is None else "difference"
        header["n_iter"] = float(n_iter)
        self._answer(header, self._checked(model if update is None else update))

    def fail(self, reason):
        """Answers that the task cannot be done here, and why; the round fails at this site with that reason."""
        self._answer({"type": "failed", "task": self._id, "message": str(reason)})

    def _answer(self, header, model=None):
        if self._answered:
            raise RuntimeError("this task has been answered already")
        self._channel.send(header, model, self.dtypes)
        self._answered = True

    def _close(self):
        """The script asks for the next task."""
        if self._answered:
            return
        if not self.aborted:
            raise RuntimeError(f"the {self.kind} task of round {self.round} was not answered; call task.submit(…)")
        self._answer({"type": "cancelled", "task": self._id})

    def _checked(self, model):
        arrays = {name: np.asarray(value) for name, value in model.items()}
        for name, array in arrays.items():
            problem = self._problem(name, array)
            if problem:
                self.fail(problem)
                raise ValueError(problem)
        return arrays

    def _problem(self, name, array):
        if name not in self.model:
            return f"tensor '{name}' is not one of the model's: {', '.join(list(self.model)[:10])}"
        dtype = dtype_name(array, self.dtypes[name])
        if dtype != self.dtypes[name]:
            return f"tensor '{name}' is {dtype}; the model has it as {self.dtypes[name]}"
        if array.shape != self.model[name].shape:
            shape = list(self.model[name].shape)
            return f"tensor '{name}' has shape {list(array.shape)}; the model has it with {shape}"
        return None

    def _encoded(self, metrics):
        metrics = dict(metrics or {})
        if metrics and not any(isinstance(value, dict) for value in metrics.values()):
            metrics = {"train" if self.kind == "train" else "validation": metrics}
        for group, values in metrics.items():
            if not isinstance(values, dict):
                raise TypeError(f"metrics[{group!r}] is no dict; use either groups of metrics, or metrics alone")
        return {str(group): {str(name): _number(group, name, value) for name, value in values.items()}
                for group, values in metrics.items()}  # fmt: skip


def _number(group, name, value):
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.item()
    if not isinstance(value, (numbers.Real, np.number, np.bool_)):
        raise TypeError(f"metrics[{group!r}][{name!r}] must be a number, not {value!r}")
    value = float(value)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def tasks():
    """The tasks of this site, one after another, until the client has no more."""
    descriptor = os.environ.pop(_DESCRIPTOR, None)
    if descriptor is None:
        raise RuntimeError(
            "this script was not started by a fedlearn client, or calls fed_learn.tasks() twice; name it in "
            'config_fed_client.json: "trainer": {"name": "CommandFitter", "args": {"command": ["python3", "train.py"]}}'
        )
    channel = Channel(int(descriptor))
    try:
        channel.send({"type": "hello", "versions": [_VERSION], "software": "fed_learn python 0.1.0"})
        while True:
            message = channel.receive()
            kind = message.header.get("type")
            if kind == "close":
                return
            if kind != "task":
                continue
            task = Task(channel, message)
            del message
            yield task
            task._close()
            if task._closed:
                return
    except ChannelClosed:
        return
