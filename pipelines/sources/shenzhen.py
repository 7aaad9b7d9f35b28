"""Shenzhen set of the NLM: normal and tuberculous chest radiographs of Shenzhen No. 3 People's Hospital."""

import re

from pipelines.sources.nlm import TuberculosisSet


class Shenzhen(TuberculosisSet):
    """A reading begins "male 45yrs"; "femal 32yrs", "female24yrs" and "male 16month" occur as well.

    There are infants in it, who lie on their back for a radiograph, so that the view of an image is not known.
    """

    name = "shenzhen"
    images = ("*CXR_png/CHNCXR_*.png",)
    required = images

    reading = re.compile(r"\b(?P<sex>f|m)(?:em)?al[a-z]*[\s,]*(?P<age>\d+ *[a-z]*)", re.IGNORECASE)
