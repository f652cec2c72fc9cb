"""The end of a lesson: its three bullets again, now with the learner's own numbers."""

from __future__ import annotations

from aiinfra.teach.words import say


def learned(*sentences: str) -> None:
    """Show the sentences as a list; each holds a number that this run of the lesson measured."""
    say("\n".join(f"- {sentence}" for sentence in sentences))
