"""Partial focal cross-entropy as a module, for any training loop."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from geoseg.domain.legend import UNLABELLED
from geoseg.errors import SettingsError
from geoseg.networks.losses.pfce import check_gamma, pfce_dense

_INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


class PFCELoss(nn.Module):
    """Partial focal cross-entropy (pfCE): focal loss over the labelled pixels alone.

    ``pfCE = sum_i w_i (1 - p_i)^gamma (-log p_i) / sum_i w_i`` over the labelled pixels i, with
    ``p_i = softmax(logits_i)[target_i]`` and w_i the weight of the class. The focal factor follows Lin et al., "Focal
    loss for dense object detection" (ICCV 2017), the sum over labelled pixels follows Tang et al., "Normalized cut
    loss for weakly-supervised CNN segmentation" (CVPR 2018). With ``gamma=0`` it equals
    ``torch.nn.CrossEntropyLoss(weight, ignore_index=ignore_index)``, except that it is 0 where nothing is labelled.

    Args:
        gamma: Focusing parameter, 0 or more; 0 gives cross-entropy.
        ignore_index: Label of unlabelled pixels; they get exactly zero gradient.
        weight: Weight of each class, shape (C,), 0 or more; None weighs all alike.

    Raises:
        SettingsError: ``gamma`` is negative.

    Example:
        >>> import torch
        >>> loss = PFCELoss(gamma=2.0, ignore_index=255)
        >>> logits = torch.zeros(2, 3, 64, 64, requires_grad=True)
        >>> target = torch.full((2, 64, 64), 255)
        >>> target[0, 10, 20] = 1  # one labelled pixel, p = 1/3
        >>> value = loss(logits, target)
        >>> value.backward()
        >>> round(value.item(), 4), int((logits.grad != 0).sum())
        (0.4883, 3)
    """

    weight: Tensor | None

    def __init__(
        self, gamma: float = 2.0, ignore_index: int = UNLABELLED, weight: Tensor | None = None
    ) -> None:
        super().__init__()
        check_gamma(gamma)
        self.gamma, self.ignore_index = gamma, ignore_index
        self.register_buffer("weight", weight)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the loss of a batch.

        Args:
            logits: (N, C, H, W), any floating dtype; the arithmetic is float32 at least.
            target: Class ids (N, H, W), integer: 0..C-1, or ``ignore_index`` for an unlabelled pixel.

        Returns:
            The loss in nats, a scalar; 0 with zero gradient where no pixel is labelled, never NaN.

        Raises:
            SettingsError: The shapes do not fit, or the target holds another number.
        """
        self._check(logits, target)
        # A target of uint8 could not be compared with a negative ignore_index.
        labels = target.long()
        self._check_values(labels, logits.shape[1])
        return pfce_dense(
            logits, labels, gamma=self.gamma, ignore_index=self.ignore_index, class_weights=self.weight
        )

    def extra_repr(self) -> str:
        """Return the arguments, as ``print`` shows them."""
        return f"gamma={self.gamma}, ignore_index={self.ignore_index}"

    def _check(self, logits: Tensor, target: Tensor) -> None:
        if logits.ndim != 4:
            raise SettingsError(
                "this shape cannot be used", where="logits", expected="(N, C, H, W)", got=tuple(logits.shape)
            )
        if target.shape != logits.movedim(1, -1).shape[:-1] or target.dtype not in _INTEGERS:
            count, _, height, width = logits.shape
            raise SettingsError(
                "the target does not fit the logits",
                where="target",
                expected=f"whole numbers of shape ({count}, {height}, {width})",
                got=f"{str(target.dtype).removeprefix('torch.')} of shape {tuple(target.shape)}",
            )

    def _check_values(self, target: Tensor, classes: int) -> None:
        foreign = (target != self.ignore_index) & ((target < 0) | (target >= classes))
        if foreign.any():
            raise SettingsError(
                "the target has a class that the logits lack",
                where="target",
                expected=f"0 to {classes - 1}, or {self.ignore_index} for an unlabelled pixel",
                got=int(target[foreign][0]),
            )
