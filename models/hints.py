"""What somebody may have meant who named what there is not."""

from collections.abc import Iterable, Mapping


def did_you_mean(name: str, known: Iterable[str], written: Mapping[str, str] | None = None) -> str:
    """``did you mean X? `` for the nearest of ``known``, to go before what there is; empty where none is near.

    ``written`` says how names are to be written that need more than themselves, such as ``folder:PATH``.
    """
    import difflib  # who names what there is need not wait for it

    near = difflib.get_close_matches(name, list(known), 1)
    return f"did you mean {(written or {}).get(near[0], near[0])}? " if near else ""
