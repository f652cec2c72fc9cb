"""How long a language model takes to read a prompt and to write tokens, and where the time goes.

Prefill is bounded by arithmetic, decode by reading the weights and the key-value cache. Sources:
R. Pope et al., "Efficiently scaling transformer inference", arXiv 2211.05102; N. Shazeer, "Fast
transformer decoding", arXiv 1911.02150 (the cache as the bound).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from aiinfra.facts.calibration import constant, constants
from aiinfra.model.formats import half
from aiinfra.model.forward import Deployment, PassTime, layers_time
from aiinfra.model.transformer import Transformer

__all__ = [
    "BatchTime", "Deployment", "PassTime", "attention_rate", "cache_time", "decode_step",
    "kernels", "kv_bytes", "largest_batch", "mean_step", "prefill", "static_batch", "weight_bytes",
]  # fmt: skip

# Kernels that a layer of prefill starts: two norms with their residuals, four products, rotation,
# cache write, two of attention, activation, and one more for what engines do not fuse.
KERNELS = 12
USABLE = 0.9  # share of memory for weights and cache; vLLM's default gpu_memory_utilization


@lru_cache(maxsize=65536)
def prefill(model: Transformer, on: Deployment, prompt: int, batch: int = 1) -> PassTime:
    """Price the time to the first token of ``batch`` prompts of ``prompt`` tokens read together.

    Products of all tokens, attention ``4 p (p + 1) / 2 heads head_size`` FLOP a layer and sequence
    (the mask skips half), logits of the last token only; no less than the host takes to submit
    ``layers * kernels`` kernels, since a prefill is no CUDA graph: it runs ahead of the device, so
    the longer of the two counts. Seconds; excludes queueing, tokenisation and the network to the
    user. Raises ``ValueError`` where ``tensor`` does not divide the model. Known error (4 rows:
    lmdeploy 0.1, A100, batch 1): 2 to 3 % on 70B or 7B held back, 0.6 % on rows fitted; no row has
    another engine or device, and on none does the host bind: expect 20 to 30 % there. A batch is
    one chunk, however long; engines that capture short prefills in graphs are priced as if not.
    """
    if batch < 1 or prompt < 1:
        raise ValueError(f"batch and prompt must be at least 1, got {batch} and {prompt}")
    late = on.software.late_start and prompt > 1
    read = prompt - 1 if late else prompt
    flop = batch * model.attention_flop(read, (read + 1) / 2) / on.tensor
    work = PassTime(attention=model.layers * flop / attention_rate(on, read))
    work += layers_time(model, on, batch * read, 0 if late else batch)
    waiting = model.layers * kernels(on) * on.software.launch - work.seconds
    work += PassTime(host=on.software.step + max(0.0, waiting))
    return work + decode_step(model, on, batch, prompt) if late else work


def kernels(on: Deployment) -> int:
    """Kernels that a layer of prefill starts.

    12, two all-reduces of tensor parallelism, and four that quantise the products' inputs where
    activations are narrow.
    """
    narrow = on.format.compute in ("fp8", "int8", "fp4")
    return KERNELS + 2 * (on.tensor > 1) + 4 * narrow


def attention_rate(on: Deployment, tokens: int) -> float:
    """FLOP/s of causal attention over a prompt, in 16 bits: ``peak * share * p / (p + ramp)``.

    The share goes with the architecture; on Hopper, engines that run FlashAttention-2 have their
    own. Known error: no row measures it alone, and Volta, which FlashAttention-2 does not run on,
    takes the share of ``other``.
    """
    kind = on.device.architecture.lower()
    names = [f"inference.attention.{kind}", "inference.attention.other"]
    if kind == "hopper" and on.software.flash2:
        names.insert(0, "inference.attention.hopper-flash2")
    share = next(constant(name) for name in names if name in constants())
    peak = on.device.peak(half(on.device)).value
    return peak * share * tokens / (tokens + constant("inference.attention.ramp"))


@lru_cache(maxsize=65536)
def decode_step(model: Transformer, on: Deployment, batch: int, context: float) -> PassTime:
    """Price one token for each of ``batch`` sequences that hold ``context`` tokens on average.

    Weights are read once, keys and values once for each sequence. Seconds. Raises ``ValueError``
    where ``tensor`` does not divide the model. Known error: 5 % mean on 70B held back, 4 % on 7B,
    3 % on rows fitted (lmdeploy 0.1, A100); gpt-fast at batch 1 on 1 to 8 A100: 3 % on rows
    fitted, 10 % on 4-bit weights, 405B and Mixtral held back, 32 % at worst.
    """
    if batch < 1 or context < 0:
        raise ValueError(f"batch must be at least 1 and context 0, got {batch} and {context}")
    work = layers_time(model, on, batch, batch)
    host = on.software.step + batch * on.software.sequence
    return work + PassTime(cache=cache_time(model, on, batch, context), host=host)


def cache_time(model: Transformer, on: Deployment, batch: int, context: float) -> float:
    """Seconds to read ``batch * context`` tokens of keys and values on one rank, all layers.

    ``bytes / (share * bandwidth)``. Where each query head reads for itself, the group's readers
    meet in the L2 cache: ``bytes * heads / kv_heads / (l2 * bandwidth * min(1, blocks / units))``
    with a block a head and sequence, if that takes longer. Known error: the fitted ``l2`` is more
    than that cache alone delivers on an A100 (readers also meet earlier), so it may not transfer.
    """
    n_bytes = kv_bytes(model, on, batch, context)
    bandwidth = on.device.memory_bandwidth
    from_memory = n_bytes / (constant("inference.cache.share") * bandwidth)
    if not on.software.per_head:
        return from_memory
    readers = model.heads / max(model.kv_heads, on.tensor)
    blocks = batch * model.heads / on.tensor
    filled = min(1.0, blocks / (on.device.compute_units or 1))
    return max(from_memory, n_bytes * readers / (constant("inference.l2") * bandwidth * filled))


@dataclass(frozen=True)
class BatchTime:
    """A batch that starts and ends together: ``prefill``, then ``decode`` of all further steps.

    ``stall`` is what the engine loses between them; ``output_tokens`` counts all sequences.
    """

    prefill: PassTime
    decode: PassTime
    stall: float
    output_tokens: int
    tensor: int

    @property
    def parts(self) -> dict[str, float]:
        """Seconds by part: of both passes together, and the stall."""
        return {**(self.prefill + self.decode).parts, "stall": self.stall}

    @property
    def seconds(self) -> float:
        """From the first prompt to the last token."""
        return self.prefill.seconds + self.decode.seconds + self.stall

    @property
    def bound(self) -> str:
        """What most of the time waits for."""
        return (self.prefill + self.decode).bound

    @property
    def tokens_per_second(self) -> float:
        """Output tokens a second of the whole deployment."""
        return self.output_tokens / self.seconds

    @property
    def tokens_per_second_per_device(self) -> float:
        """Output tokens a second and device."""
        return self.tokens_per_second / self.tensor


def mean_step(model: Transformer, on: Deployment, batch: int, prompt: int, output: int) -> PassTime:
    """Price the mean decode step while the context grows from ``prompt`` by ``output`` tokens.

    A step's time is linear in the context, so the mean step is that of the mean context.
    """
    return decode_step(model, on, batch, prompt + output / 2)


def static_batch(
    model: Transformer, on: Deployment, batch: int, prompt: int, output: int
) -> BatchTime:
    """Price ``batch`` sequences that read ``prompt`` tokens and write ``output`` tokens together.

    ``(prefill + (output - 1) * mean step) * (1 + stall)``; prefill yields the first token. Known
    error: 11 % mean on 70B held back, 5 % on 7B, 4 % on rows fitted (lmdeploy 0.1, A100); 22 % at
    worst, where the engine lost a second among its prompts that no term here explains.
    """
    first = prefill(model, on, prompt, batch)
    rest = mean_step(model, on, batch, prompt, output) * (output - 1)
    stall = on.software.stall * (first.seconds + rest.seconds)
    return BatchTime(first, rest, stall, batch * output, on.tensor)


def kv_bytes(model: Transformer, on: Deployment, batch: int = 1, context: float = 1) -> float:
    """Bytes of keys and values on one rank; ranks beyond ``kv_heads`` each keep a whole head."""
    split = min(on.tensor, model.kv_heads)
    return batch * context * model.kv_bytes_per_token(on.format.cache_bytes) / split


def weight_bytes(model: Transformer, on: Deployment) -> float:
    """Bytes of weights on one rank; embedding and logits keep 16 bits."""
    layers = model.layers * model.layer_parameters * on.format.weight_bytes
    return (layers + 2.0 * model.embedding_parameters) / on.tensor


def largest_batch(model: Transformer, on: Deployment, context: int, usable: float = USABLE) -> int:
    """Sequences of ``context`` tokens whose cache fits beside the weights; 0 where none does.

    ``floor((usable * memory - weights) / cache of one sequence)`` on one rank.
    """
    free = usable * on.device.memory_bytes - weight_bytes(model, on)
    return max(0, int(free // kv_bytes(model, on, 1, context)))
