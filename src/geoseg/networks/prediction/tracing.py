"""Find the convolution that feeds each batch norm, by tracing a forward pass."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

BATCH_NORM_ACT = "timm.layers.norm_act.BatchNormAct2d"
"""A batch norm of timm that applies ``drop`` and ``act`` after the normalisation."""


def find_foldable_norms(network: nn.Module, images: Tensor) -> tuple[Tensor, dict[nn.BatchNorm2d, nn.Conv2d]]:
    """Run a network; return its output and the convolution of each batch norm that can be folded.

    A batch norm can be folded if one convolution feeds it and nothing else uses the output of that convolution.

    Average pooling may lie between the two, because it commutes with a scale and a shift. Only ``nn.BatchNorm2d``
    and ``BATCH_NORM_ACT`` are considered, not other subclasses.

    Args:
        network: The network in evaluation mode.
        images: Its input (N, B, H, W).
    """
    flow = _DataFlow(network)
    with torch.no_grad(), flow:
        output = network(images)
    flow.use([output], None)
    return output, {
        norm: convolution
        for norm, sources in flow.sources.items()
        for convolution in sources
        if convolution is not None and len(sources) == 1 and flow.users[convolution] == {norm}
    }


@dataclass
class _Output:
    """Output of a convolution; keeping the tensor alive keeps its id unique."""

    tensor: Tensor
    convolution: nn.Conv2d
    is_used: bool = False


class _DataFlow(TorchFunctionMode):
    """Record the users of each convolution's output and the sources of each batch norm; None means another module."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
        owners = Counter(id(m.weight) for m in convolutions)
        self._convolutions = {id(m.weight): m for m in convolutions if owners[id(m.weight)] == 1}
        self._norms = {id(m.running_mean): m for m in network.modules() if _is_plain(m)}
        self._outputs = dict[int, _Output]()
        self.users = defaultdict[nn.Conv2d, set[nn.BatchNorm2d | None]](set)
        self.sources = defaultdict[nn.BatchNorm2d, set[nn.Conv2d | None]](set)

    def __torch_function__(  # noqa: PLR0917 -- as torch calls it
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call the function and record the traced tensors among its arguments."""
        kwargs = kwargs or {}
        found = func(*args, **kwargs)
        if not list(_tensors(found)):
            return found
        source = self._outputs.get(id(args[0])) if args else None
        if func is functional.avg_pool2d and source and kwargs.get("count_include_pad") is False:
            self._propagate(source, found)
            return found
        norm = self._norms.get(id(args[1])) if func is functional.batch_norm else None
        self.use([*args, *kwargs.values()], norm)
        if norm is not None:
            self.sources[norm].add(source.convolution if source else None)
        if func is functional.conv2d and (convolution := self._convolutions.get(id(args[1]))):
            self._outputs[id(found)] = _Output(found, convolution)
        return found

    def use(self, values: Iterable[Any], user: nn.BatchNorm2d | None) -> None:
        """Record a batch norm (None: another module) as a user of values."""
        for output in filter(None, (self._outputs.get(id(tensor)) for tensor in _tensors(values))):
            self.users[output.convolution].add(None if output.is_used else user)
            output.is_used = True

    def _propagate(self, source: _Output, found: Tensor) -> None:
        if source.is_used:
            self.users[source.convolution].add(None)
        source.is_used = True
        self._outputs[id(found)] = _Output(found, source.convolution)


def _is_plain(module: nn.Module) -> TypeGuard[nn.BatchNorm2d]:
    kind = type(module)
    is_known = kind is nn.BatchNorm2d or f"{kind.__module__}.{kind.__qualname__}" == BATCH_NORM_ACT
    return is_known and getattr(module, "running_mean", None) is not None


def _tensors(values: Any) -> Iterator[Tensor]:
    """Yield the tensors in a value or in nested collections of values."""
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, Mapping):
        yield from _tensors(list(values.values()))
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _tensors(value)
