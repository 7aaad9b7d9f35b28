"""Data sources by name; to add one: a file, its card under `data/sources/`, and a line in `SOURCES`."""

from collections.abc import Mapping
from types import MappingProxyType

from models.errors import UnknownNameError
from pipelines.sources.chexpert import CheXpert
from pipelines.sources.covid_chestxray import CovidChestXray
from pipelines.sources.covidx import Covidx
from pipelines.sources.dicom import DicomExport
from pipelines.sources.feedback import Feedback
from pipelines.sources.folder import Folder
from pipelines.sources.hannover import Hannover
from pipelines.sources.jsrt import Jsrt
from pipelines.sources.kermany import Kermany
from pipelines.sources.montgomery import Montgomery
from pipelines.sources.nih_chestxray14 import NihChestXray14
from pipelines.sources.rsna_pneumonia import RsnaPneumonia
from pipelines.sources.shenzhen import Shenzhen
from pipelines.sources.source import Source
from pipelines.sources.synthetic import Synthetic

SOURCES: Mapping[str, Source] = MappingProxyType(
    {
        "chexpert": CheXpert(),
        "covid_chestxray": CovidChestXray(),
        "covidx": Covidx(),
        "dicom": DicomExport(),
        "feedback": Feedback(),
        "folder": Folder(),
        "hannover": Hannover(),
        "jsrt": Jsrt(),
        "kermany": Kermany(),
        "montgomery": Montgomery(),
        "nih_chestxray14": NihChestXray14(),
        "rsna_pneumonia": RsnaPneumonia(),
        "shenzhen": Shenzhen(),
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
