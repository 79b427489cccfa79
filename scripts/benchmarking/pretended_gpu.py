"""A GPU pretended on a processor: where devices mix, what waits for the device, how many kernels are launched.

    with pretend_gpu() as gpu:  # torch.cuda.is_available() in here
        ...
    gpu.waits, gpu.kernels

Which tensors lie on cuda:0 is kept beside them, by their storages. torch itself only ever sees a processor's tensors,
so that autograd, vmap and safetensors work as they are. `_Asked` answers what Python asks of a tensor or a function and
does CUDA's autocast. `Done` (pretended_kernels.py) sees every operation that is done, those of the backward pass too.

It cannot see CUDA's own numbers, order of sums, memory, time, what streams do side by side, or which of several kernels
is chosen. It lies beside the scripts, which count with it, because tests may import scripts and scripts no tests.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

import torch
import torch._dynamo  # it looks through torch.cuda when it is imported, which the first mode would do
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map_only

from benchmarking.pretended_fusions import FUSED
from benchmarking.pretended_graphs import GraphedCallable
from benchmarking.pretended_kernels import CUDA, Done, Gpu

# CUDA's lists of autocast (torch's docs/source/amp.md), by the names under which Python calls them.
HALF = set(
    """linear matmul __matmul__ __rmatmul__ mm bmm addmm baddbmm addbmm mv einsum chain_matmul multi_dot conv1d conv2d
    scaled_dot_product_attention lstm_cell gru_cell""".split()
)
SINGLE = set(
    """softmax log_softmax layer_norm rms_norm group_norm cross_entropy nll_loss binary_cross_entropy_with_logits
    mse_loss pow __pow__ __rpow__ exp log log1p log2 log10 expm1 sum prod cumsum cumprod norm vector_norm rsqrt
    reciprocal softplus cosine_similarity kl_div""".split()
)
IGNORED = "_lazy_init set_device set_stream empty_cache reset_peak_memory_stats manual_seed manual_seed_all".split()
READ_BY_PYTHON = {"item", "tolist", "__bool__", "__int__", "__float__", "__index__"}


@contextlib.contextmanager
def pretend_gpu(compute: bool = True) -> Iterator[Gpu]:
    """torch finds one CUDA device in here. Tensors must not be carried in from, or out to, another such context.

    Args:
        compute: whether numbers are computed. Without, the device's tensors are meta tensors and what is read is 0.
    """
    gpu = Gpu(compute)
    autocast = type("autocast", (_Autocast,), {"gpu": gpu, "real": torch.autocast})
    backward = torch.autograd.backward

    def watched_backward(*args: Any, **words: Any) -> None:
        with gpu.having(phase="backward"):
            backward(*args, **words)

    def wait(why: str) -> Any:
        return lambda *_, **__: gpu.note_wait(why)

    told = {
        "is_available": lambda: True,
        "is_bf16_supported": lambda *_, **__: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "get_device_name": lambda *_: "pretended GPU",
        "get_device_capability": lambda *_: (9, 0),
        "mem_get_info": lambda *_: (80 * 2**30, 80 * 2**30),
        "memory_allocated": lambda *_: 0,
        "max_memory_allocated": lambda *_: 0,
        "Stream": _stand_in("Stream", wait),
        "Event": _stand_in("Event", wait),
        "stream": lambda _: contextlib.nullcontext(),
        "synchronize": wait("torch.cuda.synchronize"),
        "graph_pool_handle": lambda: (0, 0),
        "make_graphed_callables": lambda function, samples, **_: GraphedCallable(gpu, function, samples),
    }
    told["current_stream"] = told["default_stream"] = lambda *_, **__: told["Stream"]()
    told |= dict.fromkeys(IGNORED, lambda *_, **__: None)
    with contextlib.ExitStack() as stack:
        for name, value in told.items():
            stack.enter_context(mock.patch.object(torch.cuda, name, value))
        stack.enter_context(mock.patch.object(torch.autograd, "backward", watched_backward))
        stack.enter_context(mock.patch.object(Tensor, "record_stream", lambda *_: None))
        for place in (torch, torch.amp):
            stack.enter_context(mock.patch.object(place, "autocast", autocast))
        stack.enter_context(Done(gpu))
        stack.enter_context(_Asked(gpu))
        yield gpu


def _stand_in(name: str, wait: Any) -> type:
    """torch.cuda.Stream or Event: all is done at once and in order, so that only `synchronize` has a meaning."""
    names = "__init__ __enter__ __exit__ wait_stream wait_event record wait".split()
    methods = dict.fromkeys(names, lambda *_, **__: None)
    methods |= {"query": lambda _: True, "elapsed_time": lambda *_: 0.0, "synchronize": wait(f"{name}.synchronize")}
    methods["record_event"] = lambda _, event=None: event or torch.cuda.Event()
    return type(name, (), methods)


class _Autocast(contextlib.ContextDecorator):
    """torch.autocast, whose "cuda" is ours."""

    gpu: Gpu
    real: Any

    def __init__(self, device_type: str, dtype: torch.dtype | None = None, enabled: bool = True, **words: Any):
        self.other = None if device_type == "cuda" else self.real(device_type, dtype=dtype, enabled=enabled, **words)
        self.dtype = (dtype or torch.float16) if enabled else None

    def __enter__(self) -> Any:
        if self.other is not None:
            return self.other.__enter__()
        self.before, self.gpu.autocast = self.gpu.autocast, self.dtype
        return self

    def __exit__(self, *error: Any) -> Any:
        if self.other is not None:
            return self.other.__exit__(*error)
        self.gpu.autocast = self.before
        return None


class _Asked(TorchFunctionMode):
    """What Python asks of a tensor, and of whatever makes one."""

    def __init__(self, gpu: Gpu):
        super().__init__()
        self.gpu = gpu

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), words: dict | None = None) -> Any:
        gpu, words = self.gpu, dict(words or {})
        name = getattr(func, "__name__", "")
        if name == "__get__":
            return self.get_property(func, args[0])
        on_gpu = bool(args) and isinstance(args[0], Tensor) and gpu.holds(args[0])
        if func is Tensor.get_device:
            return 0 if on_gpu else -1
        if func is Tensor.is_pinned:
            return args[0] in gpu.pinned
        if func is Tensor.pin_memory:
            return gpu.pinned.take(args[0].clone())
        if func in (Tensor.to, Tensor.cuda, Tensor.cpu):
            return self.move(func, *args, **words)
        if func in (torch.tensor, torch.as_tensor, Tensor.new_tensor):
            return self.make_from_values(func, args, words)
        if on_gpu and func in (Tensor.numpy, Tensor.__array__):
            raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy the tensor")
        if on_gpu and name in READ_BY_PYTHON:
            return func(gpu.copy_to_host(args[0], why=f"read by {name}"), *args[1:], **words)
        if func is Tensor.backward:
            with self:  # for the backward passes of functions that are written in Python
                return torch.autograd.backward(args[0], words.pop("gradient", None), **words)
        if words.get("device") is not None or words.get("pin_memory"):
            return self.make(func, args, words)
        if gpu.autocast is not None and name in HALF | SINGLE:
            args, words = self.cast(gpu.autocast if name in HALF else torch.float32, args, words)
        if name in FUSED and on_gpu and not gpu.compute:
            return FUSED[name](gpu, *args, **words)
        return func(*args, **words)

    def get_property(self, func: Any, tensor: Tensor) -> Any:
        on_gpu = self.gpu.holds(tensor)
        if func == Tensor.device.__get__ and on_gpu:
            return CUDA
        if func == Tensor.is_cuda.__get__:
            return on_gpu
        if func == Tensor.is_cpu.__get__:
            return not on_gpu
        if func == Tensor.is_meta.__get__:
            return False
        return func(tensor)

    def move(self, func: Any, tensor: Tensor, *args: Any, **words: Any) -> Tensor:
        """Tensor.to in all its forms, cpu and cuda."""
        gpu, given, device = self.gpu, list(args), words.pop("device", None)
        dtype, non_blocking = words.pop("dtype", None), words.pop("non_blocking", False)
        if func is not Tensor.to:
            device, given = ("cpu" if func is Tensor.cpu else "cuda"), [g for g in given if isinstance(g, bool)]
        for each in given:
            if isinstance(each, Tensor):
                device, dtype = (CUDA if gpu.holds(each) else "cpu"), each.dtype
            elif isinstance(each, torch.dtype):
                dtype = each
            elif isinstance(each, bool):
                non_blocking = each  # a second one, copy=True, is given by name wherever we have seen it
            elif each is not None:
                device = each
        there = gpu.holds(tensor) if device is None else torch.device(device).type == "cuda"
        if there and not gpu.holds(tensor):
            if dtype is not None and not tensor.is_meta:
                pinned = tensor in gpu.pinned and tensor.dtype == dtype
                tensor = Tensor.to(tensor, dtype)
                tensor = gpu.pinned.take(tensor) if pinned else tensor
            return gpu.copy_to_device(tensor, non_blocking)
        if not there and gpu.holds(tensor):
            tensor = gpu.copy_to_host(tensor, non_blocking, "copy to the host")
        return tensor if dtype is None and not words else Tensor.to(tensor, dtype=dtype or tensor.dtype, **words)

    def make_from_values(self, func: Any, args: tuple, words: dict) -> Tensor:
        """torch.tensor and the like: on the device by a copy."""
        gpu, device, pin = self.gpu, words.pop("device", None), words.pop("pin_memory", False)
        if func is Tensor.new_tensor:
            device = device or (CUDA if gpu.holds(args[0]) else "cpu")
            words.setdefault("dtype", args[0].dtype)
            func, args = torch.tensor, args[1:]
        given = args[0] if args and isinstance(args[0], Tensor) else None
        if given is not None and gpu.holds(given):  # as_tensor of a device's tensor
            return given if device is None else self.move(Tensor.to, given, device, **words)
        made = func(*args, **words)
        if device is not None and torch.device(device).type == "cuda":
            return gpu.copy_to_device(made, non_blocking=False)
        return gpu.pinned.take(made) if pin else made

    def make(self, func: Any, args: tuple, words: dict) -> Any:
        """Whatever else takes a device or pins memory: zeros, arange, empty_like."""
        gpu, pin, device = self.gpu, words.pop("pin_memory", False), words.pop("device", None)
        device = torch.device("cpu" if device is None else device)
        if device.type == "cuda":
            with gpu.having(is_creating=True):
                return tree_map_only(Tensor, gpu.take, func(*args, **words, device=gpu.real_device))
        if device.type == "cpu" and any(isinstance(a, Tensor) and gpu.holds(a) for a in args):
            raise NotImplementedError(f"{func} from a tensor of the device to one of the processor")
        made = func(*args, **words, device=device)
        return gpu.pinned.take(made) if pin else made

    def cast(self, wanted: torch.dtype, args: tuple, words: dict) -> tuple[tuple, dict]:
        def to_wanted(tensor: Tensor) -> Tensor:
            casts = tensor.is_floating_point() and tensor.dtype not in (torch.float64, wanted)
            return Tensor.to(tensor, wanted) if casts and self.gpu.holds(tensor) else tensor

        return tree_map_only(Tensor, to_wanted, (args, words))
