"""Fit the calibration constants again: ``python tools/fit.py [SECTION ...]``.

Each section has a module in ``fitkit`` with ``fit() -> list[Constant]``, which prints its errors on
the rows it was fitted on and on those held back. Its constants replace that section of
``calibration.toml``; the other sections stay as they are. Needs scipy (the extra ``dev``).
"""

from __future__ import annotations

import argparse
import json
import sys
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from aiinfra.facts.calibration import FILE, Constant, constants

SECTIONS = ("gemm", "all_reduce", "training", "inference")


def table(constant: Constant) -> str:
    """One constant as TOML."""
    texts = {name: getattr(constant, name) for name in ("unit", "meaning", "provenance")}
    lines = [f"[{constant.name}]", f"value = {constant.value:.4g}"]
    return "\n".join(
        [*lines, *(f"{n} = {json.dumps(t, ensure_ascii=False)}" for n, t in texts.items())]
    )


def write(section: str, fitted: list[Constant], file: Path = FILE) -> None:
    """Replace one section of the file; comments at its head stay."""
    strangers = [c.name for c in fitted if not c.name.startswith(f"{section}.")]
    if strangers:
        raise ValueError(f"{strangers[0]} does not belong to section {section}")
    constants.cache_clear()  # a fit takes a while, and another section may have been written
    text = file.read_text(encoding="utf-8")
    head = [line for line in text.splitlines() if line.startswith("#")]
    kept = {c.name: c for c in constants(file).values() if not c.name.startswith(f"{section}.")}
    everything = {**kept, **{c.name: c for c in fitted}}
    order = sorted(everything, key=lambda name: SECTIONS.index(name.split(".")[0]))
    tables = [table(everything[name]) for name in order]
    file.write_text("\n\n".join(["\n".join(head), *tables]) + "\n", encoding="utf-8")


def main() -> int:
    """Fit the named sections, or all of them."""
    parser = argparse.ArgumentParser(description="Fit the calibration constants again.")
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--dry-run", action="store_true", help="print errors, write nothing")
    options = parser.parse_args()
    unknown = set(options.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"no section {min(unknown)!r}; there are {', '.join(SECTIONS)}")
    for section in options.sections or SECTIONS:
        print(f"== {section}", flush=True)
        fitted = import_module(f"fitkit.{section}").fit()
        if not options.dry_run:
            write(section, fitted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
