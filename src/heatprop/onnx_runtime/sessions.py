"""Open a network in ONNX Runtime, on the device that is asked for and on no other."""

from typing import Any


def open_session(model: bytes | str, *, device: str, threads: int | None = None) -> Any:
    """Open a network for work beside torch.

    Args:
        model: The network itself, or the path of its file.
        device: ``"cpu"``, ``"cuda"`` or ``"cuda:<index>"``.
        threads: CPU threads; ``None`` for ONNX Runtime's choice.

    Returns:
        An ``onnxruntime.InferenceSession``.

    Raises:
        ImportError: If onnxruntime is not installed.
        ValueError: If ``device`` is none of the above.
        RuntimeError: If ``device`` is CUDA and ONNX Runtime cannot run there.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(
            f"heatprop.onnx_runtime needs onnxruntime ({error}): pip install 'heatprop[onnx]'", name=error.name
        ) from error
    kind, _, index = device.partition(":")
    if kind not in ("cpu", "cuda") or (index and not (kind == "cuda" and index.isdecimal())):
        raise ValueError(f"device must be 'cpu', 'cuda' or 'cuda:<index>', got {device!r}")
    providers: list[Any] = ["CPUExecutionProvider"]
    if kind == "cuda":
        _require_cuda(onnxruntime.get_available_providers(), onnxruntime.__version__)
        providers.insert(0, ("CUDAExecutionProvider", {"device_id": index or "0"}))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors, without advice about a network that its user cannot change
    if threads is not None:
        options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1  # the graphs are chains
    # Idle threads that spin hold torch up: ten products of 400 x 400 took 12 to 96 ms instead of 5.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(model, options, providers=providers)
    if kind == "cuda":
        _require_cuda(session.get_providers(), onnxruntime.__version__)  # without CUDA's own libraries it falls back
    return session


def _require_cuda(providers: list[str], version: str) -> None:
    if "CUDAExecutionProvider" not in providers:
        raise RuntimeError(
            f"device 'cuda' needs onnxruntime's CUDAExecutionProvider; onnxruntime {version} gives "
            f"{', '.join(providers)} here. pip uninstall onnxruntime, then pip install onnxruntime-gpu with the CUDA "
            "that it asks for, or use device='cpu'"
        )
