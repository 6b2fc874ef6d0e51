"""Values of settings as they are typed."""

from typing import Annotated, Any

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo


def field(info: FieldInfo) -> TypeAdapter[Any]:
    """What checks and converts the values of a setting."""
    kind: Any = Annotated[info.annotation, info]
    return TypeAdapter(kind)


def meant(text: str, field: TypeAdapter[Any]) -> str | None:
    """What was typed; None for "none" where the setting may be that, for some have a choice of this name."""
    if text.lower() != "none":
        return text
    try:
        field.validate_python(None)
    except ValidationError:
        return text
    return None
