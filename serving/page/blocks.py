"""The Gradio application: one component of HTML, whose script asks these functions and the routes of `app`."""

from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import Any

import gradio as gr
import httpx

from models.card import NOTICE
from serving.client import AnswerError
from serving.page.platform import UNREACHABLE, Platform
from serving.page.rendering import rendered
from serving.schemas import ModelDescription, Verdict

STATIC = Path(__file__).parent / "static"
_SCRIPTS = ("viewer.js", "page.js", "hands.js")

Told = dict[str, Any]


def page(platform: Platform, examples: Iterable[str], max_bytes: int) -> gr.Blocks:
    """The page.

    Args:
        platform: that answers.
        examples: names of the radiographs that the page offers.
        max_bytes: that a file may have.
    """

    @_told
    def models(_none: object) -> Told:
        return {"models": [_model(one) for one in platform.models()]}

    @_told
    def feedback(said: dict[str, str]) -> Told:
        given = Verdict.model_validate(said)
        platform.feedback(str(given.prediction_id), given.finding, given.verdict)
        return {}

    blocks: gr.Blocks = gr.Blocks(title="Thorax", analytics_enabled=False, fill_width=True)
    with blocks:
        gr.HTML(
            html_template=rendered("page.html", examples=examples, notice=NOTICE, max_bytes=max_bytes),
            js_on_load="\n".join((STATIC / name).read_text() for name in _SCRIPTS),
            apply_default_css=False,
            server_functions=[models, feedback],
        )
    return blocks


def _told(function: Callable[[Any], Told]) -> Callable[[Any], Told]:
    """The function, whose errors are told as values: Gradio would answer with a status and no words."""

    @wraps(function)
    def telling(said: Any) -> Told:
        try:
            return function(said)
        except AnswerError as error:
            return {"problem": error.problem.detail}
        except httpx.TransportError:
            return {"problem": UNREACHABLE}

    return telling


def _model(one: ModelDescription) -> Told:
    aliases = f" ({', '.join(one.aliases)})" if one.aliases else ""
    return {
        "name": one.name,
        "version": one.version,
        "label": f"{one.name} v{one.version}{aliases}",
        "card": rendered("card.html", card=one.card),
    }
