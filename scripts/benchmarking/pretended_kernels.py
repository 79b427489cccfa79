"""What lies and what is done on the pretended GPU of pretended_gpu.py."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map_only

CUDA = torch.device("cuda", 0)
WHOLE = torch._C.DispatchKey.CompositeImplicitAutograd
OURS = str(Path(__file__).parent / "pretended_")
ROOT = str(Path(__file__).resolve().parents[2]) + "/"
IN_GRAPH = ", in a graph"  # behind the phase's name
# Operations without a kernel: they change how memory is read, or only reserve it.
FREE = set(
    """view _unsafe_view expand transpose t permute slice select squeeze unsqueeze detach alias as_strided split
    split_with_sizes unbind empty empty_like new_empty empty_strided new_empty_strided lift_fresh diagonal unfold
    _reshape_alias unsafe_split view_as set_ resize_ _local_scalar_dense""".split()
)
# Those of more than one kernel; all others count as one.
KERNELS = {
    "embedding_dense_backward": 2, "index_add": 2, "masked_fill": 2, "constant_pad_nd": 2, "slice_backward": 2,
    "select_backward": 2, "repeat_interleave": 2, "sort": 2, "nonzero": 4,
    "_scaled_dot_product_efficient_attention_backward": 3, "_scaled_dot_product_flash_attention_for_cpu_backward": 3,
}  # fmt: skip
# Operations whose result has a size that only the device knows, or is read at once.
READING = set("_local_scalar_dense nonzero masked_select equal _unique2 unique_dim unique_consecutive bincount".split())
INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_"}


class Wait(NamedTuple):
    """The processor waits until the device has done all that it was told. where: file:function of the repository's
    innermost one that asked for it."""

    where: str
    why: str


class Kernel(NamedTuple):
    """What is counted. phase: forward | backward, and whether in a graph; where: as of Wait."""

    phase: str
    where: str
    operation: str


class Memory:
    """A set of storages, whichever tensors look at them. A weak reference keeps a storage's address from being given
    out again."""

    def __init__(self) -> None:
        self._storages: dict[int, StorageWeakRef] = {}

    def __contains__(self, tensor: Tensor) -> bool:
        return _unwrap(tensor).untyped_storage()._cdata in self._storages

    def take(self, tensor: Tensor) -> Tensor:
        storage = _unwrap(tensor).untyped_storage()
        self._storages.setdefault(storage._cdata, StorageWeakRef(storage))
        return tensor


def _unwrap(tensor: Tensor) -> Tensor:
    """Without what vmap puts around it."""
    while torch._C._functorch.is_functorch_wrapped_tensor(tensor):
        tensor = torch._C._functorch.get_unwrapped(tensor)
    return tensor


class Gpu:
    """The device.

    Attributes:
        waits: in order.
        kernels: how often each was launched.
        pinned: the host's memory that the device can copy by itself.
        autocast: the precision of its autocast; None is off.
    """

    def __init__(self, compute: bool):
        self.left = False  # whether there is something left to a loop that asks for what is not zero
        self.compute, self.real_device = compute, torch.device("cpu" if compute else "meta")
        self.waits: list[Wait] = []
        self.kernels: Counter[Kernel] = Counter()
        self.pinned, self._memory = Memory(), Memory()
        self.autocast: torch.dtype | None = None
        self.phase = "forward"
        self.is_creating = self.is_silent = self.is_uncounted = False

    def forget(self) -> None:
        """Start to note and to count anew."""
        self.waits, self.kernels = [], Counter()

    def holds(self, tensor: Tensor) -> bool:
        return tensor in self._memory if self.compute else _unwrap(tensor).device.type == "meta"

    def take(self, tensor: Tensor) -> Tensor:
        """From now on it lies on the device."""
        return self._memory.take(tensor) if self.compute else tensor

    def note_wait(self, why: str) -> None:
        self.refuse_in_graph(why)
        if not self.is_silent:
            self.waits.append(Wait(find_place(), why))

    def count(self, operation: str, times: int = 1) -> None:
        if not self.is_uncounted:
            self.kernels[Kernel(self.phase, find_place(), operation)] += times

    def refuse_in_graph(self, what: str) -> None:
        if self.phase.endswith(IN_GRAPH):
            raise RuntimeError(f"operation not permitted when stream is capturing: {what} in {find_place()}")

    def copy_to_device(self, tensor: Tensor, non_blocking: bool) -> Tensor:
        self.refuse_in_graph("copy to the device")
        pinned = tensor in self.pinned
        if not (pinned and non_blocking):
            self.note_wait(f"copy to the device from {'pinned' if pinned else 'pageable'} memory")
        with self.having(is_silent=True):
            return self.take(tensor.clone() if self.compute else tensor.to("meta"))

    def copy_to_host(self, tensor: Tensor, non_blocking: bool = False, why: str = "") -> Tensor:
        """A non-blocking copy lands in pinned memory."""
        if not non_blocking:
            self.note_wait(why)
        with self.having(is_silent=True):
            copy = tensor.clone() if self.compute else torch.zeros(tensor.shape, dtype=tensor.dtype)
        return self.pinned.take(copy) if non_blocking else copy

    @contextlib.contextmanager
    def having(self, **attributes: Any) -> Iterator[None]:
        """With other attributes in here: the phase; is_creating: what is made is the device's; is_silent: what is done
        is how we pretend; is_uncounted: it launches no kernels."""
        before = {name: getattr(self, name) for name in attributes}
        vars(self).update(attributes)
        try:
            yield
        finally:
            vars(self).update(before)


def find_place() -> str:
    """file:function of the repository's innermost one that is none of ours; a comprehension or lambda is not named."""
    frame = sys._getframe(1)
    while frame is not None:
        if (place := name_place(frame.f_code)) is not None:
            return place
        frame = frame.f_back
    return "?"


