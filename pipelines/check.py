"""Looks before the run begins: params.yaml is understood and every source's files are there."""

from pathlib import Path

from models.backbones import find_backbone
from models.bundle import MANIFEST, file_sha256
from models.errors import RawDataMissingError, UnknownNameError, WeightsError
from models.findings import find_task
from pipelines.params import Params, load_params
from pipelines.phantom.record import DRAWN_FINDINGS
from pipelines.sources import find_source
from pipelines.stage import run_stage


def check(params: Params, raw: Path) -> None:
    """Returns if the run can begin.

    Raises:
        UnknownNameError: no such source, task, backbone or drawn finding.
        RawDataMissingError: a source's folder below `raw` is missing or empty.
    """
    for model in params.models.values():
        find_backbone(model.backbone)
    if params.draw.scanner_finding not in DRAWN_FINDINGS:
        known = ", ".join(DRAWN_FINDINGS)
        raise UnknownNameError(kind="drawn finding", name=params.draw.scanner_finding, known=known)
    for name in params.tasks:
        find_task(name)
    for name in params.sources:
        source = find_source(name)
        folder = raw / name
        if not source.drawn and not (folder.is_dir() and any(folder.iterdir())):
            raise RawDataMissingError(
                expected=f"the files of {name}",
                folder=folder,
                remedy=f"Run: thorax data fetch {name} --from FOLDER, or take {name} out of sources in params.yaml.",
            )


def beginning(weights: str) -> str:
    """What the weights to begin with are: their name, or the hash of the file or of the bundle's manifest.

    Raises:
        WeightsError: no such file.
    """
    if weights in {"none", "imagenet"}:
        return weights
    path = Path(weights) / MANIFEST if Path(weights).is_dir() else Path(weights)
    try:
        return file_sha256(path)
    except OSError as error:
        raise WeightsError(
            weights=weights,
            expected="none, imagenet, a .keras or .weights.h5 file, or the folder of a bundle",
            received=f"{path}, which cannot be read ({error.strerror})",
            remedy="Mend weights in params.yaml.",
        ) from error


def main(raw: str, checked: str, to_draw: str, beginnings: str) -> None:
    """`python -m pipelines.check RAW CHECKED TO_DRAW BEGINNINGS`."""
    params = load_params()
    check(params, Path(raw))
    # Always the same words: the stages behind this one wait for it, but have no reason to run again.
    Path(checked).parent.mkdir(parents=True, exist_ok=True)
    Path(checked).write_text("params.yaml is understood and the raw files are there\n", encoding="utf-8")
    # Another source to fetch is no reason to draw again.
    drawn = [f"{name}\n" for name in params.sources if find_source(name).drawn]
    Path(to_draw).write_text("".join(drawn), encoding="utf-8")
    # A model is trained again where what it begins with has changed; DVC knows nothing of that file.
    Path(beginnings).mkdir(parents=True, exist_ok=True)
    for name, model in params.models.items():
        (Path(beginnings) / f"{name}.txt").write_text(beginning(model.weights) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run_stage(main)
