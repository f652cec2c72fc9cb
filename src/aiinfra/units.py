"""SI constants and the one formatter of the course.

Inside the package every quantity is in SI base units (seconds, bytes, FLOP, watts); numbers are
converted here and nowhere else. GB is 10**9 bytes and GiB is 2**30; FLOP is work, FLOP/s a rate.
"""

from __future__ import annotations

import math
import re

KILO, MEGA, GIGA, TERA, PETA, EXA = 1e3, 1e6, 1e9, 1e12, 1e15, 1e18
MILLI, MICRO, NANO, PICO = 1e-3, 1e-6, 1e-9, 1e-12
KIB, MIB, GIB, TIB = 2.0**10, 2.0**20, 2.0**30, 2.0**40
HOUR, DAY, YEAR = 3600.0, 86400.0, 365.25 * 86400.0
KILOWATT_HOUR = 3.6e6  # J, in which electricity is sold and its carbon counted
LITRE = 1e-3  # m^3
CUBIC_FEET_PER_MINUTE = 0.3048**3 / 60  # m^3/s, in which fans are sold

SI_PREFIXES: dict[str, float] = {
    "p": PICO, "n": NANO, "µ": MICRO, "m": MILLI, "": 1.0,
    "k": KILO, "M": MEGA, "G": GIGA, "T": TERA, "P": PETA, "E": EXA,
}  # fmt: skip
BINARY_PREFIXES: dict[str, float] = {"Ki": KIB, "Mi": MIB, "Gi": GIB, "Ti": TIB}

# Units that take an SI prefix, with the smallest prefix that makes sense for each.
PREFIXED = ("B", "B/s", "FLOP", "FLOP/s", "FLOP/B", "Hz", "W", "J", "bit/s", "s", "m")
NEVER_SMALL = ("B", "FLOP", "FLOP/B", "Hz", "bit/s", "B/s", "FLOP/s")
PLAIN_WORDS = {"": "", "x": "x", "ratio": "", "%": " %", "°C": " °C"}
BIG_WORDS = ((1e12, "trillion"), (1e9, "billion"), (1e6, "million"))


def significant(value: float, digits: int = 3) -> str:
    """Write ``value`` with ``digits`` significant digits and no exponent.

    >>> significant(1234.5), significant(0.012345), significant(9.996)
    ('1,230', '0.0123', '10.0')
    """
    if value == 0:
        return "0"
    if not math.isfinite(value):
        return str(value)
    exponent = math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))
    decimals = digits - 1 - exponent
    return f"{round(value, decimals):,.{max(decimals, 0)}f}"


def scale_of(value: float, unit: str) -> tuple[float, str]:
    """Return the divisor and the prefixed unit in which ``value`` reads best.

    >>> scale_of(3.35e12, "B/s")
    (1000000000000.0, 'TB/s')
    """
    if unit not in PREFIXED:
        return 1.0, unit
    magnitude = abs(value)
    best = ""
    for prefix, factor in SI_PREFIXES.items():
        if factor < 1 and unit in NEVER_SMALL:
            continue
        if unit in ("s", "m") and factor > 1:
            continue
        if magnitude >= factor * 0.9995:
            best = prefix
    if magnitude and magnitude < SI_PREFIXES["p"] and unit not in NEVER_SMALL:
        best = "p"
    return SI_PREFIXES[best], best + unit


def format_quantity(value: float, unit: str = "", digits: int = 3) -> str:
    """Write a value in SI units with a readable prefix; the one formatter of the course.

    Units outside the list of prefixed ones (``tokens/s``, ``pixels``) keep their name, and large
    counts read as words; whole ones are written whole. ``x`` is a ratio, ``%`` takes the number
    as given.

    >>> format_quantity(3.35e12, "B/s"), format_quantity(4.2e-5, "s"), format_quantity(26.0, "x")
    ('3.35 TB/s', '42.0 µs', '26.0x')
    >>> format_quantity(8_388_608, "pixels"), format_quantity(6.0, "GPUs")
    ('8.39 million pixels', '6 GPUs')
    """
    if not math.isfinite(value):
        return f"{value} {unit}".strip()
    if unit in PLAIN_WORDS:
        return significant(value, digits) + PLAIN_WORDS[unit]
    if unit in PREFIXED:
        divisor, name = scale_of(value, unit)
        return f"{significant(value / divisor, digits)} {name}"
    for size, word in BIG_WORDS:
        if abs(value) >= size * 0.9995:
            return f"{significant(value / size, digits)} {word} {unit}"
    text = significant(value, digits)
    return f"{text.split('.')[0] if unit and value == int(value) else text} {unit}"


def format_binary(n_bytes: float, digits: int = 3) -> str:
    """Write a byte count with binary prefixes (KiB, MiB, GiB), as caches and memories are sold.

    >>> format_binary(48 * 2**10), format_binary(24 * 2**30)
    ('48.0 KiB', '24.0 GiB')
    """
    for prefix, factor in reversed(BINARY_PREFIXES.items()):
        if abs(n_bytes) >= factor:
            return f"{significant(n_bytes / factor, digits)} {prefix}B"
    return f"{n_bytes:.0f} B"


