"""The memory and the operations of the pretended GPU (pretended_gpu.py)."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType
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
IN_GRAPH = ", in a graph"  # suffix of a phase
# Operations without a kernel: they only change the view of memory, or reserve it.
FREE = set(
    """view _unsafe_view expand transpose t permute slice select squeeze unsqueeze detach alias as_strided split
    split_with_sizes unbind empty empty_like new_empty empty_strided new_empty_strided lift_fresh diagonal unfold
    _reshape_alias unsafe_split view_as set_ resize_ _local_scalar_dense""".split()
)
# Operations with more than one kernel; others have one.
KERNELS = {
    "embedding_dense_backward": 2, "index_add": 2, "masked_fill": 2, "constant_pad_nd": 2, "slice_backward": 2,
    "select_backward": 2, "repeat_interleave": 2, "sort": 2, "nonzero": 4,
    "_scaled_dot_product_efficient_attention_backward": 3, "_scaled_dot_product_flash_attention_for_cpu_backward": 3,
}  # fmt: skip
# Operations whose result is read at once, or whose size only the device knows.
READING = set("_local_scalar_dense nonzero masked_select equal _unique2 unique_dim unique_consecutive bincount".split())
INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_"}


class Wait(NamedTuple):
    """The processor waits until the device has finished. where: file:function of the innermost function of the
    repository that caused it."""

    where: str
    why: str


class Kernel(NamedTuple):
    """A launched kernel. phase: forward | backward, perhaps with IN_GRAPH; where: as in Wait."""

    phase: str
    where: str
    operation: str


class Memory:
    """A set of storages, for any tensors that view them. A weak reference prevents the reuse of a storage's address."""

    def __init__(self) -> None:
        self._storages: dict[int, StorageWeakRef] = {}

    def __contains__(self, tensor: Tensor) -> bool:
        return _unwrap(tensor).untyped_storage()._cdata in self._storages

    def take(self, tensor: Tensor) -> Tensor:
        storage = _unwrap(tensor).untyped_storage()
        self._storages.setdefault(storage._cdata, StorageWeakRef(storage))
        return tensor


def _unwrap(tensor: Tensor) -> Tensor:
    """The tensor inside of vmap's wrappers."""
    while torch._C._functorch.is_functorch_wrapped_tensor(tensor):
        tensor = torch._C._functorch.get_unwrapped(tensor)
    return tensor


class Gpu:
    """The device.

    Attributes:
        waits: in order.
        kernels: how often each was launched.
        pinned: pinned memory of the host.
        autocast: the precision of autocast; None: off.
    """

    def __init__(self, compute: bool):
        self.left = False  # whether a loop over nonzero entries has any left
        self.compute, self.real_device = compute, torch.device("cpu" if compute else "meta")
        self.waits: list[Wait] = []
        self.kernels: Counter[Kernel] = Counter()
        self.pinned, self._memory = Memory(), Memory()
        self.autocast: torch.dtype | None = None
        self.phase = "forward"
        self.is_creating = self.is_silent = self.is_uncounted = False

    def forget(self) -> None:
        """Clear waits and kernels."""
        self.waits, self.kernels = [], Counter()

    def holds(self, tensor: Tensor) -> bool:
        return tensor in self._memory if self.compute else _unwrap(tensor).device.type == "meta"

    def take(self, tensor: Tensor) -> Tensor:
        """Put the tensor on the device."""
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
        """Copy to the host; the target of a non-blocking copy is pinned memory."""
        if not non_blocking:
            self.note_wait(why)
        with self.having(is_silent=True):
            copy = tensor.clone() if self.compute else torch.zeros(tensor.shape, dtype=tensor.dtype)
        return self.pinned.take(copy) if non_blocking else copy

    @contextlib.contextmanager
    def having(self, **attributes: Any) -> Iterator[None]:
        """Set attributes within a block: phase; is_creating: new tensors are on the device; is_silent: operations only
        serve the simulation; is_uncounted: operations launch no kernels."""
        before = {name: getattr(self, name) for name in attributes}
        vars(self).update(attributes)
        try:
            yield
        finally:
            vars(self).update(before)


def find_place() -> str:
    """file:function of the repository's innermost function outside of this simulation, no comprehension or lambda."""
    frame: FrameType | None = sys._getframe(1)
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
    """Whether the operation consists of others; inference mode does not decompose it."""
    return torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), WHOLE)


class Done(TorchDispatchMode):
    """Watches every operation."""

    def __init__(self, gpu: Gpu):
        super().__init__()
        self.gpu = gpu

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), options: dict | None = None) -> Any:
        with torch._C.DisableTorchFunction():
            return self.do(func, args, options or {})

    def do(self, func: Any, args: tuple, options: dict) -> Any:
        gpu, name = self.gpu, func.overloadpacket.__name__
        if gpu.is_silent:
            return func(*args, **options)
        if comes_whole(func):
            with self:  # func.decompose prefers compilers' variants, in which a disabled dropout copies
                return func._op_dk(WHOLE, *args, **options)
        tensors = [t for t in tree_iter((args, options)) if isinstance(t, Tensor)]
        on_gpu = [gpu.holds(t) for t in tensors]
        if not any(on_gpu) and not gpu.is_creating:
            return func(*args, **options)
        if name == "copy_" and not all(on_gpu):
            return self.copy(func, *args)
        here = [t for t, is_held in zip(tensors, on_gpu, strict=True) if not is_held]
        if name in INDEXING:
            here = self.check_indices(args)
        if any(t.dim() for t in here) and not gpu.is_creating:  # a kernel takes a single number as an argument
            raise RuntimeError(
                "Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu! "
                f"({func} in {find_place()})"
            )
        sizes_unknown = name == "nonzero" or (name == "repeat_interleave" and options.get("output_size") is None)
        if name in READING or sizes_unknown:
            gpu.note_wait(f"read by {name}")
        if name not in FREE:
            gpu.count(name, KERNELS.get(name, 1))
        if not gpu.compute:
            if name == "_local_scalar_dense":
                return torch.zeros((), dtype=args[0].dtype).item()
            if name == "nonzero":  # as for a loop over remaining entries: first all of them, then none
                gpu.left = not gpu.left
                shape = (args[0].shape[0] if gpu.left else 0, args[0].dim())
                return gpu.take(torch.empty(shape, dtype=torch.long, device="meta"))
            args, options = tree_map_only(Tensor, lambda t: t.to("meta"), (args, options))
        return tree_map_only(Tensor, gpu.take, func(*args, **options))

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
        """Tensors other than indices that are not on the device; a mask as an index must be counted."""
        gpu, (source, indices, *rest) = self.gpu, args
        if not gpu.holds(source):
            raise RuntimeError("indices should be either on cpu or on the same device as the indexed tensor (cpu)")
        indices, values = [i for i in indices if i is not None], [v for v in rest if isinstance(v, Tensor)]
        fills = len(values) == 1 and values[0].numel() == 1 and all(i.dtype == torch.bool for i in indices)
        for index in indices:
            if not gpu.holds(index):
                gpu.note_wait("copy of an index to the device")
            if index.dtype in (torch.bool, torch.uint8) and not fills:  # assigning one number to a mask is masked_fill
                gpu.note_wait("read of a mask as index")
        return [value for value in values if not gpu.holds(value)]
