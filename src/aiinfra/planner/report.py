"""What ``aiinfra plan`` found, as text and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from aiinfra.facts.world_catalogue import facility_figure, find_server
from aiinfra.model.bill import Run
from aiinfra.model.layout import Layout
from aiinfra.model.plan import Candidate
from aiinfra.planner.request import Plan
from aiinfra.units import DAY, KILOWATT_HOUR, format_binary, format_quantity, significant

COLUMNS = ("LAYOUT", "STEP", "MFU", "MEMORY", "DAYS", "ENERGY", "CO2", "RENT", "OWN", "BOUND")
BOUNDS = {
    "matmul": "matrix products", "tensor": "tensor collectives", "context": "context collectives",
    "expert": "expert collectives", "stages": "stage transfers", "data": "gradient collectives",
    "head": "logits",
}  # fmt: skip


def assumptions(plan: Plan) -> tuple[str, ...]:
    """What the numbers rest on, one sentence each."""
    job = plan.search.job
    said = [
        f"A step is {job.global_batch:,} sequences of {job.sequence:,} tokens; "
        f"a run is {format_quantity(plan.tokens, 'tokens')}, without restarts.",
        f"{100 * job.usable:.0f} % of the memory is usable; the rest is left to the framework.",
        f"{job.cluster.node_size} accelerators a node on {job.cluster.device_link.name}, "
        f"{job.cluster.network.name} to each.",
        *stages_said(plan),
        *utilisation_said(plan),
        *power_said(plan),
    ]
    if plan.site.rent is not None:
        said.append(f"Rent ${plan.site.rent:g} an hour for one.")
    if plan.site.owner is not None:
        owner = plan.site.owner
        said.append(
            f"Owning one: server ${owner.servers:,.0f} and network ${owner.network:,.0f} over "
            f"{owner.life:g} years, building ${owner.building:,.0f} over {owner.building_life:g}."
        )
    return tuple(said)


def stages_said(plan: Plan) -> list[str]:
    """How uneven stages are priced, where the layouts shown have any."""
    layers = plan.search.job.model.layers
    uneven = [c for c, _ in plan.shown if layers % c.layout.pipeline]
    if not uneven:
        return []
    stages, most = uneven[0].layout.pipeline, uneven[0].stage_layers
    return [
        f"{layers} layers on {stages} stages are priced as if each held {most}, as the fullest."
    ]


def utilisation_said(plan: Plan) -> list[str]:
    """What MFU counts, and what it is without what the causal mask hides."""
    if not plan.shown:
        return []
    causal = 100 * plan.shown[0][0].step.causal_mfu
    return [
        "MFU counts attention's masked half as done, as papers do; without it the first layout "
        f"reaches {causal:.1f} %."
    ]


def power_said(plan: Plan) -> tuple[str, str]:
    """What energy, carbon and electricity rest on."""
    site, machine = plan.site, find_server(plan.device)
    grid = (
        f"Grid {site.grid.name} {site.grid.year}: {site.grid.intensity:g} g/kWh; electricity "
        f"${site.price_per_kwh:g}/kWh ({site.tariff})."
    )
    if site.watts is None:
        return f"Energy is not reckoned: the power of {plan.device.name} is not published.", grid
    share = 100 * facility_figure("training-power-share").value
    like = machine.name if machine else "its board scaled as in a DGX H100"
    each = format_quantity(site.watts, "W")
    whole = format_quantity(site.pue * site.watts * plan.search.job.count, "W")
    power = (
        f"An accelerator and its share of the server draw {each}, {share:.0f} % of the maximum "
        f"of {like}; all of them {whole} at the meter with a PUE of {site.pue:g}."
    )
    return power, grid


def label(layout: Layout) -> str:
    """Write a layout as engineers do.

    >>> from aiinfra.model.layout import Layout
    >>> label(Layout(8, 16, 8, 128, 2, 1, "none", True))
    'TP8 PP16x8 DP128 ZeRO2 mb1'
    """
    words = [f"TP{layout.tensor}", f"PP{layout.pipeline}"]
    if layout.virtual_stages > 1:
        words[-1] += f"x{layout.virtual_stages}"
    if layout.context > 1:
        words.append(f"CP{layout.context}")
    if layout.expert > 1:
        words.append(f"EP{layout.expert}")
    words += [f"DP{layout.data}", f"ZeRO{layout.zero}", f"mb{layout.micro_batch}"]
    return " ".join(words + (["recompute"] if layout.recompute != "none" else []))


def energy_words(joules: float) -> str:
    """Write joules as kilowatt-hours are sold.

    >>> energy_words(3.6e15), energy_words(7.2e8)
    ('1.00 TWh', '200 kWh')
    """
    hours = joules / KILOWATT_HOUR
    for size, unit in ((1e9, "TWh"), (1e6, "GWh"), (1e3, "MWh")):
        if hours >= 0.9995 * size:
            return f"{significant(hours / size)} {unit}"
    return f"{significant(hours)} kWh"


def mass_words(grams: float) -> str:
    """Write grams as kilograms or tonnes."""
    return f"{significant(grams / 1e6)} t" if grams >= 1e6 else f"{significant(grams / 1e3)} kg"


def money_words(dollars: float) -> str:
    """Write dollars, large ones in millions.

    >>> money_words(84.2e6), money_words(1234)
    ('$84.2M', '$1,230')
    """
    return f"${significant(dollars / 1e6)}M" if dollars >= 1e6 else f"${significant(dollars)}"


def row(candidate: Candidate, run: Run) -> tuple[str, ...]:
    """One line of the table; a dash where a number cannot be reckoned."""
    share = candidate.step.parts[candidate.bound] / candidate.seconds
    return (
        label(candidate.layout),
        format_quantity(candidate.seconds, "s"),
        f"{100 * candidate.step.mfu:.1f} %",
        format_binary(candidate.ledger.total),
        significant(run.seconds / DAY),
        energy_words(run.energy.total) if run.energy else "-",
        mass_words(run.carbon) if run.carbon is not None else "-",
        money_words(run.rented) if run.rented is not None else "-",
        money_words(run.owned.total) if run.owned else "-",
        f"{BOUNDS.get(candidate.bound, candidate.bound)} {100 * share:.0f} %",
    )


def table(rows: list[tuple[str, ...]]) -> list[str]:
    """Lay rows out in columns: first and last to the left, numbers to the right."""
    widths = [max(len(cells[i]) for cells in rows) for i in range(len(rows[0]))]
    left = (0, len(widths) - 1)
    lines = []
    for cells in rows:
        sides = [c.ljust(w) if i in left else c.rjust(w)
                 for i, (c, w) in enumerate(zip(cells, widths, strict=True))]  # fmt: skip
        lines.append("  ".join(sides).rstrip())
    return lines


def as_text(plan: Plan) -> str:
    """The best layouts as a table, with what they rest on; or why nothing fits."""
    found, job = plan.search, plan.search.job
    title = f"{plan.shape.name} on {job.count:,} x {plan.device.name}, {job.precision}"
    if not found.candidates:
        return "\n".join([title, "", f"Nothing fits: {found.obstacle}."])
    counted = f"{len(found.candidates):,} of {found.considered:,} layouts fit; the fastest by mesh:"
    rows = [COLUMNS, *(row(candidate, run) for candidate, run in plan.shown)]
    notes = [f"  {sentence}" for sentence in assumptions(plan)]
    return "\n".join([title, counted, "", *table(rows), "", "This rests on:", *notes])


def entry(candidate: Candidate, run: Run) -> dict[str, Any]:
    """One layout as plain data, in SI units."""
    return {
        "layout": asdict(candidate.layout),
        "label": label(candidate.layout),
        "stage_layers": candidate.stage_layers,
        "step_seconds": candidate.seconds,
        "step_parts_seconds": candidate.step.parts,
        "bound": candidate.bound,
        "mfu": candidate.step.mfu,
        "mfu_causal": candidate.step.causal_mfu,
        "memory_bytes": candidate.ledger.total,
        "memory_parts_bytes": candidate.ledger.parts,
        "steps": run.steps,
        "run_seconds": run.seconds,
        "energy_joules": run.energy.total if run.energy else None,
        "energy_parts_joules": run.energy.parts if run.energy else None,
        "carbon_grams": run.carbon,
        "water_cubic_metres": run.water,
        "rent_dollars": run.rented,
        "own_dollars": run.owned.total if run.owned else None,
        "own_parts_dollars": run.owned.parts if run.owned else None,
    }


def as_dict(plan: Plan) -> dict[str, Any]:
    """The whole plan as plain data, in SI units; ``layouts`` is empty where nothing fits."""
    found, job = plan.search, plan.search.job
    return {
        "model": plan.shape.slug,
        "accelerator": plan.device.slug,
        "count": job.count,
        "sequence": job.sequence,
        "global_batch": job.global_batch,
        "precision": job.precision,
        "tokens": plan.tokens,
        "grid": plan.site.grid.slug,
        "pue": plan.site.pue,
        "usable_memory_bytes": job.memory,
        "considered": found.considered,
        "fitting": len(found.candidates),
        "obstacle": found.obstacle,
        "layouts": [entry(candidate, run) for candidate, run in plan.shown],
        "assumptions": list(assumptions(plan)),
    }
