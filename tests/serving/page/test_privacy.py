"""What is left of a patient: nothing."""

import tempfile
import time
from io import BytesIO
from pathlib import Path

import pydicom

from tests.serving.page.conftest import read

CANARY = "Kanarienvogel"


def test_nothing_of_the_patient_is_left_anywhere(visit, chest_dicom):
    began = time.time()
    dataset = pydicom.dcmread(chest_dicom)
    dataset.PatientName = f"{CANARY}^Anna"
    dataset.PatientID = dataset.ViewPosition = CANARY[:16].upper()
    file = BytesIO()
    dataset.save_as(file)
    page = visit()
    read(page, file.getvalue(), f"{CANARY}.dcm")
    page.click(".why > summary")
    with page.expect_download() as printed:
        page.click("#pdf")
    kept = page.evaluate(
        """async () => [
            document.documentElement.outerHTML, document.querySelector('#file').value, location.href,
            JSON.stringify(localStorage), JSON.stringify(sessionStorage), document.cookie,
            JSON.stringify(await indexedDB.databases()), JSON.stringify(await caches.keys()),
        ]"""
    )
    said = "\n".join(kept).lower()
    assert CANARY.lower() not in said
    assert kept[3:] == ["{}", "{}", "", "[]", "[]"]
    names = [name.encode() for name in (CANARY, CANARY.upper())]
    assert [path for path in written_since(began) if any(name in path.read_bytes() for name in names)] == []
    assert not any(name in Path(printed.value.path()).read_bytes() for name in names)


def written_since(began):
    for path in Path(tempfile.gettempdir()).rglob("*"):
        try:
            if path.is_file() and path.stat().st_mtime >= began and path.stat().st_size < 64 * 2**20:
                yield path
        except OSError:  # gone since
            continue
