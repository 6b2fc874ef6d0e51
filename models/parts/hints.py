"""What somebody may have meant who named what there is not."""

from collections.abc import Iterable, Mapping


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``did you mean X? `` for the nearest of ``known``, to go before what there is; empty where none is near.

    Of a mapping the value is said, how the name is written.
    """
    import difflib  # who names what there is need not wait for it

    near = difflib.get_close_matches(name, list(known), 1)
    if not near:
        return ""
    return f"did you mean {known[near[0]] if isinstance(known, Mapping) else near[0]}? "
