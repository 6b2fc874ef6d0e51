"""Values of settings as they are typed."""

from typing import Annotated, Any

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo


def field(info: FieldInfo) -> TypeAdapter[Any]:
    """What checks and converts the values of a setting."""
    kind: Any = Annotated[info.annotation, info]
    return TypeAdapter(kind)


def meant(text: str, field: TypeAdapter[Any]) -> str | int | None:
    """What was typed; None for "none" where the setting may be that, for some have a choice of this name.

    A whole number where the setting is a choice among numbers, which is not converted otherwise.
    """
    if text.lower() == "none" and _takes(field, None):
        return None
    if text.isdecimal() and len(text) < 20 and not _takes(field, text) and _takes(field, int(text)):
        return int(text)
    return text


def _takes(field: TypeAdapter[Any], value: str | int | None) -> bool:
    try:
        field.validate_python(value)
    except ValidationError:
        return False
    return True
