"""The bundles that come with the project are whole, may be given to others, and answer a real radiograph."""

import json
from pathlib import Path

import pytest

from models.bundle import load_bundle
from models.card import DRAWN_NOTICE, NOTICE
from models.gates import CHEST_RADIOGRAPH_FROM, IN_DISTRIBUTION_FROM
from models.reading import read_radiograph_file
from pipelines.params import load_params
from tests.conftest import ROOT

RELEASED = ROOT / "data/released"
...
