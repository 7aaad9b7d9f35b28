"""The way of many a demonstration: a Gradio page before `model.predict` of Keras, one image a call."""

import os

import gradio
import keras
import numpy as np
from numpy.typing import NDArray

from models import head_layer  # noqa: F401  # the layers that the network is made of
from models.bundle import KERAS_MODEL, read_manifest
from models.radiograph import Radiograph
from tests.bench.peers.chain import RELEASED

network = keras.saving.load_model(RELEASED / KERAS_MODEL, compile=False, safe_mode=True)
manifest, _ = read_manifest(RELEASED)


def predict(picture: NDArray[np.uint8]) -> dict[str, float]:
    model_input = manifest.preprocessing(Radiograph(picture))
    scores = network.predict(model_input[np.newaxis], verbose=0)["scores"][0]
    return dict(zip(manifest.findings, scores.tolist(), strict=True))


if __name__ == "__main__":
    page = gradio.Interface(predict, gradio.Image(image_mode="L"), gradio.JSON(), api_name="predict")
    page.launch(server_name="127.0.0.1", server_port=int(os.environ["PORT"]), quiet=True)
