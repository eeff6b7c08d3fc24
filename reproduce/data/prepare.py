"""``reproduce data prepare``: generate a data set, or fetch and unpack it."""

from pathlib import Path

from reproduce.data.archives import Archive, Recipe, recipe
from reproduce.data.catalog import DataSet
from reproduce.data.disk import sole_user
from reproduce.data.download import download
from reproduce.data.unpack import unpack
from reproduce.errors import UserError


def _found(root: Path, target: str) -> Path | None:
    """The target under a root that holds several data sets, or under this data set's own."""
    places = (root / target, root / Path(target).name)
    return next((path for path in places if path.exists()), None)


def _by_hand(root: Path, archive: Archive) -> Path | None:
    path = _found(root, str(Path(archive.target).with_name(archive.filename)))
    return path if path is not None and path.is_file() else None


def _require_files(root: Path, plan: Recipe) -> None:
    """Say at once, before anything long, what only the user can provide."""
    missing = [Path(path).name for path in plan.files if _found(root, path) is None]
    targets = list(plan.files)
    for archive in plan.archives:
        if archive.source is None:
            targets.append(archive.target)
            if not (_found(root, archive.target) or _by_hand(root, archive)):
                missing.append(archive.filename)
    if missing:
        folder = root / Path(targets[0]).parent
        raise UserError(
            f"missing {', '.join(missing)}: {plan.by_hand.format(folder=folder)}; then give the "
            "same command again"
        )


def _place(root: Path, archive: Archive) -> None:
    """Make the folder of one archive unless it is there."""
    existing = _found(root, archive.target)
    if existing is not None:
        print(f"{existing} is there: left as it is")
        return
    if archive.source is not None:
        downloads = root / "downloads"
        downloads.mkdir(exist_ok=True)
        path: Path | None = download(archive.source, downloads)
    else:
        path = _by_hand(root, archive)
    if path is None:
        raise UserError(f"{archive.filename} was removed meanwhile: put it back")
    target = root / archive.target
    unpack(path, archive.inside, target, archive.counts)
    print(f"{target} is ready; {path} is no longer needed")


def assemble(root: Path, plan: Recipe) -> None:
    """Fetch and unpack what is missing of a published data set.

    Folders that are there are left alone. Stopped at any point, the same call goes on: downloads
    continue, the folder that was being unpacked is unpacked anew.

    Args:
        root: Folder for data sets; made if missing.
        plan: What belongs there.

    Raises:
        UserError: If the user has to provide files first, or something cannot be done.
    """
    _require_files(root, plan)
    if all(_found(root, archive.target) for archive in plan.archives):
        for archive in plan.archives:
            _place(root, archive)
        return
    with sole_user(root):
        for archive in plan.archives:
            _place(root, archive)


def prepare(data: DataSet, root: Path) -> None:
    """Put a data set onto the disk.

    Args:
        data: Which.
        root: Its root.

    Raises:
        UserError: As :func:`assemble`, or if nothing is known of how to get it.
    """
    if data.make is not None:
        data.make(root)
        return
    plan = recipe(data.name)
    if plan is None:
        raise UserError(
            f"{data.name} can be neither generated nor fetched: put it into place yourself, then "
            f"run reproduce data verify {data.name} --data FOLDER"
        )
    assemble(root, plan)
