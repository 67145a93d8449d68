"""A client of TensorFlow Serving: `python client.py HOST:PORT MODEL text="A warm, funny film."`.

Needs tensorflow-serving-api, and nothing of keras_bert: it is copied beside every served model.

    client = Client("localhost:8500", "serving")
    client.predict(text=["A warm, funny film."])        # {"label": array([b"positive"]), "score": ...}
"""

import json
import sys

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc


class Client:
    """Sends requests to one model.

    Args:
        address: str. HOST:PORT of the server's gRPC.
        model: str. Its name.
        timeout: float. Seconds a request may take.
    """

    def __init__(self, address, model, timeout=10.0):
        self.model, self.timeout = model, timeout
        self.channel = grpc.insecure_channel(address)
        self.stub = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)

    def predict(self, signature="serving_default", **inputs) -> dict:
        """The answer, as NumPy arrays by name; texts in it are bytes of UTF-8.

        Args:
            signature: str.
            **inputs: lists or arrays, the batch first; str, or int32 for the ids.
        Raises:
            grpc.RpcError: the server refused the request, does not answer, or is not there.
        """
        request = predict_pb2.PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = self.model, signature
        for name, values in inputs.items():
            array = np.asarray(values)
            array = array.astype(np.int32) if array.dtype.kind == "i" else array.astype(object)
            request.inputs[name].CopyFrom(tf.make_tensor_proto(array))
        answer = self.stub.Predict(request, self.timeout)
        return {name: tf.make_ndarray(tensor) for name, tensor in answer.outputs.items()}

    def close(self):
        """Closes the connection."""
        self.channel.close()


def _printable(array):
    return [v.decode("utf-8") for v in array.ravel()] if array.dtype == object else array.tolist()


if __name__ == "__main__":
    address, model, *columns = sys.argv[1:]
    texts = dict(column.split("=", 1) for column in columns)
    found = Client(address, model).predict(**{name: [text] for name, text in texts.items()})
    print(json.dumps({name: _printable(array) for name, array in found.items()}, ensure_ascii=False))
