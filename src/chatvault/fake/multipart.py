"""multipart/form-data, as far as the client library writes it."""

import re

import msgspec

from chatvault.fake.errors import Refusal


class Upload(msgspec.Struct, frozen=True):
    """One uploaded file."""

    name: str
    content: bytes


class Form(msgspec.Struct, frozen=True):
    """The plain fields (the last value of each name) and the files of a form."""

    fields: dict[str, str]
    files: dict[str, Upload]

    def upload(self, name: str) -> Upload:
        """The file of a field, also under `name[]`. Raises Refusal (400) if it isn't there."""
        found = self.files.get(name) or self.files.get(name + "[]")
        if found is None:
            raise Refusal(400, f"The form has no file {name!r}.", param=name)
        return found


def parse_form(content_type: str, body: bytes) -> Form:
    """Raises Refusal (400) if this is no multipart form."""
    found = re.search(r'multipart/form-data;.*boundary="?([^";]+)', content_type, re.IGNORECASE)
    if found is None:
        raise Refusal(400, "The content type must be multipart/form-data with a boundary.")
    fields: dict[str, str] = {}
    files: dict[str, Upload] = {}
    for section in (b"\r\n" + body).split(b"\r\n--" + found[1].encode())[1:-1]:
        head, _, content = section.partition(b"\r\n\r\n")
        names = dict(re.findall(r'\b(name|filename)="([^"]*)"', head.decode("utf-8", "replace")))
        if "filename" in names:
            files[names.get("name", "")] = Upload(names["filename"], content)
        else:
            fields[names.get("name", "")] = content.decode("utf-8", "replace")
    return Form(fields, files)
