"""How a training job is laid out over accelerators, and what it is laid out on.

Sources: D. Narayanan et al., "Efficient large-scale language model training on GPU clusters using
Megatron-LM", SC21, arXiv 2104.04473 (tensor, pipeline, data, interleaving); V. Korthikanti et al.,
"Reducing activation recomputation in large transformer models", arXiv 2205.05198 (sequence
parallelism, selective recomputation); S. Rajbhandari et al., "ZeRO", arXiv 1910.02054.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from aiinfra.facts import catalogue
from aiinfra.facts.schema import Accelerator, Link
from aiinfra.model.transformer import Transformer

Recompute = Literal["none", "selective", "full"]

# The fastest adapter that a host link of that generation feeds: 100 Gbit/s on PCIe 3 x16, 200 on
# PCIe 4 x16, 400 beyond. So it is in the vendor's own nodes: DGX-1 V100 has four EDR ports (NVIDIA,
# DGX-1 with Tesla V100 system architecture, white paper, read 2026-11-24), DGX A100 eight HDR ports
# (shared/validation, training.csv), DGX H100 eight of 400 Gbit/s (S. Bekman, Machine Learning
# Engineering, network, read 2026-11-24); that of B200 is taken for the same (unchecked).
NETWORK = {"pcie-3-x16": "infiniband-edr", "pcie-4-x16": "infiniband-hdr"}
OTHER_NETWORK = "infiniband-ndr"
SHARING = {"nvlink-2": 2}  # accelerators on one port: DGX-1 has four for eight


class LayoutError(ValueError):
    """A layout that cannot run; ``field`` names the number to change."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(problem)
        self.field = field


@dataclass(frozen=True)
class Layout:
    """Degrees of parallelism and what goes with them.

    ``tensor`` splits every matrix, ``pipeline`` the layers into stages, ``virtual_stages`` is the
    chunks of layers that a stage holds (interleaved schedule), ``data`` the copies (or shards) of
    the model, ``zero`` what is sharded over them: nothing, 1 optimizer, 2 and gradients, 3 and
    parameters (FSDP). ``micro_batch`` counts sequences. ``context`` splits the sequence; ``expert``
    splits the experts over the data and context ranks and therefore adds none. ``recompute`` says
    what the backward pass computes again: nothing, the attention core, or the whole layer.
    """

    tensor: int = 1
    pipeline: int = 1
    virtual_stages: int = 1
    data: int = 1
    zero: int = 0
    micro_batch: int = 1
    recompute: Recompute = "none"
    sequence_parallel: bool = False
    context: int = 1
    expert: int = 1

    def __post_init__(self) -> None:
        for name in (
            "tensor", "pipeline", "virtual_stages", "data", "micro_batch", "context", "expert",
        ):  # fmt: skip
            if getattr(self, name) < 1:
                raise LayoutError(name, f"{name} must be at least 1, got {getattr(self, name)}")
        if self.zero not in (0, 1, 2, 3):
            raise LayoutError("zero", f"zero must be 0, 1, 2 or 3, got {self.zero}")
        if self.recompute not in get_args(Recompute):
            known = ", ".join(get_args(Recompute))
            raise LayoutError("recompute", f"recompute must be {known}, got {self.recompute!r}")
        if (self.data * self.context) % self.expert:
            raise LayoutError(
                "expert",
                f"expert {self.expert} must divide data x context {self.data * self.context}",
            )

    @property
    def ranks(self) -> int:
        """Accelerators: ``tensor * pipeline * data * context``."""
        return self.tensor * self.pipeline * self.data * self.context

    @property
    def idle(self) -> float:
        """Micro-batches' worth of time a stage waits for the pipeline: ``(p - 1) / v``."""
        return (self.pipeline - 1) / self.virtual_stages

    def micro_batches(self, global_batch: int) -> int:
        """Micro-batches that each pipeline runs a step; ``LayoutError`` where they are not whole.

        ``global_batch / (data * micro_batch)``, in sequences.
        """
        count, rest = divmod(global_batch, self.data * self.micro_batch)
        if rest or count < 1:
            raise LayoutError(
                "global_batch",
                f"global batch {global_batch} must be a multiple of data x micro_batch "
                f"{self.data} x {self.micro_batch}",
            )
        return count

    def stage_layers(self, model: Transformer) -> int:
        """Layers that one pipeline stage holds; ``LayoutError`` where they are not whole."""
        if model.layers % (self.pipeline * self.virtual_stages):
            raise LayoutError(
                "virtual_stages" if model.layers % self.pipeline == 0 else "pipeline",
                f"{model.layers} layers do not divide into pipeline x virtual_stages "
                f"{self.pipeline} x {self.virtual_stages} chunks",
            )
        return model.layers // self.pipeline

    def check(self, model: Transformer, sequence: int) -> None:
        """Raise ``LayoutError`` where the model or the sequence cannot be split this way."""
        for name, parts, wholes in (
            ("tensor", self.tensor, {"heads": model.heads, "ffn": model.ffn}),
            ("expert", self.expert, {"experts": model.experts}),
            ("context", self.context, {"sequence": sequence}),
        ):
            for whole, size in wholes.items():
                if size % parts:
                    raise LayoutError(name, f"{name} {parts} must divide {whole} {size}")
        if self.virtual_stages > 1 and self.pipeline == 1:
            problem = "virtual_stages above 1 need more than one pipeline stage"
            raise LayoutError("virtual_stages", problem)
        self.stage_layers(model)


@dataclass(frozen=True)
class Cluster:
    """Nodes of ``node_size`` accelerators: ``device_link`` inside, ``network`` per accelerator."""

    accelerator: Accelerator = field(hash=False)
    device_link: Link = field(hash=False)
    network: Link = field(hash=False)
    node_size: int = 8

    @classmethod
    def of(cls, accelerator: str | Accelerator, network: str = "", node_size: int = 8) -> Cluster:
        """Build a cluster from catalogue names; ``CatalogueError`` where one is not there.

        The network defaults to what the vendor's node has; no network is faster than the host link
        it goes through. Accelerators without a link of their own talk over the host's.
        """
        device = catalogue.accelerator(accelerator) if isinstance(accelerator, str) else accelerator
        inner = device.device_link or device.host_link or "pcie-4-x16"
        outer = catalogue.link(network) if network else default_network(device)
        if device.host_link:
            outer = behind(outer, catalogue.link(device.host_link))
        return cls(device, catalogue.link(inner), outer, node_size)


def default_network(device: Accelerator) -> Link:
    """Return an accelerator's share of the network that the vendor's node has."""
    whole = catalogue.link(NETWORK.get(device.host_link or "", OTHER_NETWORK))
    sharing = SHARING.get(device.device_link or "", 1)
    if sharing == 1:
        return whole
    share = whole.bandwidth_per_direction / sharing
    return replace(whole, name=f"1/{sharing} of {whole.name}", bandwidth_per_direction=share)


def behind(network: Link, host: Link) -> Link:
    """Return the network as an accelerator sees it behind its host link: the slower of the two."""
    if network.bandwidth_per_direction <= host.bandwidth_per_direction:
        return network
    return replace(
        network,
        name=f"{network.name} behind {host.name}",
        bandwidth_per_direction=host.bandwidth_per_direction,
    )
