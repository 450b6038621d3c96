"""The service as AWS publishes it (what its own libraries are made of), and requests judged by it."""

import re
from functools import cache
from typing import Any

from botocore.loaders import Loader
from botocore.model import ServiceModel, Shape
from botocore.validate import ParamValidator


@cache
def service() -> ServiceModel:
    return ServiceModel(Loader().load_service_model("bedrock-runtime", "service-2"), "bedrock-runtime")


class Invalid(Exception):
    """What AWS's library would not send."""


def check(request: dict[str, Any], model: str = "amazon.nova-lite-v1:0", *, stream: bool = False) -> None:
    """Raises Invalid. The library looks at names, kinds and least lengths; the published words, patterns and greatest
    lengths are looked at here."""
    shape = service().operation_model("ConverseStream" if stream else "Converse").input_shape
    params = {"modelId": model, **request}
    report = ParamValidator().validate(params, shape)
    if report.has_errors():
        raise Invalid(report.generate_report())
    _look(params, shape, "")


def _look(value: Any, shape: Shape, path: str) -> None:
    match shape.type_name:
        case "structure":
            if getattr(shape, "is_document_type", False):
                return
            if getattr(shape, "is_tagged_union", False) and len(value) != 1:
                raise Invalid(f"{path}: {list(value)}, where one of them may stand")
            for name, each in value.items():
                _look(each, shape.members[name], f"{path}.{name}")
        case "list":
            for at, each in enumerate(value):
                _look(each, shape.member, f"{path}[{at}]")
        case "string":
            words, pattern = shape.metadata.get("enum"), shape.metadata.get("pattern")
            if words and value not in words:
                raise Invalid(f"{path}: {value!r} is none of {words}")
            if pattern and not re.fullmatch(pattern, value):
                raise Invalid(f"{path}: {value!r} is not {pattern}")
            if len(value) > shape.metadata.get("max", len(value)):
                raise Invalid(f"{path}: longer than {shape.metadata['max']}")
        case "integer" | "float":
            if value > shape.metadata.get("max", value):
                raise Invalid(f"{path}: {value} is over {shape.metadata['max']}")
