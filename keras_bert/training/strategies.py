"""`strategy`: where a run computes, by name."""

from keras_bert.errors import UsageError
from keras_bert.training.clusters import resolver

STRATEGIES = ("none", "one_device", "mirrored", "multi_worker", "tpu")


def strategy(name="none", *, devices=(), cluster="tf_config", num_workers=None, tpu=""):
    """A `tf.distribute.Strategy`; must be called before TensorFlow has computed anything.

    Args:
        name: str. `"none"`; `"one_device"`; `"mirrored"`: all GPUs of this machine, or `devices`;
            `"multi_worker"`: this process is one of several, on as many machines; `"tpu"`.
        devices: sequence of str. `"GPU:0"`, `"CPU:1"` ...; a CPU of a higher number than there are is made
            by dividing this one.
        cluster: str. Where a worker of several learns who the others are: see `clusters.resolver`.
        num_workers: int or None. Of a cluster that does not tell it.
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
    if devices:  # looking at them sets TensorFlow up, which must not happen before workers have met
        _divide_cpu(devices)
        _check_devices(devices)
    if name == "one_device":
        has_gpu = bool(tf.config.list_physical_devices("GPU"))
        return tf.distribute.OneDeviceStrategy(f"/{(devices or ['GPU:0' if has_gpu else 'CPU:0'])[0]}")
    if name == "mirrored":
        return tf.distribute.MirroredStrategy([f"/{device}" for device in devices] or None)
    return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver(cluster, num_workers))


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
