"""Simulate a GPU on a processor, to see where devices mix, what waits for the device and how many kernels it launches.

    with pretend_gpu() as gpu:  # torch.cuda.is_available() in here
        ...
    gpu.waits, gpu.kernels

A set of storages records which tensors are on cuda:0. torch only sees tensors of the processor, so autograd, vmap and
safetensors work unchanged. `_Asked` intercepts Python's calls on tensors and functions, and applies CUDA's autocast.
`Done` (pretended_kernels.py) sees every operation, including those of the backward pass.

It cannot simulate CUDA's numbers, order of sums, memory, time, concurrent streams or choice of kernels. It stands with
the scripts, which count with it, because tests may import scripts but not the reverse.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

import torch
import torch._dynamo  # its import inspects torch.cuda, and the first mode would import it
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map_only

from benchmarking.pretended_fusions import FUSED
from benchmarking.pretended_graphs import GraphedCallable
from benchmarking.pretended_kernels import CUDA, Done, Gpu

# CUDA's autocast lists (torch's docs/source/amp.md), by their names in Python.
HALF = set(
    """linear matmul __matmul__ __rmatmul__ mm bmm addmm baddbmm addbmm mv einsum chain_matmul multi_dot conv1d conv2d
    scaled_dot_product_attention lstm_cell gru_cell""".split()
)
SINGLE = set(
    """softmax log_softmax layer_norm rms_norm group_norm cross_entropy nll_loss binary_cross_entropy_with_logits
    mse_loss pow __pow__ __rpow__ exp log log1p log2 log10 expm1 sum prod cumsum cumprod norm vector_norm rsqrt
    reciprocal softplus cosine_similarity kl_div""".split()
)
IGNORED = """_lazy_init set_device set_stream empty_cache reset_peak_memory_stats manual_seed manual_seed_all
    get_rng_state set_rng_state""".split()
READ_BY_PYTHON = {"item", "tolist", "__bool__", "__int__", "__float__", "__index__"}


@contextlib.contextmanager
def pretend_gpu(compute: bool = True) -> Iterator[Gpu]:
    """Let torch find one CUDA device within a block. Tensors must not enter or leave the block.

    Args:
        compute: whether to compute numbers. If not, the device's tensors are meta tensors and every number read is 0.
    """
    gpu = Gpu(compute)
    autocast = type("autocast", (_Autocast,), {"gpu": gpu, "real": torch.autocast})
    backward = torch.autograd.backward

    def watched_backward(*args: Any, **options: Any) -> None:
        with gpu.having(phase="backward"):
            backward(*args, **options)

    def wait(why: str) -> Any:
        return lambda *_, **__: gpu.note_wait(why)

    replaced: dict[str, Any] = {
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
    replaced["current_stream"] = replaced["default_stream"] = lambda *_, **__: replaced["Stream"]()
    replaced |= dict.fromkeys(IGNORED, lambda *_, **__: None)
    with contextlib.ExitStack() as stack:
        for name, value in replaced.items():
            stack.enter_context(mock.patch.object(torch.cuda, name, value))
        stack.enter_context(mock.patch.object(torch.autograd, "backward", watched_backward))
        stack.enter_context(mock.patch.object(Tensor, "record_stream", lambda *_: None))
        for place in (torch, torch.amp):
            stack.enter_context(mock.patch.object(place, "autocast", autocast))
        stack.enter_context(Done(gpu))
        stack.enter_context(_Asked(gpu))
        yield gpu


def _stand_in(name: str, wait: Any) -> type:
    """torch.cuda.Stream or Event: operations finish at once and in order, so only `synchronize` has an effect."""
    names = "__init__ __enter__ __exit__ wait_stream wait_event record wait".split()
    methods: dict[str, Any] = dict.fromkeys(names, lambda *_, **__: None)
    methods |= {"query": lambda _: True, "elapsed_time": lambda *_: 0.0, "synchronize": wait(f"{name}.synchronize")}
    methods["record_event"] = lambda _, event=None: event or torch.cuda.Event()
    return type(name, (), methods)


class _Autocast(contextlib.ContextDecorator):
    """torch.autocast, with a simulated "cuda"."""

    gpu: Gpu
    real: Any

    def __init__(self, device_type: str, dtype: torch.dtype | None = None, enabled: bool = True, **options: Any):
        self.other = None if device_type == "cuda" else self.real(device_type, dtype=dtype, enabled=enabled, **options)
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
    """Intercepts Python's calls on tensors and on functions that make them."""

    def __init__(self, gpu: Gpu):
        super().__init__()
        self.gpu = gpu

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), options: dict | None = None) -> Any:
        gpu, options = self.gpu, dict(options or {})
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
            return self.move(func, *args, **options)
        if func in (torch.tensor, torch.as_tensor, Tensor.new_tensor):
            return self.make_from_values(func, args, options)
        if on_gpu and func in (Tensor.numpy, Tensor.__array__):
            raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy the tensor")
        if on_gpu and name in READ_BY_PYTHON:
            return func(gpu.copy_to_host(args[0], why=f"read by {name}"), *args[1:], **options)
        if func is Tensor.backward:
            with self:  # for backward passes that are written in Python
                return torch.autograd.backward(args[0], options.pop("gradient", None), **options)
        if options.get("device") is not None or options.get("pin_memory"):
            return self.make(func, args, options)
        if gpu.autocast is not None and name in HALF | SINGLE:
            args, options = self.cast(gpu.autocast if name in HALF else torch.float32, args, options)
        if name in FUSED and on_gpu and not gpu.compute:
            return FUSED[name](gpu, *args, **options)
        return func(*args, **options)

    def get_property(self, func: Any, tensor: Tensor) -> Any:
        on_gpu = self.gpu.holds(tensor)
        if func == Tensor.device.__get__ and on_gpu:
            return CUDA
        if func == Tensor.is_cuda.__get__:  # type: ignore[attr-defined]
            return on_gpu
        if func == Tensor.is_cpu.__get__:  # type: ignore[attr-defined]
            return not on_gpu
        if func == Tensor.is_meta.__get__:  # type: ignore[attr-defined]
            return False
        return func(tensor)

    def move(self, func: Any, tensor: Tensor, *args: Any, **options: Any) -> Tensor:
        """Tensor.to in all its forms, Tensor.cpu and Tensor.cuda."""
        gpu, positional, device = self.gpu, list(args), options.pop("device", None)
        dtype, non_blocking = options.pop("dtype", None), options.pop("non_blocking", False)
        if func is not Tensor.to:
            device = "cpu" if func is Tensor.cpu else "cuda"
            positional = [each for each in positional if isinstance(each, bool)]
        for each in positional:
            if isinstance(each, Tensor):
                device, dtype = (CUDA if gpu.holds(each) else "cpu"), each.dtype
            elif isinstance(each, torch.dtype):
                dtype = each
            elif isinstance(each, bool):
                non_blocking = each  # a second one, copy=True, is always a keyword argument
            elif each is not None:
                device = each
        to_device = gpu.holds(tensor) if device is None else torch.device(device).type == "cuda"
        if to_device and not gpu.holds(tensor):
            if dtype is not None and not tensor.is_meta:
                pinned = tensor in gpu.pinned and tensor.dtype == dtype
                tensor = Tensor.to(tensor, dtype)
                tensor = gpu.pinned.take(tensor) if pinned else tensor
            return gpu.copy_to_device(tensor, non_blocking)
        if not to_device and gpu.holds(tensor):
            tensor = gpu.copy_to_host(tensor, non_blocking, "copy to the host")
        return tensor if dtype is None and not options else Tensor.to(tensor, dtype=dtype or tensor.dtype, **options)

    def make_from_values(self, func: Any, args: tuple, options: dict) -> Tensor:
        """torch.tensor and similar functions, which copy to the device."""
        gpu, device, pin = self.gpu, options.pop("device", None), options.pop("pin_memory", False)
        if func is Tensor.new_tensor:
            device = device or (CUDA if gpu.holds(args[0]) else "cpu")
            options.setdefault("dtype", args[0].dtype)
            func, args = torch.tensor, args[1:]
        source = args[0] if args and isinstance(args[0], Tensor) else None
        if source is not None and gpu.holds(source):  # as_tensor of a device's tensor
            return source if device is None else self.move(Tensor.to, source, device, **options)
        made = func(*args, **options)
        if device is not None and torch.device(device).type == "cuda":
            return gpu.copy_to_device(made, non_blocking=False)
        return gpu.pinned.take(made) if pin else made

    def make(self, func: Any, args: tuple, options: dict) -> Any:
        """Other functions that take a device or pin memory: zeros, arange, empty_like."""
        gpu, pin, device = self.gpu, options.pop("pin_memory", False), options.pop("device", None)
        device = torch.device("cpu" if device is None else device)
        if device.type == "cuda":
            with gpu.having(is_creating=True):
                return tree_map_only(Tensor, gpu.take, func(*args, **options, device=gpu.real_device))
        if device.type == "cpu" and any(isinstance(a, Tensor) and gpu.holds(a) for a in args):
            raise NotImplementedError(f"{func} from a tensor of the device to one of the processor")
        made = func(*args, **options, device=device)
        return gpu.pinned.take(made) if pin else made

    def cast(self, wanted: torch.dtype, args: tuple, options: dict) -> tuple[tuple, dict]:
        def to_wanted(tensor: Tensor) -> Tensor:
            casts = tensor.is_floating_point() and tensor.dtype not in (torch.float64, wanted)
            return Tensor.to(tensor, wanted) if casts and self.gpu.holds(tensor) else tensor

        return tree_map_only(Tensor, to_wanted, (args, options))
