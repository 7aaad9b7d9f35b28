"""`thorax serve`: the service on this machine."""

import signal

import typer

from serving.settings import Settings, load_settings

EXAMPLE = "Example: THORAX_PORT=8001 thorax serve"


def serve() -> None:
    """Answers on http://127.0.0.1:8000 until Ctrl-C or a termination signal."""
    from serving.service import running

    settings = load_settings()
    try:
        with running(settings) as address:
            announce(settings, address)
            signal.pause()
    except KeyboardInterrupt:
        typer.echo("Stopped.")


def announce(settings: Settings, address: str) -> None:
    """Says what answers where."""
    typer.echo(f"Serving {', '.join(settings.models)}")
    typer.echo(f"  predictions  {address}/v1/predictions")
    if settings.page:
        typer.echo(f"  page         {address}/")
    typer.echo(f"  API docs     {address}/docs")
    typer.echo(f"  metrics      http://127.0.0.1:{settings.metrics_port}/metrics")
