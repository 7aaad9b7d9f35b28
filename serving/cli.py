"""`thorax`: the command line, the one place that reaches both the pipeline and the service."""

import sys

import typer

from models.errors import ConfigurationError, ThoraxError
from serving.commands import batch, data, predict, registry, serve

app = typer.Typer(
    name="thorax",
    help="Multi-label thoracic disease platform. Research use, not for diagnosis.",
    epilog=predict.EXAMPLE,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(data.app, name="data")
app.add_typer(registry.app, name="registry")
app.command(name="predict", epilog=predict.EXAMPLE)(predict.predict)
app.command(name="batch", epilog=batch.EXAMPLE)(batch.batch)
app.command(name="serve", epilog=serve.EXAMPLE)(serve.serve)


def main() -> None:
    """Runs a command; exit code 0, 1 (failed) or 2 (bad arguments), and one sentence on stderr for what went wrong."""
    try:
        app()
    except ThoraxError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2 if isinstance(error, ConfigurationError) else 1)
