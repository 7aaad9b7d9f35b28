"""`make fuzz`: bytes that no camera made, for ten minutes; whatever is read, only a refusal may be raised.

Starts from small files in every format and encoding at hand, and changes them where that reaches new code (libFuzzer,
through atheris). A crash, a file that takes longer than half a minute, or more than 4 GiB of memory ends it; the input
then lies in `.thorax/fuzz/`.
"""

import sys
from io import BytesIO
from pathlib import Path

import atheris
import numpy as np
from PIL import Image

with atheris.instrument_imports(include=["models", "pydicom", "PIL"]):
    from models.errors import RadiographError
    from models.reading import ReadingLimits, read_radiograph

FOLDER = Path(".thorax/fuzz")
SEED_BYTES = 100_000
LIMITS = ReadingLimits(max_bytes=SEED_BYTES * 2, max_pixels=4_000_000)
OPTIONS = (f"-max_len={2 * SEED_BYTES}", "-timeout=30", "-rss_limit_mb=4096", f"-artifact_prefix={FOLDER}/")


def read(data: bytes) -> None:
    """Reads; a refusal is as good as a radiograph."""
    try:
        radiograph = read_radiograph(data, LIMITS)
    except RadiographError:
        return
    pixels = radiograph.pixels
    if not (np.isfinite(pixels).all() and pixels.min() >= 0 and pixels.max() <= 1):
        raise AssertionError("a radiograph's pixels lie in [0, 1]")


def seeds(folder: Path) -> None:
    """Writes what the fuzzer starts from."""
    from pydicom.data import get_testdata_files

    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(get_testdata_files("*.dcm")):
        file = Path(str(name))
        if file.stat().st_size <= SEED_BYTES:
            (folder / f"{number}.dcm").write_bytes(file.read_bytes())
    grey = np.random.default_rng(1).integers(0, 65536, (40, 50)).astype(np.uint16)
    pictures = {"I;16": Image.fromarray(grey), "L": Image.fromarray((grey // 257).astype(np.uint8))}
    pictures |= {mode: pictures["L"].convert(mode) for mode in ("1", "P", "LA", "RGB", "RGBA", "CMYK")}
    for mode, picture in pictures.items():
        for kind in ("PNG", "JPEG"):
            file = BytesIO()
            try:
                picture.save(file, kind)
            except OSError:  # a mode that the format lacks
                continue
            (folder / f"{mode.replace(';', '')}.{kind.lower()}").write_bytes(file.getvalue())
    for options in ({"progressive": True}, {"exif": b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00"}):
        file = BytesIO()
        pictures["L"].save(file, "JPEG", **options)
        (folder / f"{next(iter(options))}.jpeg").write_bytes(file.getvalue())


def main() -> None:
    seconds = sys.argv[1] if len(sys.argv) > 1 else "600"
    corpus, found = FOLDER / "seeds", FOLDER / "found"
    seeds(corpus)
    found.mkdir(parents=True, exist_ok=True)
    atheris.Setup([sys.argv[0], *OPTIONS, f"-max_total_time={seconds}", str(found), str(corpus)], read)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
