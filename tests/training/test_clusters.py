"""Workers find one another by what Slurm and Kubernetes put into the environment."""

import json
import os
import socket
import subprocess
import sys

import pytest

from keras_bert.errors import UsageError
from keras_bert.training.clusters import host_names, resolver, tasks_per_node
from keras_bert.training.strategies import strategy

STEP = {"SLURM_STEP_NODELIST": "n[2,10]", "SLURM_STEP_TASKS_PER_NODE": "2,1", "SLURM_PROCID": "2",
        "SLURM_JOB_ID": "1234567"}  # fmt: skip


def told(monkeypatch, variables):
    for name in (*STEP, "TF_CONFIG", "JOB_COMPLETION_INDEX"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("nodes", ["n1", "n[1-3]", "n[08-10,12]", "a[1-2],b,c[3]"])
def test_node_lists_are_read_as_tensorflow_reads_them(nodes):
    theirs = pytest.importorskip("tensorflow.python.distribute.cluster_resolver.slurm_cluster_resolver")
    assert host_names(nodes) == list(theirs.expand_hostlist(nodes))
    for counts in ("1", "2(x3),1", "4,4"):
        assert tasks_per_node(counts) == theirs.expand_tasks_per_node(counts)


def test_two_numbers_in_a_name():
    assert host_names("r[1-2]n[01-02]") == ["r1n01", "r1n02", "r2n01", "r2n02"]


def test_slurm_counts_the_nodes_in_their_order_and_needs_no_gpu(monkeypatch):
    told(monkeypatch, STEP)
    found = resolver("slurm")
    port = 20_000 + 1234567 % 10_000
    assert found.cluster_spec().as_dict() == {"worker": [f"n2:{port}", f"n2:{port + 1}", f"n10:{port}"]}
    assert (found.task_type, found.task_id, found.rpc_layer) == ("worker", 2, "grpc")


def test_kubernetes_knows_the_pods_by_their_names(monkeypatch):
    told(monkeypatch, {"JOB_COMPLETION_INDEX": "1"})
    monkeypatch.setattr(socket, "getfqdn", lambda: "train-1.bert.ns.svc.cluster.local")
    found = resolver("kubernetes", num_workers=3)
    hosts = [f"train-{i}.bert.ns.svc.cluster.local:20000" for i in range(3)]
    assert found.cluster_spec().as_dict() == {"worker": hosts} and found.task_id == 1


@pytest.mark.parametrize(
    ("cluster", "variables", "count", "message"),
    [
        ("tf_config", {}, None, "does not know the other workers.*TF_CONFIG"),
        ("slurm", {}, None, "SLURM_STEP_NODELIST is not set.*srun"),
        ("slurm", {**STEP, "SLURM_STEP_NODELIST": ""}, None, "names no nodes"),
        ("slurm", {**STEP, "SLURM_STEP_NODELIST": "n[1-2"}, None, "names no nodes"),
        ("slurm", {**STEP, "SLURM_STEP_NODELIST": "n[a]"}, None, "slurm"),
        ("slurm", {**STEP, "SLURM_STEP_NODELIST": "n[1-3]"}, None, "3 nodes, and numbers of tasks for 2"),
        ("slurm", {**STEP, "SLURM_STEP_TASKS_PER_NODE": "many"}, None, "no list of counts"),
        ("slurm", {**STEP, "SLURM_PROCID": "3"}, None, "worker 3 of 3"),
        ("kubernetes", {"JOB_COMPLETION_INDEX": "1"}, None, "--num_workers is not given"),
        ("kubernetes", {}, 2, "JOB_COMPLETION_INDEX is not set.*manifest"),
        ("kubernetes", {"JOB_COMPLETION_INDEX": "1"}, 2, "the pod is called"),
        ("kubernetes", {"JOB_COMPLETION_INDEX": "2"}, 2, "worker 2 of 2"),
        ("mesos", {}, None, "no cluster 'mesos'"),
    ],
)
def test_what_is_missing_is_named(monkeypatch, cluster, variables, count, message):
    told(monkeypatch, variables)
    monkeypatch.setattr(socket, "getfqdn", lambda: "train-0.bert.ns")
    with pytest.raises(UsageError, match=message):
        strategy("multi_worker", cluster=cluster, num_workers=count)


WORKER = """
import json
from keras_bert.training.interruption import Workers
from keras_bert.training.strategies import strategy
workers = Workers(strategy("multi_worker", cluster="slurm"))
print(json.dumps([workers.index, workers.count, workers.sum([workers.index + 1.0]).tolist()]))
"""


def test_the_tasks_of_a_step_meet():
    with socket.create_server(("localhost", 0)) as held:
        job = held.getsockname()[1]
    step = {"SLURM_STEP_NODELIST": "localhost", "SLURM_STEP_TASKS_PER_NODE": "2", "SLURM_JOB_ID": str(job),
            "CUDA_VISIBLE_DEVICES": ""}  # fmt: skip
    tasks = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER], stdout=subprocess.PIPE, text=True,
            env={**os.environ, **step, "SLURM_PROCID": str(i)},
        )
        for i in range(2)
    ]  # fmt: skip
    answers = [json.loads(task.communicate(timeout=120)[0].splitlines()[-1]) for task in tasks]
    assert answers == [[0, 2, [3.0]], [1, 2, [3.0]]]
