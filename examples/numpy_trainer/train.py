"""Logistic regression with NumPy, federated: the four lines that make it so are marked.

Each site draws its own patients (8 measurements, ill or not) by its name, so that the example needs no data; put yours
into `patients`.
"""

import zlib

import fed_learn  # 1
import numpy as np

RATE, BATCH = 0.2, 32


def patients(site, count=400):
    """Measurements and outcomes of a site. The law is the same everywhere; who comes to which site is not."""
    random = np.random.default_rng(zlib.crc32(site.encode()))
    x = random.normal(loc=random.normal(scale=0.5, size=8), size=(count, 8))
    law = np.array([1.5, -2.0, 1.0, 0.0, 0.5, -0.5, 0.0, 1.0])
    y = random.uniform(size=count) < 1 / (1 + np.exp(-(x @ law - 0.5)))
    return x.astype(np.float32), y.astype(np.float32)


def predict(x, weight, bias):
    return 1 / (1 + np.exp(-(x @ weight[0] + bias[0])))


def train(x, y, weight, bias, epochs, seed):
    random = np.random.default_rng(seed)
    steps = 0
    for _ in range(epochs):
        order = random.permutation(len(x))
        for batch in np.array_split(order, max(1, len(x) // BATCH)):
            error = predict(x[batch], weight, bias) - y[batch]
            weight -= RATE * (error @ x[batch] / len(batch)).astype(np.float32)
            bias -= np.float32(RATE * error.mean())
            steps += 1
    return steps


def metrics(x, y, weight, bias):
    p = predict(x, weight, bias).clip(1e-7, 1 - 1e-7)
    return {"accuracy": np.mean((p > 0.5) == y), "loss": -np.mean(np.log(np.where(y > 0, p, 1 - p)))}


for task in fed_learn.tasks():  # 2
    x, y = patients(task.client_name)
    learn, held_out = slice(0, 300), slice(300, None)
    weight, bias = (task.model[name].copy() for name in ("layers.0.weight", "layers.0.bias"))  # 3
    steps = 0
    if task.kind == "train":
        steps = train(x[learn], y[learn], weight, bias, task.local_epochs or 1, task.seed)
    measured = metrics(x[held_out], y[held_out], weight, bias)
    print(f"round {task.round}: {task.kind}, accuracy {measured['accuracy']:.3f}")
    task.submit({"layers.0.weight": weight, "layers.0.bias": bias}, n_iter=steps, metrics=measured)  # 4
