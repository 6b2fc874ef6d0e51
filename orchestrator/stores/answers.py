"""What an answer of MLflow means for what was to be delivered: never, later, or not clear yet."""

import errno
import functools
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

NEVER = ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "INVALID_STATE")  # MLflow's own word: do not ask again
LATER_STATUS = (401, 403, 429)  # and all from 500
THIS_FILE = (errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ)  # errors of one file, not of the disk
FILES = "/mlflow-artifacts/artifacts/"  # in the address of a file that is sent
DATABASES = ("sqlalchemy", "psycopg", "sqlite3")


def is_final(error: Exception) -> bool:
    """Whether MLflow will never take this."""
    return getattr(error, "error_code", None) in NEVER  # of an MlflowException


def is_later(error: Exception) -> bool:
    """Whether the store is out of reach, full, or closed to us at present: nothing is wrong with what was to be delivered.

    A proxy's 400 or 404 and an answer that cannot be read are neither final nor this.
    """
    if status_of := getattr(error, "get_http_status_code", None):  # of an MlflowException
        status: int = status_of()
        return status in LATER_STATUS or status >= 500
    if isinstance(error, OSError):  # those of requests among them
        return error.errno not in THIS_FILE
    return type(error).__module__.partition(".")[0] in DATABASES


def refuse_empty(client: Any) -> None:
    """From now on MLflow's ``client`` raises where a success comes without content, or as a page: a proxy sends such answers.

    MLflow itself answers with JSON. To a file it answers with nothing, so the folder is listed to see that the file arrived. The
    client takes nothing for a success, and what was sent would be lost.
    ``client`` is the module mlflow.utils.rest_utils.
    """
    request = client._get_http_response_with_retries
    if hasattr(request, "__wrapped__"):
        return

    @functools.wraps(request)
    def checked(method: str, url: str, *arguments: Any, **named: Any) -> Any:
        answer = request(method, url, *arguments, **named)
        is_file = named.get("stream")  # that is downloaded, and may be empty
        if answer.status_code == 200 and "/api/" in url and not is_file:
            text = answer.text.lstrip()
            if text.startswith("<"):
                raise ConnectionError(f"{url} gives a page: {text[:40]}")
            if not text and FILES not in url:
                raise ConnectionError(f"{url} gives an empty answer")
            if not text and method == "PUT" and not has_arrived(url, checked, *arguments, **named):
                raise ConnectionError(f"{url} gives an empty answer, and the file is not there")
        return answer

    client._get_http_response_with_retries = checked


def has_arrived(url: str, request: Callable[..., Any], *arguments: Any, **named: Any) -> bool:
    """Whether MLflow lists the file that was sent to ``url``, asked by ``request`` with the arguments of the sending."""
    server, path = url.split(FILES, maxsplit=1)
    folder, _, name = path.rpartition("/")
    listing = {key: value for key, value in named.items() if key != "data"} | {"params": {"path": folder}}
    answer = request("GET", f"{server}{FILES}".rstrip("/"), *arguments, **listing)
    return answer.status_code == 200 and any(
        file["path"] in (name, unquote(name)) for file in answer.json().get("files", ())
    )