def ratio_words(ratio: float) -> str:
    """Write a distance, a ratio above one, so that it can be said aloud: a few digits, or whole.

    A ratio that is itself a result is a quantity in ``x``, with the digits of any other.

    >>> ratio_words(3.21), ratio_words(1.04), ratio_words(26.4), ratio_words(2.5e6)
    ('3.2x', '1.04x', '26x', '2.5 million x')
    >>> ratio_words(1084.0), format_quantity(1084.0, "x")
    ('1,080x', '1,080x')
    """
    for size, word in BIG_WORDS:
        if ratio >= size * 0.9995:
            return f"{significant(ratio / size, 2).removesuffix('.0')} {word} x"
    return f"{significant(ratio, 2 if 1.095 <= ratio < 100 else 3)}x"


def same(one: float, other: float) -> str | None:
    """Say "within 1 %" when two positive values differ by less than 2 %, else nothing."""
    difference = (max(one, other) / min(one, other) - 1) * 100
    return f"within {max(1, math.ceil(difference - 1e-6))} %" if difference < 2 else None


def distance(value: float, reference: float) -> str:
    """Say how far ``value`` is from ``reference``: "3.2x low", "1.2x high", "within 1 %"."""
    ratio, side = max(value, reference) / min(value, reference), "low"
    if value > reference:
        side = "high"
    return same(value, reference) or f"{ratio_words(ratio)} {side}"


NUMBER = re.compile(r"\s*([-+]?(?:\d[\d_.]*|\.\d+)(?:e[-+]?\d+)?)\s*(.*?)\s*$", re.IGNORECASE)
THOUSANDS = re.compile(r"(?<=\d)[, \u00a0\u202f](?=\d{3}(\D|$))")  # no number has them after 0
WORDS = {"thousand": KILO, "million": MEGA, "billion": GIGA, "trillion": TERA}
SPELLINGS = {"times": "x", "sec": "s", "secs": "s", "second": "s", "seconds": "s", "us": "µs"}


def parse_quantity(text: str, unit: str) -> float:
    """Read what a learner typed ("12", "12 GB/s", "1.5k", "2 million") as a value in SI units.

    A bare number is in ``unit`` itself, prefix included, and a bare "k" or "million" counts that
    unit; "1,500", "1 500" and "1,5" are read as people write them. Raises ``ValueError`` with the
    mend when the text is not such a number.

    >>> parse_quantity("12", "GB/s"), parse_quantity("1.2 TB/s", "GB/s")
    (12000000000.0, 1200000000000.0)
    >>> parse_quantity("2 million", "pixels"), parse_quantity("26x", "x"), parse_quantity("2k", "s")
    (2000000.0, 26.0, 2000.0)
    """
    base, factor = split_unit(unit)
    cleaned = text.strip().replace("μ", "µ").replace("×", "x")
    if not re.match(r"[-+]?0,", cleaned):
        cleaned = THOUSANDS.sub("", cleaned)
    match = NUMBER.match(cleaned.replace(",", "."))
    try:
        value, suffix = float(match[1]), match[2]  # type: ignore[index]
    except (TypeError, ValueError):
        raise ValueError(f"{text!r} is not a number; type for example 12 or 1.5e3") from None
    word, _, rest = suffix.partition(" ")
    counted = WORDS.get(word.lower(), SI_PREFIXES.get("k" if word == "K" else word))
    if suffix not in ("", unit) and counted is not None:
        if not rest and counted == factor:
            return value * factor  # "12 G" where GB/s is asked for
        value, suffix = value * counted, rest.strip()
    if suffix == "":
        return value * factor
    typed_base, typed_factor = split_unit(spelled(suffix, unit))
    if typed_base != base:
        raise ValueError(
            f"{text!r} is in {suffix!r}, but the question asks for {unit or 'a number'!r}"
        )
    return value * typed_factor


def spelled(suffix: str, unit: str) -> str:
    """Return the unit that a learner meant, where the case of its letters leaves one choice.

    >>> spelled("gb/s", "MB/s"), spelled("us", "ms"), spelled("mw", "W")
    ('GB/s', 'µs', 'mw')
    """
    suffix = SPELLINGS.get(suffix.lower(), suffix)
    known = [unit] + [
        prefix + base
        for prefix, factor in {**SI_PREFIXES, **BINARY_PREFIXES}.items()
        for base in PREFIXED
        if factor >= 1 or base not in NEVER_SMALL
    ]
    alike = [name for name in known if name.lower() == suffix.lower()]
    clear = len(set(alike)) == 1 or unit in alike
    return alike[0] if clear and suffix not in known else suffix


def split_unit(unit: str) -> tuple[str, float]:
    """Split a prefixed unit into its base unit and factor.

    >>> split_unit("GB/s"), split_unit("µs"), split_unit("GiB"), split_unit("pixels")
    (('B/s', 1000000000.0), ('s', 1e-06), ('B', 1073741824.0), ('pixels', 1.0))
    """
    if unit in PREFIXED:
        return unit, 1.0
    for prefix, factor in {**BINARY_PREFIXES, **SI_PREFIXES}.items():
        if prefix and unit.startswith(prefix) and unit[len(prefix) :] in PREFIXED:
            return unit[len(prefix) :], factor
    return unit, 1.0
