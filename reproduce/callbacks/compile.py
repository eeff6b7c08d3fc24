"""``torch.compile`` as a switch of any run."""

import lightning as L
from torch import nn


class Compile(L.Callback):
    """Compile the layers of a network while it is trained.

    Every child of the module with parameters is compiled where it stands, so that the names in the
    state dict stay; what the module does between them (criterion, scores, logging) is not.

    Example:
        >>> trainer = L.Trainer(callbacks=[Compile()], logger=False)  # doctest: +SKIP
    """

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:  # noqa: ARG002
        """Compile before a fit; nothing is traced before the first batch."""
        if stage == "fit":
            for child in self._layers(pl_module):
                child.compile()

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:  # noqa: ARG002
        """Leave the layers as they were."""
        if stage == "fit":
            for child in self._layers(pl_module):
                child._compiled_call_impl = None  # noqa: SLF001 - torch has no way back

    @staticmethod
    def _layers(module: nn.Module) -> list[nn.Module]:
        return [child for child in module.children() if any(True for _ in child.parameters())]
