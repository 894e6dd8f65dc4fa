"""Build TensorRT's engine of an exported file, on a machine that has TensorRT; it runs on that kind of GPU alone."""

from __future__ import annotations

from pathlib import Path

from trainer.export.graph import INPUT, Graph
from utils.errors import UserError

LARGEST_BATCH = 8


def build_engine(path: Path, graph: Graph) -> bytes:
    """Return the engine of the file `path`, for 1 to 8 images of the network's own size.

    Raises `UserError` with TensorRT's reason if it cannot.
    """
    import tensorrt

    logger = tensorrt.Logger(tensorrt.Logger.ERROR)
    builder = tensorrt.Builder(logger)
    network = builder.create_network(0)
    parser = tensorrt.OnnxParser(network, logger)
    if not parser.parse(path.read_bytes()):
        raise _failed(path, str(parser.get_error(0)))
    config, profile = builder.create_builder_config(), builder.create_optimization_profile()
    one, most = ((count, graph.channels, *graph.size_hw) for count in (1, LARGEST_BATCH))
    profile.set_shape(INPUT, one, one, most)
    config.add_optimization_profile(profile)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise _failed(path, "it gives no reason; its log is above")
    return bytes(engine)


def _failed(path: Path, reason: str) -> UserError:
    return UserError(
        f"--engine tensorrt: TensorRT cannot build {path.name} ({reason}). Leave the option out, or use another "
        "version of TensorRT."
    )
