"""What a decoder-only transformer is made of: parameters, matrix products, bytes of its cache.

Sources: A. Vaswani et al., "Attention is all you need", 2017; J. Ainslie et al., "GQA" (grouped
queries), arXiv 2305.13245; N. Shazeer, "GLU variants improve transformer" (gated feed-forward
networks), arXiv 2002.05202.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Gemm:
    """``count`` matrix products C[m, n] = A[m, k] @ B[k, n] of one kind, on one rank."""

    name: str
    m: int
    n: int
    k: int
    count: int = 1

    @property
    def flop(self) -> float:
        """``2 m n k`` for each product: a multiplication and an addition."""
        return 2.0 * self.m * self.n * self.k * self.count


@dataclass(frozen=True)
class Transformer:
    """The shape of a decoder-only transformer; widths in elements, ``vocab`` in tokens.

    ``ffn`` is the width of the feed-forward network (of one expert), ``gated_ffn`` whether it has
    three matrices instead of two, ``kv_heads`` the heads of keys and values, ``experts`` the
    feed-forward networks of a layer, of which a token passes ``active_experts``. ``head_size`` is
    ``hidden / heads`` where it is not given. Biases, norms and position embeddings are not
    counted: below 0.1 % of a model beyond 1 B parameters. Raises ``ValueError`` on a shape that
    cannot be built.
    """

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    ffn: int
    gated_ffn: bool
    vocab: int
    experts: int = 1
    active_experts: int = 1
    tied_embeddings: bool = False
    head_size: int = 0
    name: str = ""

    def __post_init__(self) -> None:
        for field in ("hidden", "layers", "heads", "kv_heads", "ffn", "vocab", "experts"):
            if getattr(self, field) < 1:
                raise ValueError(f"{field} must be at least 1, got {getattr(self, field)}")
        if self.heads % self.kv_heads:
            raise ValueError(
                f"{self.heads} heads cannot share {self.kv_heads} heads of keys and values; "
                "kv_heads must divide heads"
            )
        if not 1 <= self.active_experts <= self.experts:
            raise ValueError(
                f"active_experts must lie between 1 and {self.experts}, got {self.active_experts}"
            )
        if self.head_size == 0:
            if self.hidden % self.heads:
                raise ValueError(
                    f"heads must divide hidden, got {self.hidden} / {self.heads}; or give head_size"
                )
            object.__setattr__(self, "head_size", self.hidden // self.heads)

    @property
    def query_width(self) -> int:
        """Width of all queries together, ``heads * head_size``."""
        return self.heads * self.head_size

    @property
    def kv_width(self) -> int:
        """Width of all keys (or all values) together, ``kv_heads * head_size``."""
        return self.kv_heads * self.head_size

    @property
    def attention_parameters(self) -> int:
        """Query, key, value and output matrices of one layer."""
        return self.hidden * (2 * self.query_width + 2 * self.kv_width)

    @property
    def expert_parameters(self) -> int:
        """One feed-forward network: two matrices, or three where it is gated."""
        return (3 if self.gated_ffn else 2) * self.hidden * self.ffn

    @property
    def router_parameters(self) -> int:
        """The matrix that chooses among experts; none where there is one expert."""
        return self.hidden * self.experts if self.experts > 1 else 0

    @property
    def layer_parameters(self) -> int:
        """One layer, all its experts."""
        return (
            self.attention_parameters
            + self.router_parameters
            + self.experts * self.expert_parameters
        )

    @property
    def embedding_parameters(self) -> int:
        """The input table and the output matrix; one table where they are tied."""
        return self.vocab * self.hidden * (1 if self.tied_embeddings else 2)

    @property
    def parameters(self) -> int:
        """All parameters: ``layers * layer + embeddings``."""
        return self.layers * self.layer_parameters + self.embedding_parameters

    @property
    def active_parameters(self) -> int:
        """Parameters that one token passes: its experts only."""
        idle = (self.experts - self.active_experts) * self.expert_parameters
        return self.parameters - self.layers * idle

    def kv_bytes_per_token(self, bytes_per_value: float = 2.0) -> float:
        """Bytes of the key-value cache of one token, ``2 layers kv_heads head_size b``.

        >>> Transformer(4096, 32, 32, 32, 11008, True, 32000).kv_bytes_per_token() / 2**20
        0.5
        """
        return 2.0 * self.layers * self.kv_width * bytes_per_value

    def layer_gemms(self, tokens: int, tensor: int = 1) -> tuple[Gemm, ...]:
        """Matrix products with weights of one layer's forward pass on one tensor-parallel rank.

        ``tokens`` is batch times sequence. Queries, keys and values are one product, gate and up
        projections another, as engines fuse them. Columns of the first and rows of the second
        matrix of each pair are divided by ``tensor``; where there are more ranks than heads of
        keys and values, each rank keeps a whole one. With experts, each of them sees
        ``tokens * active / experts`` tokens: an even share. Raises ``ValueError`` where ``tensor``
        does not divide heads or the feed-forward width.
        """
        self.check_tensor(tensor)
        queries = self.query_width // tensor
        keys = max(1, self.kv_heads // tensor) * self.head_size
        width = self.ffn // tensor
        routed = max(1, -(-tokens * self.active_experts // self.experts))
        up = 2 * width if self.gated_ffn else width
        router = (Gemm("router", tokens, self.experts, self.hidden),) if self.experts > 1 else ()
        return (
            Gemm("query, key, value", tokens, queries + 2 * keys, self.hidden),
            Gemm("attention output", tokens, self.hidden, queries),
            *router,
            Gemm("feed-forward up", routed, up, self.hidden, self.experts),
            Gemm("feed-forward down", routed, self.hidden, width, self.experts),
        )

    def logits_gemm(self, tokens: int, tensor: int = 1) -> Gemm:
        """The product that turns ``tokens`` hidden states into logits over the vocabulary."""
        return Gemm("logits", tokens, -(-self.vocab // tensor), self.hidden)

    def attention_flop(self, queries: int, keys: float) -> float:
        """FLOP of one layer's scores and weighted sum: ``4 queries keys heads head_size``.

        ``queries`` and ``keys`` count tokens of one sequence; a causal mask halves the mean
        ``keys`` where the kernel skips what is masked.
        """
        return 4.0 * queries * keys * self.query_width

    def check_tensor(self, tensor: int) -> None:
        """Raise ``ValueError`` where ``tensor`` ranks cannot share a layer evenly."""
        for field in ("heads", "ffn"):
            if tensor < 1 or getattr(self, field) % tensor:
                raise ValueError(
                    f"tensor parallel degree {tensor} must divide {field} {getattr(self, field)}"
                )
