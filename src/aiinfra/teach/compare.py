"""Comparisons: the guess, the measurement and the model in one or two sentences."""

from __future__ import annotations

from aiinfra.results import Comparison, Quantity
from aiinfra.teach.predict import LATE, Guess
from aiinfra.teach.words import brief, in_unit, say
from aiinfra.units import distance

ARITHMETIC = (
    "Nothing ran here: this is arithmetic, not a test; a run on the hardware would test it."
)
NO_PREDICTION = "No prediction yet: type one in the box above and run this cell again."


def compare(
    guess: Guess | None,
    measured: Quantity | float,
    model: Quantity | float | None = None,
    limit: Quantity | float | None = None,
) -> Comparison:
    """Say how far the guess and the model are from the measurement, and return the comparison.

    A plain number is in the SI unit of the guess (bytes per second, not GB/s). Without a guess
    the measurement is shown all the same, and a guess made later is marked as such. Where a model
    stands in for the measurement, the two are not compared: it says that this is no test. Raises
    ``ValueError`` when the units differ.
    """
    unit = guess.base_unit if guess is not None else getattr(measured, "unit", "")
    comparison = Comparison(
        measured=as_quantity(measured, unit, "measured here"),
        guess=guess.quantity() if guess is not None else None,
        model=None if model is None else as_quantity(model, unit, "model"),
        limit=None if limit is None else as_quantity(limit, unit, "limit"),
        question=guess.question if guess is not None else "",
    )
    revealed = {
        "key": guess.key if guess is not None else "", "unit": comparison.measured.unit,
        "measured": float(comparison.measured.value),
        "model": None if comparison.model is None else float(comparison.model.value),
    }  # fmt: skip
    say(sentence(comparison, asked=guess is not None), data=revealed)
    if guess is not None:
        guess.store.mark_shown(guess.key, guess.question, guess.base_unit)
    return comparison


def as_quantity(value: Quantity | float, unit: str, source: str) -> Quantity:
    """Return ``value`` in the base ``unit``; a plain number is taken to be in it already."""
    if isinstance(value, Quantity):
        return in_unit(value, unit)
    return Quantity(float(value), unit, source)


def sentence(comparison: Comparison, asked: bool = True) -> str:
    """Write the comparison in two sentences, one more where a prediction or a run is missing."""
    measured = f"{verb(comparison.measured)} {text_of(comparison.measured)}"
    guess, ratio = comparison.guess, comparison.guess_ratio
    if guess is None or ratio is None:
        parts = [NO_PREDICTION] if asked else []
        parts.append(f"{measured[0].upper()}{measured[1:]}.")
    else:
        late = f" ({LATE})" if LATE in guess.source else ""
        parts = [f"You said {text_of(guess)}{late}, {measured}: {distance(ratio, 1)}."]
    if not comparison.is_test:
        parts.append(ARITHMETIC)
    elif comparison.model is not None and comparison.model_ratio is not None:
        off = distance(comparison.model_ratio, 1)
        parts.append(f"The model says {text_of(comparison.model)}, {off}.")
    elif comparison.limit is not None:
        share = 100 * comparison.measured.value / comparison.limit.value
        parts.append(f"That is {brief(share, '%')} of the limit, {text_of(comparison.limit)}.")
    return " ".join(parts)


def text_of(quantity: Quantity) -> str:
    """Write a quantity for a sentence."""
    return brief(quantity.value, quantity.unit)


def verb(measured: Quantity) -> str:
    """Say by its sources where the number comes from: measured, replayed or computed."""
    if measured.kind == "replayed":
        return f"the recorded run ({measured.source.partition(':')[2].strip()}) shows"
    return {"modelled": "the model computes", "counted": "the interpreter counts"}.get(
        measured.kind, measured.kind
    )
