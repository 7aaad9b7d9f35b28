"""The page as one application: its own routes, and Gradio's behind them; what is sent stays in memory."""

import base64
import binascii
import json
from collections.abc import AsyncIterator, Callable

import gradio as gr
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, ValidationError

from models.errors import BadRequestError, ThoraxError
from models.reading import ReadingLimits, read_radiograph
from serving.errors import PROBLEM, problem_of
from serving.page.blocks import STATIC, page
from serving.page.examples import examples
from serving.page.picture import Facts
from serving.page.platform import Platform
from serving.page.reading import DATA_ADDRESS, Reader, Step, reading
from serving.page.report import report
from serving.page.shield import Shield
from serving.schemas import PredictionResponse
from serving.upload import UploadRoom, uploaded_file

_MAX_BYTES = ReadingLimits().max_bytes
_UPLOAD_SECONDS = 60.0
_LOOK_SECONDS = 5.0
_UPLOADS_AT_ONCE = 16  # of the largest files
_MAX_REPORT_BYTES = 32 * 2**20  # an answer with its maps and a picture as large as this page makes them


class _ToPrint(BaseModel):
    """What the browser knows of a reading, and which finding's heat map is to be printed."""

    model_config = ConfigDict(extra="forbid")

    answer: PredictionResponse
    facts: Facts
    picture: str
    finding: str | None


def page_app(connect: Callable[[], Platform], read: Reader = read_radiograph, max_bytes: int = _MAX_BYTES) -> FastAPI:
    """The page, to be served at any path that ends in a slash.

    Args:
        connect: makes the platform's client, in the process that serves the page.
        read: makes a radiograph of a file that was sent.
        max_bytes: that a file may have.
    """
    platform, offered, room = connect(), examples(), UploadRoom(_UPLOADS_AT_ONCE * max_bytes)
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Shield)

    @app.get("")
    def to_the_page(request: Request) -> Response:
        return RedirectResponse(f"{request.scope.get('root_path', '')}/")

    @app.get("/examples/{name}")
    def example(name: str) -> Response:
        return FileResponse(offered[name]) if name in offered else Response(status_code=404)

    @app.post("/readings")
    async def read_file(request: Request, model: str | None = None) -> Response:
        try:
            with room.share() as take:
                data = await uploaded_file(request, max_bytes, _UPLOAD_SECONDS, take)
        except ThoraxError as error:
            return StreamingResponse(_lines(_refusal(error)), media_type="application/x-ndjson")
        return StreamingResponse(_lines(reading(data, model, platform, read)), media_type="application/x-ndjson")

    @app.post("/reports")
    async def print_report(request: Request) -> Response:
        try:
            with room.share() as take:
                body = await uploaded_file(request, _MAX_REPORT_BYTES, _UPLOAD_SECONDS, take)
            pdf = await run_in_threadpool(_printed, body, read)
        except ThoraxError as error:
            told = problem_of(error)
            return JSONResponse(told.model_dump(), told.status, media_type=PROBLEM)
        return Response(pdf, media_type="application/pdf")

    blocks = page(platform, offered, max_bytes)
    mounted: FastAPI = gr.mount_gradio_app(
        app,
        blocks,
        path="/",
        theme=gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
        css_paths=[STATIC / "page.css"],
        footer_links=[],
        run_history=False,  # by default each run is kept in the browser's storage
        ssr_mode=False,
    )
    # The page queues nothing and shows no progress; Gradio would look a thousand, and a hundred, times a second.
    blocks._queue.sleep_when_free = blocks._queue.progress_update_sleep_when_free = _LOOK_SECONDS
    return mounted


async def _lines(steps: AsyncIterator[Step]) -> AsyncIterator[bytes]:
    async for step in steps:
        yield json.dumps(step).encode() + b"\n"


async def _refusal(error: ThoraxError) -> AsyncIterator[Step]:
    yield {"problem": str(error)}


def _printed(body: bytes, read: Reader) -> bytes:
    try:
        asked = _ToPrint.model_validate_json(body)
        png = base64.b64decode(asked.picture.removeprefix(DATA_ADDRESS), validate=True)
    except (ValidationError, binascii.Error) as error:
        raise BadRequestError(expected="what this page knows of a reading", reason="it is something else") from error
    return report(asked.answer, asked.facts, read(png), asked.finding)
