"""From a radiograph to what one set of weights wants to see; the settings are data and travel inside the bundle."""

import hashlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, PositiveInt

from models.radiograph import Radiograph


class Preprocessor(BaseModel):
    """Stretches a radiograph to the model's size, repeats the grey channel and scales the values.

    Attributes:
        height_px, width_px: size of the model input.
        channels: how often the grey channel is repeated.
        scale, offset: model input = grey * scale + offset, grey in [0, 1].
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    height_px: PositiveInt
    width_px: PositiveInt
    channels: PositiveInt = 3
    scale: float = 1.0
    offset: float = 0.0

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of the model input."""
        return self.height_px, self.width_px, self.channels

    def grey(self, radiograph: Radiograph) -> NDArray[np.float32]:
        """(height_px, width_px) float32 in [0, 1]: resized with an antialiasing triangle filter, not yet scaled."""
        picture = Image.fromarray(radiograph.pixels)
        resized = picture.resize((self.width_px, self.height_px), Image.Resampling.BILINEAR)
        return np.clip(np.asarray(resized, dtype=np.float32), 0.0, 1.0)

    def model_input(self, grey: NDArray[np.float32]) -> NDArray[np.float32]:
        """(height_px, width_px, channels) float32 from what `grey` gave."""
        scaled = grey * np.float32(self.scale) + np.float32(self.offset)
        return np.repeat(scaled[..., np.newaxis], self.channels, axis=-1)

    def __call__(self, radiograph: Radiograph) -> NDArray[np.float32]:
        """(height_px, width_px, channels) float32, as the weights want it."""
        return self.model_input(self.grey(radiograph))

    def digest(self) -> str:
        """`sha256:` and the hash of the settings; equal settings have equal digests."""
        return "sha256:" + hashlib.sha256(self.model_dump_json().encode()).hexdigest()
