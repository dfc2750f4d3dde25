"""Federated training from a script of yours.

The client of a site (`fedlearn client`) starts the script and hands it the global model, round after round:

    import fed_learn

    for task in fed_learn.tasks():
        model = {name: value.copy() for name, value in task.model.items()}
        if task.kind == "train":
            steps = train(model, seed=task.seed)
            task.submit(model, n_iter=steps, metrics={"loss": 0.3})
        else:
            task.submit(metrics={"accuracy": evaluate(model)})

Needs Python 3.10 or later, Linux, and NumPy. Whatever the script prints goes to the client's log.
"""

from .trainer import Task, tasks

__all__ = ["Task", "tasks"]
__version__ = "0.1.0"
