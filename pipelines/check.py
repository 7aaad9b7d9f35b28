"""Looks before the run begins: params.yaml is understood and every source's files are there."""

from pathlib import Path

from models.backbones import find_backbone
from models.errors import RawDataMissingError, UnknownNameError
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
    find_backbone(params.train.backbone)
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


def main(raw: str, checked: str, to_draw: str) -> None:
    """`python -m pipelines.check RAW CHECKED TO_DRAW`."""
    params = load_params()
    check(params, Path(raw))
    # Always the same words: the stages behind this one wait for it, but have no reason to run again.
    Path(checked).parent.mkdir(parents=True, exist_ok=True)
    Path(checked).write_text("params.yaml is understood and the raw files are there\n", encoding="utf-8")
    # Another source to fetch is no reason to draw again.
    drawn = [f"{name}\n" for name in params.sources if find_source(name).drawn]
    Path(to_draw).write_text("".join(drawn), encoding="utf-8")


if __name__ == "__main__":
    run_stage(main)
