"""Feature extractors by name; to add one: a file that gives a `Backbone`, and a line in `BACKBONES`."""

from collections.abc import Mapping
from types import MappingProxyType

from models.backbones.backbone import Backbone
from models.backbones.baseline_cnn import BASELINE_CNN
from models.backbones.efficientnet_lite0 import EFFICIENTNET_LITE0
from models.errors import UnknownNameError

BACKBONES: Mapping[str, Backbone] = MappingProxyType(
    {
        "baseline_cnn": BASELINE_CNN,
        "efficientnet_lite0": EFFICIENTNET_LITE0,
    }
)


def find_backbone(name: str) -> Backbone:
    """The backbone of that name.

    Raises:
        UnknownNameError: the table holds no such backbone.
    """
    try:
        return BACKBONES[name]
    except KeyError:
        raise UnknownNameError(kind="backbone", name=name, known=", ".join(BACKBONES)) from None
