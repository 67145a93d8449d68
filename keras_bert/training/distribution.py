"""Every correction of Keras' internals: `fit` trains the same model on any number of replicas.

What stock Keras does otherwise, each with a test that shows it (tests/training/test_stock_faults.py), so that
a Keras that no longer does it is noticed:

    the loss is a mean of the replicas' means         losses.GlobalMean, divided by the sum over all replicas
    gradients are clipped before they are summed      `_apply`: summed, then clipped
    dropout masks are the same on every replica       `masks_apart` with the replica's number, or a row's
    accumulating gradients crashes                    micro-batches inside one step
    an uneven first batch crashes                     `_maybe_symbolic_build`
    MultiWorkerMirroredStrategy does not run          `_maybe_symbolic_build`, and logs of shape (1,)
    logs are means of what single replicas saw        `_global_logs`

They touch private names of Keras: outside the versions they were tried with, a run under a strategy stops.
TensorFlow backend only; elsewhere `BertModel` is a plain Keras model.
"""

import keras

from keras_bert.corpus.dataset import num_workers
from keras_bert.errors import DataError
from keras_bert.layers.dropout import masks_apart
from keras_bert.layers.kernels import compiled_parts
from keras_bert.layers.real_tokens import without_padding
from keras_bert.training.losses import known_totals
from keras_bert.training.nonfinite import Nonfinite, told_of
from keras_bert.training.optimizer_hooks import attach, iterations_of, rate_factor
from keras_bert.training.records import RECORDS, num_rows, without_records
from keras_bert.training.regularisers import added, adversarial_gradients, disagreement
from keras_bert.training.replica_limits import check_goes_with_replicas
from keras_bert.training.updates import dense


