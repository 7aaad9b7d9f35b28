"""The card of a data source: whose it is, and what may be done with it."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.errors import SettingsError

Text = Annotated[str, Field(min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Weights(_Part):
    """What may be done with weights trained on the source.

    Attributes:
        shareable: whether they may be given to others.
        terms: on which conditions.
    """

    shareable: bool
    terms: Text


class Columns(_Part):
    """Which columns of a table mean what; a source whose layout is the user's own has them in its card.

    Attributes:
        image: the image's path, or its name where names are unique.
        patient_id, study_id, view_position, age_years, sex, split_official: see `ImageRow`.
        findings: column by finding; 1 present, 0 absent, -1 uncertain, blank not labelled.
    """

    image: Text
    patient_id: Text
    study_id: Text | None = None
    view_position: Text | None = None
    age_years: Text | None = None
    sex: Text | None = None
    split_official: Text | None = None
    findings: Annotated[dict[str, Text], Field(min_length=1)]


class Card(_Part):
    """All of `data/sources/<name>.yaml`.

    Attributes:
        title, home, licence, citation, terms: of the publisher.
        weights: trained on it.
        limits: what the source cannot show.
        age_group: whom its images show; "any" unless the publisher says that it is children or adults only.
        checksums: `md5:...` or `sha256:...` by the name of a file as published.
        table: path of the user's own table, with `columns`.
        classes: findings (1 or 0) by the name of a folder, where a folder is a class.
    """

    title: Text
    home: Text
    licence: Text
    citation: Text
    terms: Text
    weights: Weights
    limits: Text
    age_group: Literal["child", "adult", "any"] = "any"
    checksums: Mapping[str, Annotated[str, Field(pattern=r"^(md5:[0-9a-f]{32}|sha256:[0-9a-f]{64})$")]] = {}
    table: Text | None = None
    columns: Columns | None = None
    classes: Mapping[str, Mapping[str, Annotated[int, Field(ge=0, le=1)]]] = {}


def load_card(path: Path) -> Card:
    """The card in a file.

    Raises:
        SettingsError: it is not there, lacks a key or has one too many.
    """
    try:
        return Card.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(
            where=path, reason=f"expected a card in YAML, but {' '.join(str(error).split())}"
        ) from error
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise SettingsError(where=path, reason=f"{wrong}; see pipelines/sources/card.py") from error


def load_cards(folder: Path, sources: Iterable[str]) -> dict[str, Card]:
    """The card of each source in `data/sources/`.

    Raises:
        SettingsError: as for `load_card`.
    """
    return {source: load_card(folder / f"{source}.yaml") for source in sources}
