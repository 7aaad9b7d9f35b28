"""What a bundle's scores, embeddings and inputs look like on held-out patients: what drift is compared with."""

from pathlib import Path

import pandas as pd

from models.bundle import Bundle, load_bundle
from monitoring.features import appearance
from pipelines.prediction import predict_rows
from pipelines.stage import run_stage


def reference(bundle: Bundle, table: Path, shards: Path) -> pd.DataFrame:
    """A row an image that was not trained on: `score <finding>`, `appearance <feature>`, `embedding`; no identities."""
    rows = pd.read_parquet(table)
    return pd.DataFrame(
        {
            "source": source,
            **{f"score {name}": score for name, score in zip(bundle.manifest.findings, prediction.scores, strict=True)},
            **{f"appearance {name}": value for name, value in appearance(radiograph).items()},
            "embedding": prediction.embedding.astype("float32"),
        }
        for source, _, radiograph, prediction in predict_rows(bundle, rows[rows["split"] != "train"], shards)
    )


def main(bundle: str, table: str, shards: str, out: str) -> None:
    """`python -m pipelines.reference BUNDLE TABLE SHARDS OUT`."""
    found = reference(load_bundle(Path(bundle)), Path(table), Path(shards))
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    found.to_parquet(out, index=False)


if __name__ == "__main__":
    run_stage(main)
