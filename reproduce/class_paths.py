"""Which classes a configuration may name: building one runs the code of its package."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from reproduce.errors import UserError
from reproduce.experiments import read_yaml

#: Packages whose classes a configuration from anywhere may name.
TRUSTED = ("reproduce", "torch", "lightning")

_ENDINGS = (".yaml", ".yml", ".json")


def class_paths(value: object) -> Iterator[object]:
    """Every ``class_path`` of a configuration, however deep."""
    if isinstance(value, Mapping):
        if "class_path" in value:
            yield value["class_path"]
        for item in value.values():
            yield from class_paths(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from class_paths(item)


def foreign(value: object, packages: Sequence[str] = TRUSTED) -> list[object]:
    """The classes of other packages that a configuration names.

    A name without a dot is not foreign: it is looked up among classes that are loaded already.

    Args:
        value: Any part of a configuration.
        packages: Those that are allowed.
    """
    return [
        path
        for path in class_paths(value)
        if not isinstance(path, str) or ("." in path and path.split(".")[0] not in packages)
    ]


def refuse_foreign(value: object, where: str, allow: Sequence[str] = ()) -> None:
    """Refuse a configuration that names classes of packages which are not trusted.

    Args:
        value: The configuration.
        where: Where it stands, for the message.
        allow: Packages that the user trusts as well.

    Raises:
        UserError: Naming the first such class.
    """
    packages = (*TRUSTED, *allow)
    if found := foreign(value, packages):
        raise UserError(
            f"{where} names the class {found[0]!r}: expected classes of {', '.join(packages)}, "
            "because building one runs its package's code; if you trust it, add "
            f"--allow {str(found[0]).partition('.')[0]}"
        )


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def check_file(path: Path, allow: Sequence[str] = (), seen: set[Path] | None = None) -> None:
    """Refuse a YAML or JSON file, or one that it includes, that names foreign classes.

    Args:
        path: The file.
        allow: As for :func:`refuse_foreign`.
        seen: Files that were looked at already.

    Raises:
        UserError: As :func:`refuse_foreign`, or if a file is no mapping.
    """
    seen = set() if seen is None else seen
    if path.resolve() in seen:
        return
    seen.add(path.resolve())
    content = read_yaml(path)
    refuse_foreign(content, str(path), allow)
    for text in _strings(content):
        inner = path.parent / text
        if text.endswith(_ENDINGS) and inner.is_file():
            check_file(inner, allow, seen)


def check_words(words: Sequence[str], allow: Sequence[str] = ()) -> None:
    """Refuse words of a command line that name a configuration with foreign classes.

    Nothing is imported for it: it is done before the words are parsed.

    Args:
        words: Options such as ``--config FILE``, ``--config=FILE`` or ``--model FILE``.
        allow: As for :func:`refuse_foreign`.

    Raises:
        UserError: As :func:`check_file`.
    """
    configs = ("--config", "-c")
    for before, word in zip(("", *words), words, strict=False):
        name, equals, value = word.partition("=")
        text = value if equals and name.startswith("-") else word
        config = before in configs or (bool(equals) and name in configs)
        if (config or text.endswith(_ENDINGS)) and Path(text).is_file():
            check_file(Path(text), allow)
