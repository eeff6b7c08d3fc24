"""Unpacking of one folder of an archive: it appears whole or not at all, and never elsewhere."""

import shutil
import stat
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Never

from tqdm import tqdm

from reproduce.data.disk import require_space
from reproduce.data.download import UNPACKED
from reproduce.errors import UserError

_DAMAGE = (tarfile.ReadError, zipfile.BadZipFile, EOFError, zlib.error)


def _outside(archive: Path, member: str, reason: str) -> UserError:
    return UserError(
        f"{archive}: its member {member!r} {reason}, so nothing was unpacked: fetch the archive "
        "again from its publisher"
    )


def _check_path(archive: Path, work: Path, member: str, path: str) -> None:
    """Refuse a path that is absolute, climbs, or leaves ``work`` by links unpacked before."""
    pure = PurePosixPath(path.replace("\\", "/"))
    if pure.is_absolute() or not (work / pure).resolve().is_relative_to(work.resolve()):
        raise _outside(archive, member, "points outside of its folder")


def _check_tar_member(archive: Path, work: Path, member: tarfile.TarInfo) -> None:
    if ".." in PurePosixPath(member.name).parts:
        raise _outside(archive, member.name, "points outside of its folder")
    _check_path(archive, work, member.name, member.name)
    if member.issym():
        link = str(PurePosixPath(member.name).parent / member.linkname)
        _check_path(archive, work, member.name, link)
    elif member.islnk():
        _check_path(archive, work, member.name, member.linkname)
    elif not (member.isreg() or member.isdir()):
        raise _outside(archive, member.name, "is neither file, folder nor link")


@contextmanager
def _bar(archive: Path, total: int) -> Iterator["tqdm[Never]"]:
    name = f"unpacking {archive.name}"
    hidden = not sys.stderr.isatty()
    with tqdm(desc=name, total=total, unit="B", unit_scale=True, disable=hidden) as bar:
        yield bar


def _unpack_tar(archive: Path, work: Path) -> None:
    # Python 3.11.0 to 3.11.3 have no filters: there, the checks here stand alone.
    safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    with (
        archive.open("rb") as raw,
        tarfile.open(fileobj=raw) as tar,
        _bar(archive, archive.stat().st_size) as bar,
    ):
        for member in tar:
            _check_tar_member(archive, work, member)
            try:
                tar.extract(member, work, **safe)  # type: ignore[arg-type]
            except tarfile.TarError as error:
                if isinstance(error, tarfile.ReadError):
                    raise
                raise _outside(archive, member.name, f"is refused ({error})") from None
            bar.update(raw.tell() - bar.n)
        # tarfile takes an archive that was cut between two members for a complete one.
        if tar.fileobj is not None:
            tar.fileobj.seek(tar.offset)
            if tar.fileobj.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
                raise tarfile.ReadError("no end mark")


def _unpack_zip(archive: Path, work: Path) -> None:
    with zipfile.ZipFile(archive) as file:
        members = file.infolist()
        for member in members:
            if ".." in PurePosixPath(member.filename.replace("\\", "/")).parts:
                raise _outside(archive, member.filename, "points outside of its folder")
            _check_path(archive, work, member.filename, member.filename)
            if stat.S_ISLNK(member.external_attr >> 16):
                raise _outside(archive, member.filename, "is a link")
        with _bar(archive, sum(member.file_size for member in members)) as bar:
            for member in members:
                file.extract(member, work)
                bar.update(member.file_size)


def _check_counts(archive: Path, folder: Path, counts: Mapping[str, int]) -> None:
    for pattern, count in counts.items():
        found = sum(1 for _ in folder.glob(pattern))
        if found != count:
            raise UserError(
                f"{archive}: expected {count:,} files {pattern}, found {found:,}: fetch the "
                "archive again"
            )


def unpack(archive: Path, inside: str, target: Path, counts: Mapping[str, int]) -> None:
    """Unpack one folder of a tar (plain or compressed) or zip archive.

    The work is done in a hidden folder beside the target, which a later call starts anew.

    Args:
        archive: The file.
        inside: Folder of the archive that is wanted.
        target: What it becomes; must not exist.
        counts: Patterns under it and how many files each must match.

    Raises:
        UserError: If the archive is damaged, lacks the folder or files, or points outside.
    """
    work = target.with_name(f".{target.name}.unpacking")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        require_space(work, UNPACKED * archive.stat().st_size)
        (_unpack_zip if archive.suffix == ".zip" else _unpack_tar)(archive, work)
        if not (work / inside).is_dir():
            found = ", ".join(sorted(path.name for path in work.iterdir())[:5]) or "nothing"
            raise UserError(
                f"{archive}: expected the folder {inside} in it, found {found}: is it another file?"
            )
        _check_counts(archive, work / inside, counts)
        (work / inside).rename(target)
    except _DAMAGE as error:
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(":")
        raise UserError(
            f"{archive} is damaged or cut short ({reason}): remove it and fetch it again"
        ) from None
    finally:
        shutil.rmtree(work, ignore_errors=True)
