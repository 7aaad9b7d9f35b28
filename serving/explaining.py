"""From an answer to where in the radiograph it comes from: as data, as a picture, as an array."""

from io import BytesIO

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import FindingNotFoundError, NoAnswerError
from models.explain import Overlay, caption, place_map
from models.png import rgb_png
from serving.answering import Answer
from serving.schemas import Explanation, HeatMap, Region

cv2.setNumThreads(1)  # the bands of a picture are drawn side by side already


def explained(answer: Answer) -> Explanation:
    """The heat map of each finding that is given, as small as the network made it."""
    film = answer.film_asked_for
    rows, columns = film.radiograph.levels.shape
    left, top, right, bottom = film.region
    given = {one.finding for one in answer.response.findings}
    maps = [
        HeatMap(finding=name, values=answer.prediction.maps[..., column].tolist())
        for column, name in enumerate(answer.bundle.manifest.findings)
        if name in given
    ]
    return Explanation(
        rows=rows, columns=columns, region=Region(left=left, top=top, right=right, bottom=bottom), maps=maps
    )


def heat_map(answer: Answer, finding: str) -> NDArray[np.float32]:
    """(rows, columns) of the radiograph, float32 in [0, 1], as `models.explain.place_map` gives it.

    Raises:
        FindingNotFoundError: the model does not know the finding.
        NoAnswerError: the model gives no findings about this patient.
    """
    film, findings = answer.film_asked_for, answer.bundle.manifest.findings
    if finding not in findings:
        raise FindingNotFoundError(
            of=f"model {answer.response.model.name}", received=finding[:100], known=", ".join(findings)
        )
    if not answer.response.findings:
        raise NoAnswerError(reason=" ".join(answer.response.decision.reasons))
    heat = np.ascontiguousarray(answer.prediction.maps[..., findings.index(finding)])
    return place_map(heat, film.region, film.radiograph.levels.shape)


def heat_map_png(answer: Answer, finding: str) -> bytes:
    """The radiograph under the heat map, with legend, finding, model and notice below; raises as `heat_map` does."""
    heat = heat_map(answer, finding)
    response = answer.response
    (one,) = (one for one in response.findings if one.finding == finding)
    called = "present" if one.present else "absent"
    lines = [
        f"{finding}: {'uncertain' if one.uncertain else called}, probability {100 * one.probability:.0f} %, score "
        f"{one.score:.2f}, operating point {one.operating_point:.2f}.",
        f"Model {response.model.name}, version {response.model.version}. {response.notice}",
    ]
    return rgb_png(Overlay(answer.film_asked_for.radiograph, heat), caption(lines, heat.shape[1]))


def heat_map_npy(answer: Answer, finding: str) -> bytes:
    """The heat map itself, in NumPy's file format; raises as `heat_map` does."""
    file = BytesIO()
    np.save(file, heat_map(answer, finding), allow_pickle=False)
    return file.getvalue()