class DistributedModel(keras.Model):
    """The training step and what `fit` does around it, for any number of replicas."""

    accumulation_steps = 1
    dropout_by_record = False
    leaves_padding_out = True
    compiles_parts = False
    r_drop = adversarial = 0.0
    _sentinel = None  # `Nonfinite`, made by `compile`

    def corrected(self, optimizer, jit_compile, auto_scale_loss=True):
        """The optimizer as `compile` shall use it; refuses what cannot work on several replicas."""
        import tensorflow as tf

        optimizer = keras.optimizers.get(optimizer)
        strategy = self.distribute_strategy
        if strategy.num_replicas_in_sync > 1:
            check_goes_with_replicas(optimizer, jit_compile, self._is_scaled(optimizer))
        if optimizer._distribution_strategy is not strategy and tf.distribute.has_strategy():
            # It was made outside of the strategy's scope, and so were its variables.
            optimizer = type(optimizer).from_config(optimizer.get_config())
        if self._is_scaled(optimizer):
            # Keras looks at the model's policy alone, which a functional model has from the global one.
            if auto_scale_loss and not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
                optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
            return optimizer
        attach(optimizer)
        self._sentinel = Nonfinite(len(self.trainable_variables))
        return optimizer

    def _is_scaled(self, optimizer) -> bool:
        """Whether float16 makes Keras scale the loss; it then clips and skips by rules of its own."""
        is_float16 = any(layer.dtype_policy.name == "mixed_float16" for layer in self._flatten_layers())
        return is_float16 or isinstance(optimizer, keras.optimizers.LossScaleOptimizer)

    def fit(self, *args, **kwargs):
        with told_of(self._sentinel, for_good=True):
            return super().fit(*args, **kwargs)

    def train_on_batch(self, *args, **kwargs):
        with told_of(self._sentinel, for_good=False):
            return super().train_on_batch(*args, **kwargs)

    def make_train_function(self, force=False):
        if self._distribute_strategy is None and not self.optimizer.built:
            # While the step is traced, every variable would take ten times as long, and a second trace.
            self.optimizer.build(self.trainable_variables)
        if self._sentinel is not None and self._sentinel.finite.shape[0] != len(self.trainable_variables):
            with self.distribute_strategy.scope():  # layers were frozen since `compile`
                self._sentinel = Nonfinite(len(self.trainable_variables))
        return super().make_train_function(force)

    def train_step(self, data):
        import tensorflow as tf

        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        x, records = without_records(x)
        replica = tf.distribute.get_replica_context()
        totals, rows = self._totals(replica, x, y, sample_weight)
        with known_totals(totals):
            share, gradients = self._accumulated(replica, x, y, sample_weight, records)
        self._apply(replica, share, gradients)
        self._track_loss(share, rows, x)
        return self._global_logs(replica)

    def test_step(self, data):
        import tensorflow as tf

        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        x, _ = without_records(x)
        replica = tf.distribute.get_replica_context()
        totals, rows = self._totals(replica, x, y, sample_weight)
        outputs = self(x, training=False)
        with known_totals(totals):
            share = self._compute_loss(x, y, outputs, sample_weight, training=False)
        self.compute_metrics(x, y, outputs, sample_weight=sample_weight)
        self._track_loss(share, rows, x)
        return self._global_logs(replica)

    def _totals(self, replica, x, y, sample_weight):
        """What each loss divides by, and the number of rows, over all replicas."""
        import tensorflow as tf

        losses = self.losses_of(y, sample_weight)
        local = [loss.total(target, weights) for loss, _, _, target, weights in losses]
        *totals, rows = tf.unstack(_all_reduce(replica, tf.stack([*local, num_rows(x)])))
        return {
            id(loss): total
            for (loss, *_), total in zip(losses, totals, strict=True)
            if loss.reduction != "sum"  # whose total is 1, on every replica
        }, rows

    def _accumulated(self, replica, x, y, sample_weight, records):
        """This replica's share of the loss, and its gradients: summed over the micro-batches, dense."""
        import tensorflow as tf

        variables = self.trainable_variables
        count = self.accumulation_steps
        batch = (x, y, sample_weight, records)
        if count == 1:
            return self._gradients(replica, *batch)
        size = tf.shape(keras.tree.flatten(x)[0])[0]

        def micro_batch(i, share, *gradients):
            begin, end = size * i // count, size * (i + 1) // count
            part = keras.tree.map_structure(lambda t: None if t is None else t[begin:end], batch)
            more_share, more = self._gradients(replica, *part)
            return i + 1, share + more_share, *(a + b for a, b in zip(gradients, more, strict=True))

        start = (0, 0.0, *(tf.zeros(v.shape, v.dtype) for v in variables))
        # One after the other: side by side they would need the memory of the whole batch.
        _, share, *gradients = tf.while_loop(
            lambda i, *_: i < count, micro_batch, start, parallel_iterations=1
        )
        return share, gradients

    def _gradients(self, replica, x, y, sample_weight, records):
        import tensorflow as tf

        key = self._dropout_key(replica, records)
        with (
            masks_apart(key, iterations_of(self.optimizer).value),
            without_padding(self.leaves_padding_out),
            compiled_parts(self.compiles_parts),
        ):
            with tf.GradientTape() as tape:
                outputs = self(x, training=True)
                share = self._compute_loss(x, y, outputs, sample_weight, training=True)
                if self.r_drop:
                    again = self(x, training=True)
                    other = self._compute_loss(x, y, again, sample_weight, training=True)
                    apart = disagreement(self, y, outputs, again, sample_weight)
                    share = 0.5 * (share + other) + self.r_drop * apart
                scaled = self.optimizer.scale_loss(share)
            gradients = tape.gradient(scaled, self.trainable_variables)
            if self.adversarial:

                def loss_again():
                    loss = self._compute_loss(x, y, self(x, training=True), sample_weight, training=True)
                    return self.optimizer.scale_loss(loss)

                gradients = added(gradients, adversarial_gradients(self, loss_again, self.adversarial))
        self.compute_metrics(x, y, outputs, sample_weight=sample_weight)
        return share, [
            tf.zeros(v.shape, v.dtype) if g is None else dense(g)
            for g, v in zip(gradients, self.trainable_variables, strict=True)
        ]

    def _dropout_key(self, replica, records):
        """What tells the dropout masks of this replica, or of these rows, from others."""
        if not self.dropout_by_record:
            return None if replica.num_replicas_in_sync == 1 else replica.replica_id_in_sync_group
        if records is None:
            raise DataError(
                f"The batches have no {RECORDS}, by which dropout is to be drawn",
                where="dropout_by_record=True", expected=f"{RECORDS}: int64 (B,) among the features",
            )  # fmt: skip
        return records if records.shape.rank == 1 else records[:, 0]  # of a packed row that of its first

    def _apply(self, replica, share, gradients):
        """Sums the gradients over the replicas, clips them, and updates the weights if all is finite."""
        import tensorflow as tf

        if not hasattr(self.optimizer, "_clip_summed"):  # float16 on one replica: Keras' own way
            self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
            return
        *gradients, loss = _all_reduce(replica, [*gradients, share])
        # One pass over a gradient, where its square would be a second one like it.
        squares = 2.0 * tf.stack([tf.nn.l2_loss(tf.cast(g, tf.float32)) for g in gradients])
        is_finite = tf.math.is_finite(tf.reduce_sum(squares)) & tf.math.is_finite(loss)
        self._note_nonfinite(is_finite, squares)
        # Compiled, the whole update is one pass over every weight: it is bound by memory.
        update = self._update
        if self.compiles_parts:
            update = tf.function(update, jit_compile=True, autograph=False)
        update(gradients, squares, self._sentinel.step < 0)

    def _update(self, gradients, squares, go_on):
        import tensorflow as tf

        gradients = self.optimizer._clip_summed(gradients, squares, go_on)
        token = rate_factor.set(tf.cast(go_on, tf.float32))
        try:
            self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        finally:
            rate_factor.reset(token)

    def _note_nonfinite(self, is_finite, squares):
        import tensorflow as tf

        step, finite = self._sentinel.step, self._sentinel.finite
        is_first = (step < 0) & ~is_finite
        finite.assign(tf.where(is_first, tf.math.is_finite(squares), finite))
        step.assign(tf.where(is_first, tf.cast(iterations_of(self.optimizer), tf.int64), step))

    def _track_loss(self, share, rows, x):
        """The mean of the epoch weighs the loss of a batch by its rows, as Keras does it."""
        self._loss_tracker.total.assign_add(share * rows)
        self._loss_tracker.count.assign_add(num_rows(x))

    def _global_logs(self, replica):
        """The metrics of all replicas together; on each replica the same numbers."""
        import tensorflow as tf

        if replica.num_replicas_in_sync == 1:
            return self.get_metrics_result()
        variables = [variable for metric in self.metrics for variable in metric.variables]
        # What is read from a variable has no device of its own, without which nothing can be summed.
        summed = _all_reduce(replica, [tf.identity(variable.value) for variable in variables])
        with keras.StatelessScope(state_mapping=list(zip(variables, summed, strict=True))):
            logs = self.get_metrics_result()
        if num_workers(self.distribute_strategy) > 1:  # there Keras takes the mean over an axis of the logs
            logs = keras.tree.map_structure(lambda value: tf.reshape(value, (1,)), logs)
        return logs

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Builds from the first replica's part of the first batch; Keras' takes the mean of all parts."""
        if self._distribute_strategy is None:
            return
        strategy = self.distribute_strategy
        if iterator is not None:
            for _, _, batches in iterator:
                parts = next(batches)
                data_batch = keras.tree.map_structure(
                    lambda v: strategy.experimental_local_results(v)[0], parts
                )
                break
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data_batch)
        with strategy.scope():
            self._symbolic_build(data_batch=(without_records(x)[0], y, sample_weight))


def _all_reduce(replica, tensors):
    """The sums over all replicas; nothing to do where there is one."""
    import tensorflow as tf

    if replica.num_replicas_in_sync == 1:
        return tensors
    return replica.all_reduce(tf.distribute.ReduceOp.SUM, tensors)
