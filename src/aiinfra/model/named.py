"""Transformers by name: the catalogue's shapes as the models here take them."""

from __future__ import annotations

from aiinfra.facts.world_catalogue import model_shape
from aiinfra.facts.world_schema import ModelShape
from aiinfra.model.transformer import Transformer


def transformer_of(shape: ModelShape) -> Transformer:
    """Build the transformer of a catalogue entry."""
    return Transformer(
        hidden=shape.hidden,
        layers=shape.layers,
        heads=shape.heads,
        kv_heads=shape.kv_heads,
        ffn=shape.ffn,
        gated_ffn=shape.gated_ffn,
        vocab=shape.vocab,
        experts=shape.experts,
        active_experts=shape.active_experts,
        tied_embeddings=shape.tied_embeddings,
        head_size=shape.head_size or 0,
        name=shape.name,
    )


def named(name: str) -> Transformer:
    """Return the transformer that a slug or alias names; ``CatalogueError`` where there is none.

    >>> round(named("llama-3.1-405b").parameters / 1e9, 1)
    405.8
    """
    return transformer_of(model_shape(name))
