"""Several processes of this machine as one TensorFlow job."""

import json
import socket


def environments(count: int) -> list[dict]:
    """The TF_CONFIG of each worker of a job, as environment variables; worker 0 is the chief."""
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    cluster = {"worker": [f"localhost:{held.getsockname()[1]}" for held in sockets]}
    for held in sockets:
        held.close()
    tasks = [{"type": "worker", "index": index} for index in range(count)]
    return [{"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})} for task in tasks]
