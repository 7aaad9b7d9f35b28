"""What a browser may load for the page, and what of Gradio may be reached."""

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Gradio's own scripts are inline, and it makes functions of texts. Nothing comes from another host.
_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'none'",
        "frame-ancestors 'self'",
    )
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
# Gradio's page names a manifest of the platform's, which has none, and no icon, for which a browser then asks the
# platform. Its place is taken by an empty icon of the same length, so that the answer's stays as it was announced.
_MANIFEST = b'<link rel="manifest" href="/manifest.json" />'
_NO_ICON = b'<link rel="icon" href="data:,">'.ljust(len(_MANIFEST))
_KEPT_BY_GRADIO = "/gradio_api/"
_NEEDED_OF_IT = ("/gradio_api/component_server", "/gradio_api/heartbeat/", "/gradio_api/startup-events")


class Shield:
    """ASGI middleware: sets headers, and hides what Gradio offers besides and the page does not need.

    Gradio's own upload writes files to disk, its proxy asks other hosts, and its file route reads from the disk.

    Args:
        app: that is shielded.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if path.startswith(_KEPT_BY_GRADIO) and not path.startswith(_NEEDED_OF_IT):
            await PlainTextResponse("The page does not use this.", 404)(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            elif path == "/" and "body" in message:
                message["body"] = message["body"].replace(_MANIFEST, _NO_ICON)
            await send(message)

        await self._app(scope, receive, send_with_headers)
