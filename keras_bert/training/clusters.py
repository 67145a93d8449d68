"""Where a worker learns who the others are, from what a scheduler says in the environment.

TensorFlow's resolvers of the same names are not used. Its Slurm one needs a GPU on every node and puts n10
before n2, where Slurm counts the other way. Its Kubernetes one does not know which worker it is itself, takes
the nodes' addresses for the pods', and asks the API as somebody outside of the cluster would.

Kubernetes: an Indexed Job with a headless service gives each pod a name that follows from its index.

    apiVersion: v1
    kind: Service
    metadata: {name: bert}
    spec: {clusterIP: None, selector: {job-name: pretrain}}
    ---
    apiVersion: batch/v1
    kind: Job
    metadata: {name: pretrain}
    spec:
      completions: 4
      parallelism: 4
      completionMode: Indexed
      template:
        spec:
          subdomain: bert
          restartPolicy: OnFailure
          containers:
          - name: worker
            image: ...
            command: [keras-bert, pretrain, --strategy=multi_worker, --cluster=kubernetes, --num_workers=4]

Kubeflow sets TF_CONFIG itself: there it is --cluster=tf_config.
"""

import os
import re
import socket

from keras_bert.errors import UsageError

CLUSTERS = ("tf_config", "slurm", "kubernetes")
_PORT = 20_000  # of the first worker on a node; below the ports that systems hand out by themselves
_PORTS = 10_000


def resolver(cluster="tf_config", num_workers=None):
    """A `tf.distribute.cluster_resolver.ClusterResolver` that knows all workers, and which one this is.

    Args:
        cluster: str, one of CLUSTERS. `"tf_config"`: the variable TF_CONFIG. `"slurm"`: the variables of a
            Slurm step with a worker a task, filled node by node, as `srun` does it. `"kubernetes"`: the pods
            of an Indexed Job with a headless service.
        num_workers: int or None. Of Kubernetes, which does not tell it.
    Raises:
        UsageError: the environment does not say what is needed.
    """
    import tensorflow as tf

    if cluster not in CLUSTERS:
        raise UsageError(f"There is no cluster {cluster!r}", where="--cluster", expected=", ".join(CLUSTERS))
    if cluster == "tf_config":
        found = tf.distribute.cluster_resolver.TFConfigClusterResolver()
        if not found.cluster_spec().jobs:
            raise UsageError(
                "This process does not know the other workers", where=f"--cluster={cluster}",
                expected='TF_CONFIG={"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", '
                '"index": 0}}',
                remedy="set it for every worker, each with its own index; or --cluster=slurm",
            )  # fmt: skip
        return found
    try:
        workers, index = _slurm() if cluster == "slurm" else _kubernetes(num_workers)
    except (KeyError, ValueError) as error:
        what = f"{error.args[0]} is not set" if isinstance(error, KeyError) else str(error)
        raise UsageError(
            f"The other workers are not known: {what}", where=f"--cluster={cluster}",
            expected="the environment of a Slurm step" if cluster == "slurm" else
            "the pods of an Indexed Job with a headless service, and --num_workers",
            remedy="start it with `srun`" if cluster == "slurm" else
            "see the manifest in keras_bert/training/clusters.py",
        ) from error  # fmt: skip
    spec = tf.train.ClusterSpec({"worker": workers})
    return tf.distribute.cluster_resolver.SimpleClusterResolver(
        spec, task_type="worker", task_id=index, rpc_layer="grpc"
    )


def _slurm() -> tuple[list[str], int]:
    """The addresses of all tasks of the step, and which one this is."""
    hosts = host_names(os.environ["SLURM_STEP_NODELIST"])
    counts = tasks_per_node(os.environ["SLURM_STEP_TASKS_PER_NODE"])
    if len(hosts) != len(counts):
        raise ValueError(f"{len(hosts)} nodes, and numbers of tasks for {len(counts)}")
    # Two jobs that share a node must not share a port.
    first = _PORT + int(os.environ.get("SLURM_JOB_ID", 0)) % _PORTS
    workers = [f"{host}:{first + i}" for host, count in zip(hosts, counts, strict=True) for i in range(count)]
    return workers, _place(os.environ["SLURM_PROCID"], len(workers))


def _kubernetes(num_workers) -> tuple[list[str], int]:
    """The addresses of all pods of the Job, and which one this is."""
    if num_workers is None:
        raise ValueError("--num_workers is not given")
    index = _place(os.environ["JOB_COMPLETION_INDEX"], num_workers)
    host, _, domain = socket.getfqdn().partition(".")
    if not host.endswith(f"-{index}") or not domain:
        raise ValueError(f"the pod is called {host}.{domain}, not JOB-{index}.SERVICE...")
    job = host.removesuffix(f"-{index}")
    return [f"{job}-{i}.{domain}:{_PORT}" for i in range(num_workers)], index


def _place(index: str, count: int) -> int:
    if not 0 <= int(index) < count:
        raise ValueError(f"this is worker {index} of {count}")
    return int(index)


def host_names(nodelist: str) -> list[str]:
    """The nodes of a Slurm node list: `n[1-2,07],m` are n1, n2, n07 and m.

    Raises:
        ValueError: it is none.
    """
    names = []
    for part in re.findall(r"(?:[^,\[\]]|\[[^\[\]]*\])+", nodelist):
        expanded = [""]
        for text, ranges in re.findall(r"([^\[\]]+)|\[([^\[\]]*)\]", part):
            ends = [text] if text else [number for span in ranges.split(",") for number in _numbers(span)]
            expanded = [name + end for name in expanded for end in ends]
        names += expanded
    if not names or nodelist.count("[") != nodelist.count("]"):
        raise ValueError(f"SLURM_STEP_NODELIST={nodelist!r} names no nodes")
    return names


def _numbers(span: str) -> list[str]:
    """`08-10` as 08, 09, 10."""
    first, _, last = span.partition("-")
    return [str(number).zfill(len(first)) for number in range(int(first), int(last or first) + 1)]


def tasks_per_node(text: str) -> list[int]:
    """`2(x3),1` as 2, 2, 2, 1.

    Raises:
        ValueError: it is no such list.
    """
    counts = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part)
        if match is None:
            raise ValueError(f"SLURM_STEP_TASKS_PER_NODE={text!r} is no list of counts")
        counts += [int(match[1])] * int(match[2] or 1)
    return counts
