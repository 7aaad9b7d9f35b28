"""From a file to picture and sheet, each told as soon as it is there; the file itself is never written anywhere."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx

from models.errors import ThoraxError
from models.radiograph import Radiograph
from serving.client import AnswerError
from serving.logs import logger
from serving.page.picture import Facts, picture
from serving.page.platform import UNREACHABLE, Platform
from serving.page.rendering import rendered
from serving.page.sheet import CONFOUNDED, sheet
from serving.schemas import PredictionResponse

Reader = Callable[[bytes], Radiograph]
Step = dict[str, Any]
DATA_ADDRESS = "data:image/png;base64,"
FAILED = "The page failed to read this answer. Its log says where. Send the radiograph again."


async def reading(data: bytes, model: str | None, platform: Platform, read: Reader) -> AsyncIterator[Step]:
    """What the page learns about a file, step by step: first `picture`, then `findings`, or a `problem` at any time.

    The platform is asked while the picture is made, for it takes as long.

    Args:
        data: the whole file.
        model: that is asked; None for the default.
        platform: that answers.
        read: makes a radiograph of the file, for the picture.
    """
    asked = asyncio.create_task(asyncio.to_thread(platform.predict, data, model, True))
    asked.add_done_callback(_forgive)
    try:
        radiograph = await asyncio.to_thread(read, data)
        facts = Facts.of(radiograph.tags)
        png = await asyncio.to_thread(picture, radiograph)
        address = DATA_ADDRESS + base64.b64encode(png).decode()
        yield {"picture": address, "facts": facts.model_dump(), "words": facts.words}
        yield _findings(await asked, facts)
    except AnswerError as error:
        yield {"problem": error.problem.detail}
    except ThoraxError as error:
        yield {"problem": str(error)}
    except httpx.TransportError:
        yield {"problem": UNREACHABLE}
    except Exception as error:  # whose words may hold what was sent
        logger().error("page failed", error=type(error).__name__)
        yield {"problem": FAILED}


def _findings(answer: PredictionResponse, facts: Facts) -> Step:
    shown = sheet(answer, facts)
    return {
        "answer": answer.model_dump(),
        "places": {line.answer.finding: line.place for line in shown.lines},
        "top": shown.top,
        "findings": rendered("findings.html", sheet=shown, confounded=CONFOUNDED),
        "why": rendered("why.html", answer=answer),
    }


def _forgive(asked: asyncio.Task[PredictionResponse]) -> None:
    """An answer that nobody waits for any more may be an error, too; asyncio would complain that nobody looked."""
    if not asked.cancelled():
        asked.exception()
