"""Data sources by name; to add one: a file, its card under `data/sources/`, and a line in `SOURCES`."""

from collections.abc import Mapping
from types import MappingProxyType

from models.errors import UnknownNameError
from pipelines.sources.kermany import Kermany
from pipelines.sources.source import Source
from pipelines.sources.synthetic import Synthetic

SOURCES: Mapping[str, Source] = MappingProxyType(
    {
        "kermany": Kermany(),
        "synthetic": Synthetic(),
    }
)


def find_source(name: str) -> Source:
    """The source of that name.

    Raises:
        UnknownNameError: the table holds no such source.
    """
    try:
        return SOURCES[name]
    except KeyError:
        raise UnknownNameError(kind="source", name=name, known=", ".join(SOURCES)) from None
