"""What ImageNet sees in each image of a source: features in which duplicates and sources lie close together."""

from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from models.backbones.backbone import EMBEDDING
from models.backbones.efficientnet_lite0 import EFFICIENTNET_LITE0
from models.backbones.imagenet import load_imagenet
from pipelines.shards import read_columns, read_shards
from pipelines.stage import progress, run_stage

FEATURES = 1280
SCHEMA = pa.schema(
    [
        pa.field("image", pa.string(), nullable=False),
        pa.field("embedding", pa.list_(pa.float16(), FEATURES), nullable=False),
    ]
)
_BATCH = 32


def embed(source: str, shards: Path, embeddings: Path) -> None:
    """Writes a row of `SCHEMA` for each image of the shards, in their order, a batch in memory at a time.

    The features of an image do not depend on what else is in its batch, but for the last bit of a float16.

    Args:
        source: whose images these are, for the progress bar.
        shards: the folder of the source's shards.
        embeddings: the parquet file to write; the features are EfficientNet-Lite0's, each in [0, 6].

    Raises:
        WeightsError: the ImageNet weights cannot be read.
    """
    preprocessor = EFFICIENTNET_LITE0.preprocessing
    network = EFFICIENTNET_LITE0.build(preprocessor.image_shape)
    load_imagenet(network)
    total = sum(table["refused_code"].null_count for table in read_columns(shards, ("refused_code",)))
    images = progress(read_shards(shards), f"embedding {source}", total)
    with pq.ParquetWriter(embeddings, SCHEMA) as writer:
        while batch := list(islice(images, _BATCH)):
            pictures = np.stack([preprocessor(radiograph) for _, radiograph in batch])
            # Not by an exported graph: for some thousand images its export costs more than it saves.
            features = network.predict_on_batch(pictures)[EMBEDDING].astype(np.float16)
            names = pa.array([image for image, _ in batch])
            rows = [names, pa.FixedSizeListArray.from_arrays(features.ravel(), FEATURES)]
            writer.write_table(pa.table(rows, SCHEMA))


def main(source: str, shards: str, embeddings: str) -> None:
    """`python -m pipelines.embed SOURCE SHARDS EMBEDDINGS`."""
    Path(embeddings).parent.mkdir(parents=True, exist_ok=True)
    embed(source, Path(shards), Path(embeddings))


if __name__ == "__main__":
    run_stage(main)
