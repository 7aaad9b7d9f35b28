"""The radiograph that everybody is asked about, and the ways to send it."""

from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image
from pydicom.data import get_testdata_file

from models.reading import read_radiograph_file

SIDE_PX = 1024
_QUALITY = 86
_BOUNDARY = "thorax"


@dataclass(frozen=True)
class Message:
    """A body and its type."""

    body: bytes
    content_type: str


def film() -> Message:
    """A real chest radiograph of pydicom-data as a JPEG of about 85 kB."""
    radiograph = read_radiograph_file(str(get_testdata_file("RG1_UNCR.dcm", download=False)))
    file = BytesIO()
    picture = Image.fromarray((radiograph.pixels * 255).astype(np.uint8)).resize((SIDE_PX, SIDE_PX))
    picture.save(file, "JPEG", quality=_QUALITY)
    return Message(file.getvalue(), "image/jpeg")


def as_form(message: Message, field: str) -> Message:
    """The same as the one file of a form."""
    head = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"; filename="film.jpg"\r\n'
        f"Content-Type: {message.content_type}\r\n\r\n"
    )
    body = head.encode() + message.body + f"\r\n--{_BOUNDARY}--\r\n".encode()
    return Message(body, f"multipart/form-data; boundary={_BOUNDARY}")
