"""Feature extractors by name; to add one: a file that gives a `Backbone`, and a line in `BACKBONES`."""

from collections.abc import Mapping
from types import MappingProxyType

from models.backbones.backbone import Backbone
from models.backbones.baseline_cnn import BASELINE_CNN
from models.backbones.densenet import DENSENET121
from models.backbones.efficientnet_lite0 import EFFICIENTNET_LITE0
from models.backbones.efficientnet_v2 import EFFICIENTNET_V2_B0, EFFICIENTNET_V2_S
from models.backbones.mobilenet_v3 import MOBILENET_V3_LARGE, MOBILENET_V3_SMALL
from models.backbones.resnet_v2 import RESNET50_V2
from models.errors import UnknownNameError

BACKBONES: Mapping[str, Backbone] = MappingProxyType(
    {
        "baseline_cnn": BASELINE_CNN,
        "efficientnet_lite0": EFFICIENTNET_LITE0,
        "efficientnet_v2_b0": EFFICIENTNET_V2_B0,
        "efficientnet_v2_s": EFFICIENTNET_V2_S,
        "densenet121": DENSENET121,
        "resnet50_v2": RESNET50_V2,
        "mobilenet_v3_small": MOBILENET_V3_SMALL,
        "mobilenet_v3_large": MOBILENET_V3_LARGE,
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