@functools.cache
def name_place(code: CodeType) -> str | None:
    file, function = code.co_filename, code.co_name
    if not file.startswith(ROOT) or "/site-packages/" in file or file.startswith(OURS) or function.startswith("<"):
        return None
    return f"{file.removeprefix(ROOT)}:{function}"


@functools.cache
def comes_whole(func: Any) -> bool:
    """Whether the operation is made of others, which are seen one by one, but in inference mode is not."""
    return torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), WHOLE)


class Done(TorchDispatchMode):
    """Every operation that is done."""

    def __init__(self, gpu: Gpu):
        super().__init__()
        self.gpu = gpu

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), words: dict | None = None) -> Any:
        with torch._C.DisableTorchFunction():
            return self.do(func, args, words or {})

    def do(self, func: Any, args: tuple, words: dict) -> Any:
        gpu, name = self.gpu, func.overloadpacket.__name__
        if gpu.is_silent:
            return func(*args, **words)
        if comes_whole(func):
            with self:  # func.decompose would prefer compilers' ways, where a dropout that is off copies
                return func._op_dk(WHOLE, *args, **words)
        tensors = [t for t in tree_iter((args, words)) if isinstance(t, Tensor)]
        on_gpu = [gpu.holds(t) for t in tensors]
        if not any(on_gpu) and not gpu.is_creating:
            return func(*args, **words)
        if name == "copy_" and not all(on_gpu):
            return self.copy(func, *args)
        here = [t for t, there in zip(tensors, on_gpu, strict=True) if not there]
        if name in INDEXING:
            here = self.check_indices(args)
        if any(t.dim() for t in here) and not gpu.is_creating:  # a single number is given to a kernel as such
            raise RuntimeError(
                "Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu! "
                f"({func} in {find_place()})"
            )
        sizes_unknown = name == "nonzero" or (name == "repeat_interleave" and words.get("output_size") is None)
        if name in READING or sizes_unknown:
            gpu.note_wait(f"read by {name}")
        if name not in FREE:
            gpu.count(name, KERNELS.get(name, 1))
        if not gpu.compute:
            if name == "_local_scalar_dense":
                return torch.zeros((), dtype=args[0].dtype).item()
            if name == "nonzero":  # as a loop over what is left sees it: all of it, then nothing
                gpu.left = not gpu.left
                shape = (args[0].shape[0] if gpu.left else 0, args[0].dim())
                return gpu.take(torch.empty(shape, dtype=torch.long, device="meta"))
            args, words = tree_map_only(Tensor, lambda t: t.to("meta"), (args, words))
        return tree_map_only(Tensor, gpu.take, func(*args, **words))

    def copy(self, func: Any, target: Tensor, source: Tensor, non_blocking: bool = False) -> Tensor:
        gpu, to_device = self.gpu, self.gpu.holds(target)
        gpu.refuse_in_graph("copy between devices")
        pinned = (source if to_device else target) in gpu.pinned
        if not (pinned and non_blocking):
            direction = "to the device from" if to_device else "to the host's"
            gpu.note_wait(f"copy {direction} {'pinned' if pinned else 'pageable'} memory")
        if not gpu.compute:
            source = source.to("meta") if to_device else torch.zeros(source.shape, dtype=source.dtype)
        return func(target, source)

    def check_indices(self, args: tuple) -> list[Tensor]:
        """What else than indices is not on the device; a mask as index has to be counted."""
        gpu, (source, indices, *rest) = self.gpu, args
        if not gpu.holds(source):
            raise RuntimeError("indices should be either on cpu or on the same device as the indexed tensor (cpu)")
        indices, values = [i for i in indices if i is not None], [v for v in rest if isinstance(v, Tensor)]
        fills = len(values) == 1 and values[0].numel() == 1 and all(i.dtype == torch.bool for i in indices)
        for index in indices:
            if not gpu.holds(index):
                gpu.note_wait("copy of an index to the device")
            if index.dtype in (torch.bool, torch.uint8) and not fills:  # one number into a mask is masked_fill
                gpu.note_wait("read of a mask as index")
        return [value for value in values if not gpu.holds(value)]
