"""Montgomery County set of the NLM: normal and tuberculous chest radiographs of a screening programme in Maryland."""

import re

from pipelines.sources.nlm import TuberculosisSet


class Montgomery(TuberculosisSet):
    """A reading begins "Patient's Sex: F", "Patient's Age: 026Y"; some say "same pt as MCUCXR_0113_1".

    All images are postero-anterior. `ManualMask` holds outlines of the lungs, not of what is in them, and is not read.
    """

    name = "montgomery"
    images = ("*CXR_png/MCUCXR_*.png",)
    required = images

    reading = re.compile(r"Sex:\s*(?P<sex>[A-Z]).*?Age:\s*(?P<age>\d+[A-Z]?)", re.IGNORECASE | re.DOTALL)
    same_patient = re.compile(r"same pt as MCUCXR_(?P<patient>\d+)", re.IGNORECASE)
    view = "PA"
