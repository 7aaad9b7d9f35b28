"""The page as a browser sees it, in front of small real bundles."""

import threading
import time
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import uvicorn
from PIL import Image

from models.bundle import CARD, Bundle, load_bundle
from models.errors import ThoraxError
from models.radiograph import Radiograph
from models.reading import read_radiograph, read_radiograph_file
from serving.answering import prediction_response
from serving.client import AnswerError
from serving.errors import problem_of
from serving.page.app import page_app
from serving.schemas import Explanation, HeatMap, ModelDescription, ModelName, PredictionResponse, Region
from tests.conftest import free_port

CHROMIUM = Path("/usr/bin/chromium")
MAX_BYTES = 8 * 2**20
SOON_MS = 60_000  # on a busy machine


@dataclass
class Answerer:
    """A platform in this process, which keeps the verdicts it is told."""

    bundles: dict[str, Bundle]
    verdicts: list[tuple[str, str, str]] = field(default_factory=list)

    def predict(self, data: bytes, model: str | None, explain: bool = False) -> PredictionResponse:
        bundle = self.bundles[model or next(iter(self.bundles))]
        try:
            return answered(bundle, read_radiograph(data))
        except ThoraxError as error:
            raise AnswerError(problem_of(error)) from error

    def models(self) -> list[ModelDescription]:
        return [
            ModelDescription(
                name=name, version="1", aliases=["production"], digest=bundle.digest,
                findings=list(bundle.manifest.findings), age_group=bundle.manifest.age_group,
                confounded=list(bundle.manifest.confounded), metrics={}, card=(bundle.path / CARD).read_text(),
            )
            for name, bundle in self.bundles.items()
        ]  # fmt: skip

    def feedback(self, prediction_id: str, finding: str, verdict: str) -> None:
        self.verdicts.append((prediction_id, finding, verdict))


def answered(bundle: Bundle, radiograph: Radiograph) -> PredictionResponse:
    """The answer of a bundle with its explanation."""
    (prediction,) = bundle.predict([radiograph])
    name = ModelName(name=bundle.manifest.name, version="1", digest=bundle.digest)
    answer = prediction_response(bundle, name, prediction, radiograph.tags)
    rows, columns = radiograph.levels.shape
    left, top, right, bottom = bundle.manifest.preprocessing.region(radiograph)
    maps = [
        HeatMap(finding=finding, values=prediction.maps[..., column].tolist())
        for column, finding in enumerate(bundle.manifest.findings)
    ]
    region = Region(left=left, top=top, right=right, bottom=bottom)
    return answer.model_copy(update={"explanation": Explanation(rows=rows, columns=columns, region=region, maps=maps)})


@pytest.fixture(scope="session")
def chest(chest_dicom: Path) -> Radiograph:
    return read_radiograph_file(chest_dicom)


@pytest.fixture(scope="session")
def chest_png(chest):
    png = BytesIO()
    Image.fromarray((chest.levels[::4, ::4] >> 8).astype(np.uint8)).save(png, "PNG")
    return png.getvalue()


@pytest.fixture(scope="session")
def answer(paediatric_folder: Path, chest: Radiograph) -> PredictionResponse:
    return answered(load_bundle(paediatric_folder), chest)


@pytest.fixture(scope="session")
def answerer(paediatric_folder: Path, bundle: Bundle) -> Answerer:
    return Answerer({"paediatric": load_bundle(paediatric_folder), "pneumonia": bundle})


@pytest.fixture(scope="session")
def address(answerer: Answerer) -> Iterator[str]:
    """Of the page, which is served below /page, as Ray Serve does it: the path is whole, the root path says where."""

    def page_below() -> Callable[..., Any]:
        app: Callable[..., Any] = page_app(lambda: answerer, max_bytes=MAX_BYTES)

        async def below(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
            await app(scope | {"root_path": "/page"} if scope["type"] == "http" else scope, receive, send)

        return below

    with serving(page_below) as origin:
        yield f"{origin}/page/"


@contextmanager
def serving(make: Callable[[], Any]) -> Iterator[str]:
    """Makes and serves an application; within a running event loop, for Gradio would leave one of its own open."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(make, factory=True, port=port, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")  # Playwright leaves a loop running until it is closed, beside which asyncio.run fails
def browser() -> Iterator[Any]:
    if not CHROMIUM.exists():
        pytest.skip("there is no Chromium here: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Any, address: str) -> Iterator[Callable[..., Any]]:
    """Opens the page; afterwards, nothing may have been complained of in the console, or asked of another host."""
    strange: list[str] = []
    contexts = []
    origin = str(httpx.URL(address).copy_with(path="/"))

    def opened(**settings: Any) -> Any:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}} | settings)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(SOON_MS)
        page.on("console", lambda message: strange.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: strange.append(str(error)))
        page.on("request", lambda request: None if _ours(request.url, origin) else strange.append(request.url))
        page.goto(address)
        page.wait_for_selector("#model:enabled")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert strange == []


def _ours(url: str, origin: str) -> bool:
    return url.startswith((origin, "data:", f"blob:{origin}"))


def give(page, data, name="chest"):
    page.set_input_files("#file", {"name": name, "mimeType": "application/octet-stream", "buffer": data})


def read(page, data, name="chest"):
    give(page, data, name)
    page.wait_for_selector(".finding", state="attached")
