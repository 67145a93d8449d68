"""`strategy`: where a run computes, by name."""

from keras_bert.errors import MissingExtraError, UsageError

STRATEGIES = ("none", "one_device", "mirrored", "multi_worker", "tpu")
CLUSTERS = ("tf_config", "slurm", "kubernetes")


def strategy(name="none", *, devices=(), cluster="tf_config", tpu=""):
    """A `tf.distribute.Strategy`; must be called before TensorFlow has computed anything.

    Args:
        name: str. `"none"`; `"one_device"`; `"mirrored"`: all GPUs of this machine, or `devices`;
            `"multi_worker"`: this process is one of several, on as many machines; `"tpu"`.
        devices: sequence of str. `"GPU:0"`, `"CPU:1"` ...; a CPU of a higher number than there are is made
            by dividing this one.
        cluster: str. Where a worker of several learns who the others are: `"tf_config"`, the variable
            TF_CONFIG; `"slurm"`, the variables of a Slurm step (one task a worker); `"kubernetes"`, the pods
            labelled job-name=worker, which needs the package `kubernetes`.
        tpu: str. Name or address of the TPU; "" where the machine itself has it, "local" on its host.
    Returns:
        tf.distribute.Strategy, or None for `"none"`.
    Raises:
        UsageError: an unknown name, a device that does not exist, or no cluster to be found.
    """
    import tensorflow as tf

    if name not in STRATEGIES:
        raise UsageError(f"There is no strategy {name!r}", where="--strategy", expected=", ".join(STRATEGIES))
    if name == "none":
        return None
    if name == "tpu":
        return _tpu(tpu)
    _divide_cpu(devices)
    _check_devices(devices)
    if name == "one_device":
        has_gpu = bool(tf.config.list_physical_devices("GPU"))
        return tf.distribute.OneDeviceStrategy(f"/{(devices or ['GPU:0' if has_gpu else 'CPU:0'])[0]}")
    if name == "mirrored":
        return tf.distribute.MirroredStrategy([f"/{device}" for device in devices] or None)
    resolver = _resolver(cluster)
    if not resolver.cluster_spec().jobs:
        raise UsageError(
            "This process does not know the other workers", where=f"--cluster={cluster}",
            expected='TF_CONFIG={"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", '
            '"index": 0}}',
            remedy="set it for every worker, each with its own index; or --cluster=slurm",
        )  # fmt: skip
    return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)


def _resolver(cluster):
    import tensorflow as tf

    resolvers = tf.distribute.cluster_resolver
    if cluster not in CLUSTERS:
        raise UsageError(f"There is no cluster {cluster!r}", where="--cluster", expected=", ".join(CLUSTERS))
    if cluster == "tf_config":
        return resolvers.TFConfigClusterResolver()
    try:
        return (
            resolvers.SlurmClusterResolver() if cluster == "slurm" else resolvers.KubernetesClusterResolver()
        )
    except ImportError as error:
        raise MissingExtraError(
            "Kubernetes is asked through its Python package, which is not installed", where="--cluster",
            remedy="pip install kubernetes",
        ) from error  # fmt: skip
    except (KeyError, RuntimeError, ValueError) as error:
        raise UsageError(f"The cluster cannot be read: {error}", where=f"--cluster={cluster}") from error


def _divide_cpu(devices):
    """Makes one CPU several logical ones, if a higher number is asked for."""
    import tensorflow as tf

    numbers = [int(device[4:]) for device in devices if device.startswith("CPU:") and device[4:].isdigit()]
    cpu = tf.config.list_physical_devices("CPU")[0]
    if max(numbers, default=0) == 0 or tf.config.get_logical_device_configuration(cpu):
        return
    try:
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * (max(numbers) + 1)
        )
    except RuntimeError as error:
        raise UsageError(
            "TensorFlow has begun to compute, and its CPU cannot be divided any more", where="--devices",
            remedy="make the strategy first",
        ) from error  # fmt: skip


def _check_devices(devices):
    import tensorflow as tf

    known = [device.name.removeprefix("/device:") for device in tf.config.list_logical_devices()]
    for device in devices:
        if device not in known:
            raise UsageError(f"There is no device {device!r}", where="--devices", expected=", ".join(known))


def _tpu(address):
    import tensorflow as tf

    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=address)
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, tf.errors.OpError) as error:
        raise UsageError(
            f"There is no TPU: {str(error).splitlines()[0]}", where=f"--tpu={address}",
            remedy='--tpu=local on the TPU\'s own host, else its name',
        ) from error  # fmt: skip
    return tf.distribute.TPUStrategy(resolver)
