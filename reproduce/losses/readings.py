"""How the paper's open questions about the energy are answered."""

from dataclasses import dataclass, fields
from typing import Literal, get_args


@dataclass(frozen=True)
class Reading:
    """One reading of section 3.2; the defaults are those of the tables.

    Args:
        probability: What phi is made of: the softmax, or a sigmoid of each class's logit.
        means: Whether c1 and c2 (eq. 5) are those of each image, or of the whole batch.
        classes: The classes L summed over: those ``present`` in the image, or of these the
            ``foreground`` (all but class 0). A class that is not there has energy 0, so "all
            classes" would be the same as ``present``.
        void: ``exclude`` void pixels from every sum, or count them as ``outside`` of every class.

    Raises:
        ValueError: On an unknown answer.
    """

    probability: Literal["softmax", "sigmoid"] = "softmax"
    means: Literal["image", "batch"] = "image"
    classes: Literal["present", "foreground"] = "present"
    void: Literal["exclude", "outside"] = "exclude"

    def __post_init__(self) -> None:
        """Check the answers."""
        for field in fields(self):
            known, value = get_args(field.type), getattr(self, field.name)
            if value not in known:
                raise ValueError(f"{field.name} must be one of {', '.join(known)}, got {value!r}")
