"""`thorax predict`: scores files without a server, by the same bundle and the same code."""

import json
from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel

from models.bundle import load_bundle
from models.card import NOTICE
from models.errors import RadiographError, UnreadableFileError
from models.reading import ReadingLimits
from serving.answering import Answer, prediction_response
from serving.errors import problem_of
from serving.explaining import heat_map_png
from serving.loading import find_model
from serving.readers import read
from serving.schemas import FindingAnswer, PredictionResponse
from serving.settings import load_settings

EXAMPLE = "Example: thorax predict chest.dcm --model pneumonia@production --json"


def predict(
    files: Annotated[list[Path], typer.Argument(help="PNG, JPEG or DICOM.")],
    model: Annotated[
        str | None, typer.Option(help="NAME[@ALIAS or @VERSION] of the registry, or the path of a bundle.")
    ] = None,
    explain: Annotated[
        Path | None, typer.Option(file_okay=False, help="Folder for heat maps: a PNG for each file and finding.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Findings of each file; a file that fails is answered with its error, the rest all the same."""
    settings = load_settings()
    limits = ReadingLimits(settings.max_upload_bytes, settings.max_pixels)
    folder, name = find_model(settings, model or settings.models[0])
    bundle = load_bundle(folder, name.digest, settings.engine, settings.engine_threads)
    failed = False
    for number, file in enumerate(files, start=1):
        try:
            reading = read(_bytes(file), bundle.manifest.preprocessing, limits, with_film=explain is not None)
            (prediction,) = bundle.score([reading.model_input])
            response = prediction_response(bundle, name, prediction, reading.tags)
            if explain is not None:
                _write_heat_maps(Answer(response, bundle, prediction, reading.film), explain / f"{number}-{file.stem}")
            typer.echo(_line(file, response) if as_json else _sentence(file, response))
        except (RadiographError, UnreadableFileError) as error:
            failed = True
            typer.echo(_line(file, problem_of(error)) if as_json else f"{file}: {error}", err=not as_json)
    if failed:
        raise typer.Exit(1)


def _write_heat_maps(answer: Answer, stem: Path) -> None:
    stem.parent.mkdir(parents=True, exist_ok=True)
    for one in answer.response.findings:
        Path(f"{stem}-{one.finding}.png").write_bytes(heat_map_png(answer, one.finding))


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UnreadableFileError(path=file, reason=error.strerror) from error


def _line(file: Path, answer: BaseModel) -> str:
    return json.dumps(answer.model_dump(exclude_none=True) | {"file": str(file)})


def _sentence(file: Path, answer: PredictionResponse) -> str:
    findings = ", ".join(_words(one) for one in answer.findings) or "no findings"
    abstains = ["The model abstains."] if answer.decision.abstain else []
    return " ".join([f"{file}: {findings}.", *abstains, *answer.decision.reasons, NOTICE])


def _words(one: FindingAnswer) -> str:
    said = [word for word in ("present", "uncertain") if getattr(one, word)]
    return f"{one.finding} {one.score:.3f}" + (f" ({', '.join(said)})" if said else "")
