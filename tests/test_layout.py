"""What the architecture promises about files and imports, beyond what import-linter keeps."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("models", "pipelines", "serving", "monitoring")
HEAVY = ("tensorflow", "keras", "keras_cv", "ray", "mlflow", "fastapi")
MODULES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def imported_by(statement: str) -> set[str]:
    """The heavy libraries that a statement brings into a fresh process."""
    code = f"{statement}; import sys; print(*(name for name in {HEAVY!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_begins_with_its_map_and_nothing_else(package):
    body = ast.parse((ROOT / package / "__init__.py").read_text()).body
    assert [type(statement) for statement in body] == [ast.Expr]


@pytest.mark.parametrize("package", PACKAGES)
def test_the_map_names_every_module_of_the_room(package):
    words = (ROOT / package / "__init__.py").read_text().replace(",", " ").split()
    rooms = {path.stem for path in (ROOT / package).iterdir() if path.name[0] not in "_."}
    assert {room for room in rooms if room not in words and not room.endswith("yaml")} - {"config"} == set()


@pytest.mark.parametrize("package", ["models", "pipelines", "serving", "monitoring", "models.reading", "serving.cli"])
def test_importing_it_is_cheap(package):
    assert imported_by(f"import {package}") == set()


def test_a_replica_does_not_know_mlflow_or_keras():
    assert imported_by("import serving.predictor") & {"mlflow", "keras", "keras_cv", "tensorflow"} == set()


def test_every_folder_of_tests_is_a_package():
    folders = {path.parent for path in (ROOT / "tests").rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []


def test_no_file_is_a_catch_all():
    assert [path for path in MODULES if path.stem in {"utils", "util", "helpers", "common", "core", "misc"}] == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_says_what_it_is_for(path):
    assert ast.get_docstring(ast.parse(path.read_text()))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_settings_and_libraries_environments_touch_the_environment(path):
    touched = "os.environ" in path.read_text() or "getenv" in path.read_text()
    # The others prepare what MLflow and Ray read from it, or look whether Ray's own variable is there.
    assert not touched or path.relative_to(ROOT).as_posix() in {
        "serving/settings.py",
        "serving/batch/run.py",
        "serving/service.py",
        "models/registry/mlflow_store.py",
    }
