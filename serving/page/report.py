"""The sheet on paper: a PDF file that is made in memory and names no patient."""

from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.lib.units import mm
from reportlab.platypus import Flowable, Image, KeepTogether, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from models.explain import Overlay, place_map
from models.png import rgb_png
from models.radiograph import Radiograph
from serving.page.picture import Facts
from serving.page.sheet import CONFOUNDED, Sheet, sheet
from serving.schemas import Explanation, PredictionResponse

_PICTURE_MM = 92
_MARGIN = 16 * mm
_STYLES = getSampleStyleSheet()
_TIGHT = (("TOPPADDING", (0, 0), (-1, -1), 1.5), ("BOTTOMPADDING", (0, 0), (-1, -1), 1.5))
_GRID = TableStyle(
    [
        ("FONT", (0, 0), (-1, 0), "Helvetica-Bold", 8),
        ("LINEBELOW", (0, 0), (-1, 0), 0.6, colors.black),
        ("LINEBELOW", (0, 1), (-1, -1), 0.2, colors.lightgrey),
        *_TIGHT,
    ]
)


def report(answer: PredictionResponse, facts: Facts, radiograph: Radiograph, finding: str | None) -> bytes:
    """The report as a PDF file.

    Args:
        answer: of the platform.
        facts: what may be said of the patient.
        radiograph: of any size, in the proportions of the one that was asked about.
        finding: whose heat map is laid over the picture; None for none.
    """
    shown = sheet(answer, facts)
    pdf = BytesIO()
    document = SimpleDocTemplate(
        pdf,
        pagesize=A4,
        title="Chest radiograph",
        leftMargin=_MARGIN,
        rightMargin=_MARGIN,
        topMargin=_MARGIN,
        bottomMargin=_MARGIN,
    )
    footer = _footer(answer)
    document.build([*_story(shown, facts, radiograph, finding)], onFirstPage=footer, onLaterPages=footer)
    return pdf.getvalue()


def _story(shown: Sheet, facts: Facts, radiograph: Radiograph, finding: str | None) -> Iterator[Flowable]:
    answer = shown.answer
    yield _text("Chest radiograph: findings of a model", "Title")
    yield _text(answer.notice, "Heading3")
    yield _text(f"{facts.words}. Printed {datetime.now(UTC):%Y-%m-%d %H:%M} UTC.")
    yield Spacer(0, 3 * mm)
    yield KeepTogether([_picture(answer.explanation, radiograph, finding), _caption(shown, finding)])
    yield _text("Before you read", "Heading3")
    for check in shown.checks:
        yield _text(f"{'In order:' if check.passed else 'Mind:'} {check.words}")
    yield _text("Findings", "Heading3")
    if shown.lines:
        yield _findings(shown)
    else:
        yield _text("No findings are shown.")
    if any(one.confounded for one in answer.findings):
        yield _text(CONFOUNDED)
    yield _text("Provenance", "Heading3")
    yield _provenance(answer)


def _text(words: str, style: str = "BodyText") -> Paragraph:
    return Paragraph(escape(words), _STYLES[style])


def _picture(explanation: Explanation | None, radiograph: Radiograph, finding: str | None) -> Image:
    rows, columns = radiograph.levels.shape
    heat = np.zeros((rows, columns), np.float32)
    if explanation is not None:
        down, across = rows / explanation.rows, columns / explanation.columns
        seen = explanation.region
        region = (
            round(seen.left * across),
            round(seen.top * down),
            round(seen.right * across),
            round(seen.bottom * down),
        )
        for found in explanation.maps:
            if found.finding == finding:
                heat = place_map(np.asarray(found.values, np.float32), region, (rows, columns))
    scale = _PICTURE_MM * mm / max(rows, columns)
    return Image(BytesIO(rgb_png(Overlay(radiograph, heat))), columns * scale, rows * scale)


def _caption(shown: Sheet, finding: str | None) -> Paragraph:
    for line in shown.lines:
        if line.answer.finding == finding and line.place is not None:
            return _text(f"Heat map of {finding}, hottest: {line.place}. Violet is low, yellow is high.")
    return _text("Without heat map.")


def _findings(shown: Sheet) -> Table:
    rows = [["Finding", "", "Probability", "Score", "Operating point", "Hottest place", ""]]
    for lines in shown.groups.values():
        for line in lines:
            one = line.answer
            numbers = [f"{one.probability:.0%}", f"{one.score:.2f}", f"{one.operating_point:.2f}"]
            mark = "confounded" if one.confounded else ""
            rows.append([one.finding, line.state, *numbers, line.place or "", mark])
    table = Table(rows, hAlign="LEFT", repeatRows=1, style=_GRID)
    table.setStyle(TableStyle([("FONT", (0, 1), (-1, -1), "Helvetica", 8)]))
    return table


def _provenance(answer: PredictionResponse) -> Table:
    made = answer.provenance
    rows = {
        "Model": f"{answer.model.name}, version {answer.model.version}",
        "Digest": answer.model.digest,
        "Trained on": ", ".join(made.sources),
        "Data": made.data,
        "Preprocessing": made.preprocessing,
        "Code, engine": f"{made.commit}, {made.engine}",
        "Answer": answer.id,
    }
    return Table([*rows.items()], hAlign="LEFT", style=[("FONT", (0, 0), (-1, -1), "Helvetica", 8), *_TIGHT])


def _footer(answer: PredictionResponse) -> Any:
    def draw(canvas: Any, document: Any) -> None:
        canvas.setFont("Helvetica", 7)
        canvas.drawString(document.leftMargin, 9 * mm, f"Answer {answer.id}, page {canvas.getPageNumber()}")

    return draw
