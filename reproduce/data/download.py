"""Download of one file: resumed where it stopped, checked by its hash, whole or not at all."""

import hashlib
import http.client
import re
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from tqdm import tqdm

from reproduce.data.disk import require_space
from reproduce.errors import UserError

#: Seconds without a byte after which a connection counts as lost.
TIMEOUT = 60.0
#: Seconds before each further try; a try that brought new bytes starts the list again.
WAITS = (2.0, 5.0, 15.0, 30.0)
#: Room asked for the unpacked files, in sizes of the archive (JPEGs do not shrink).
UNPACKED = 1.1

_BLOCK = 1 << 20
_TRY_AGAIN = {408, 425, 429, 500, 502, 503, 504}


class Source(NamedTuple):
    """A published file.

    Attributes:
        url: Address, http or https.
        filename: Its name here.
        md5: Published hash.
    """

    url: str
    filename: str
    md5: str


class _TryAgainError(Exception):
    """A try that failed for a reason that may pass."""


def _opener() -> urllib.request.OpenerDirector:
    """HTTP and HTTPS only, redirections included: no ``file:`` and no ``ftp:``."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.UnknownHandler,
    ):
        opener.add_handler(handler())
    return opener


def _open(source: Source, start: int) -> http.client.HTTPResponse:
    if urlsplit(source.url).scheme not in {"http", "https"}:
        raise UserError(f"expected an http or https address for {source.filename}: {source.url}")
    headers = {"User-Agent": "reproduce", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    request = urllib.request.Request(source.url, headers=headers)  # noqa: S310 - checked above
    response: http.client.HTTPResponse = _opener().open(request, timeout=TIMEOUT)
    return response


def _first_and_total(response: http.client.HTTPResponse) -> tuple[int, int | None]:
    """Position of the first byte that comes, and size of the whole file if it is told."""
    if response.status == http.HTTPStatus.PARTIAL_CONTENT:
        found = re.match(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        if found is None:
            raise _TryAgainError("an answer without a usable Content-Range")
        return int(found[1]), None if found[2] == "*" else int(found[2])
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _refused(source: Source, error: urllib.error.HTTPError, part: Path) -> None:
    """Answer to a refusal: nothing (the part is the whole file), or an exception."""
    if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and part.exists():
        if error.headers.get("Content-Range") == f"bytes */{part.stat().st_size}":
            return
        part.unlink()
        raise _TryAgainError("a part longer than the file, which is thrown away")
    if error.code in _TRY_AGAIN:
        raise _TryAgainError(f"status {error.code}")
    raise UserError(
        f"{source.url} answers {error.code} ({error.reason}): fetch {source.filename} elsewhere, "
        f"put it into {part.parent}, then give the same command again"
    )


def _receive(source: Source, part: Path) -> None:
    """One try: append to ``part`` what is missing.

    Raises:
        _TryAgainError: If the connection cannot be made or ends early.
        UserError: If another try cannot help.
    """
    start = part.stat().st_size if part.exists() else 0
    try:
        response = _open(source, start)
    except urllib.error.HTTPError as error:
        with error:
            _refused(source, error, part)
        return
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        text = getattr(reason, "strerror", None) or str(reason) or type(error).__name__
        raise _TryAgainError(text) from None
    with response:
        first, total = _first_and_total(response)
        if first not in (0, start):
            raise _TryAgainError(f"bytes from {first} on where {start} were asked for")
        if total is not None:
            require_space(part.parent, total - first + UNPACKED * total)
        _copy(response, part, first, total, source.filename)
    size = part.stat().st_size
    if total is not None and size < total:
        raise _TryAgainError(f"the connection ended after {size:,} of {total:,} bytes")


def _copy(
    response: http.client.HTTPResponse, part: Path, first: int, total: int | None, name: str
) -> None:
    hidden = not sys.stderr.isatty()
    with (
        part.open("ab") as file,
        tqdm(
            desc=name, total=total, initial=first, unit="B", unit_scale=True, disable=hidden
        ) as bar,
    ):
        file.truncate(first)
        while True:
            try:
                block = response.read(_BLOCK)
            except (OSError, http.client.HTTPException) as error:
                raise _TryAgainError(str(error) or type(error).__name__) from None
            if not block:
                return
            file.write(block)
            bar.update(len(block))


def _check(path: Path, source: Source, name: Path) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if found != source.md5:
        aside = name.with_name(f"{name.name}.wrong")
        path.replace(aside)
        raise UserError(
            f"{name} has the md5 {found}, expected {source.md5}: it was renamed to {aside.name}; "
            "the same command fetches it again"
        )


def download(source: Source, folder: Path) -> Path:
    """Fetch a file, or take the one that is there.

    What arrived is kept in ``<filename>.part`` and the next call goes on from there.

    Args:
        source: What to fetch.
        folder: Existing folder for it.

    Returns:
        The complete file, its hash checked.

    Raises:
        UserError: If it cannot be fetched, there is no room, or its hash is wrong.
    """
    path, part = folder / source.filename, folder / f"{source.filename}.part"
    if path.is_file():
        _check(path, source, path)
        return path
    print(f"fetching {source.url}")
    most = part.stat().st_size if part.exists() else 0
    waits = iter(WAITS)
    while True:
        try:
            _receive(source, part)
            break
        except _TryAgainError as error:
            size = part.stat().st_size if part.exists() else 0
            if size > most:
                most, waits = size, iter(WAITS)
            wait = next(waits, None)
            if wait is None:
                raise UserError(
                    f"{source.url} cannot be fetched ({error}): the same command goes on where it "
                    f"stopped; or put {source.filename} into {folder} yourself"
                ) from None
            print(f"{source.filename}: {error}; trying again in {wait:g} s", file=sys.stderr)
            time.sleep(wait)
    _check(part, source, path)
    part.replace(path)
    return path
