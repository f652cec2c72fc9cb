"""The wider catalogue: models, servers, grids, prices, each with a source and physically sane."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from aiinfra.facts.catalogue import accelerator
from aiinfra.facts.schema import CatalogueError, Entry
from aiinfra.facts.world_catalogue import (
    facility_figure,
    facility_figures,
    find_server,
    grid,
    grids,
    load_grids,
    load_prices,
    load_servers,
    model_shape,
    model_shapes,
    price,
    price_of,
    prices,
    server,
    servers,
)
from aiinfra.facts.world_schema import Grid, ModelShape, Server
from aiinfra.model.named import named, transformer_of

EVERY_ENTRY = (*model_shapes(), *servers(), *grids(), *prices(), *facility_figures())
MODELS = """llama-3.1-8b llama-3.1-70b llama-3.1-405b llama-2-7b llama-2-13b llama-2-70b gpt-2-small
gpt-2-medium gpt-2-large gpt-2-xl gpt-3-175b mistral-7b mixtral-8x7b mpt-7b mpt-30b"""


def test_every_promised_model_is_there() -> None:
    assert set(MODELS.split()) <= {shape.slug for shape in model_shapes()}


@pytest.mark.parametrize("shape", model_shapes(), ids=lambda shape: shape.slug)
def test_the_shape_gives_the_published_parameters(shape: ModelShape) -> None:
    # Position embeddings, norms and biases are left out: 0.4 % of GPT-2 small, less elsewhere.
    assert transformer_of(shape).parameters == pytest.approx(shape.parameters, rel=0.005)


def test_mixtral_activates_two_experts_of_eight() -> None:
    # 12.9 B active by its authors.
    assert named("mixtral-8x7b").active_parameters == pytest.approx(12.9e9, rel=0.005)


def test_llama_405b_has_the_shape_of_its_paper() -> None:
    model = named("Llama-3.1-405B")
    shape = (model.hidden, model.layers, model.heads, model.kv_heads, model.ffn, model.head_size)
    assert shape == (16384, 126, 128, 8, 53248, 128)


@pytest.mark.parametrize("entry", EVERY_ENTRY, ids=lambda entry: entry.slug)
def test_every_entry_names_its_source_and_day(entry: Entry) -> None:
    assert len(entry.source) > 10
    assert entry.url.startswith("http")
    assert entry.read.year >= 2026


def test_quantities_carry_their_source_and_their_doubt() -> None:
    assert str(grid("texas").quantity("intensity")).startswith("377 g/kWh (source: Electricity")
    assert server("dgx-b200").quantity("power").source.endswith("not checked")
    assert not server("dgx-h100").quantity("power").source.endswith("not checked")
    rent = price("rent-h100").quantity()
    assert (rent.value, rent.low, rent.high, rent.unit) == (2.95, 1.99, 5.00, "$/h")
    assert model_shape("llama-3.1-8b").quantity("layers").value == 32


@pytest.mark.parametrize("machine", servers(), ids=lambda machine: machine.slug)
def test_a_server_draws_more_than_its_accelerators(machine: Server) -> None:
    device = accelerator(machine.accelerator)
    assert device.power is not None
    parts = device.power * machine.count + (machine.host_power or 0) + (machine.network_power or 0)
    assert parts < machine.power < 2.2 * device.power * machine.count
    assert machine.training_power is None or machine.training_power < machine.power


@pytest.mark.parametrize("entry", grids(), ids=lambda entry: entry.slug)
def test_a_grid_lies_between_hydro_and_coal(entry: Grid) -> None:
    assert 10 < entry.intensity < 900
    if entry.renewable is not None and entry.carbon_free is not None:
        assert 0 < entry.renewable <= entry.carbon_free <= 1
        # What is not carbon free burns between gas (some 400 g) and coal (some 1100 g).
        assert entry.intensity < 60 + 1100 * (1 - entry.carbon_free)


def test_britain_burns_most_after_sunset_and_least_at_noon_in_summer() -> None:
    gb = grid("gb")
    assert gb.winter_day.index(max(gb.winter_day)) == 17
    assert gb.summer_day.index(min(gb.summer_day)) == 13
    assert 1.3 < max(gb.summer_day) / min(gb.summer_day) < 1.6


def test_prices_lie_in_their_range_and_are_of_known_things() -> None:
    items = {e.slug for e in (*servers(), *grids())} | {"h100-sxm", "a100-sxm-80gb"}
    items |= {"h200-sxm", "b200-sxm", ""}
    for entry in prices():
        assert entry.item in items
        assert (entry.low or entry.value) <= entry.value <= (entry.high or entry.value)


def test_server_and_price_are_found_by_what_they_belong_to() -> None:
    machine = find_server(accelerator("H100"))
    assert machine is not None
    assert machine.slug == "dgx-h100"
    found = price_of("server", machine.slug)
    assert found is not None
    assert found.value == 310_000
    assert find_server(accelerator("tpu-v4")) is None
    assert price_of("rent", "tpu-v4") is None


def test_one_pue_is_the_survey_and_another_the_hyperscaler() -> None:
    assert facility_figure("pue-hyperscale").value < facility_figure("pue-us").value
    assert facility_figure("pue-us").value < facility_figure("pue-survey").value


@pytest.mark.parametrize(
    ("find", "typo", "meant"),
    [(model_shape, "llama-3.1-405", "llama-3.1-405b"), (server, "dgx-h10", "dgx-h100"),
     (grid, "germani", "de"), (price, "rent-h10", "rent-h100"),
     (facility_figure, "pue-surve", "pue-survey")],
)  # fmt: skip
def test_unknown_name_suggests_close_ones(
    find: Callable[[str], Entry], typo: str, meant: str
) -> None:
    with pytest.raises(CatalogueError, match=rf"{typo}.*{meant}"):
        find(typo)


HEAD = 'slug = "mine"\nname = "Mine"\nsource = "my meter in the cellar"\nread = 2026-11-24\n'
GRID = "[[grid]]\nyear = 2026\nintensity = 100\n" + HEAD
SERVER = (
    '[[server]]\nyear = 2026\naccelerator = "h100-sxm"\ncount = 4\npower = "5 kW"\nheight = 4\n'
    'cooling = "air"\n' + HEAD
)
PRICE = '[[price]]\nkind = "rent"\nunit = "$/h"\nvalue = 1\nas_of = 2026-11-24\n' + HEAD


@pytest.mark.parametrize(
    ("load", "text", "old", "new", "field"),
    [
        (load_grids, GRID, "= 100", "= -1", "intensity"),
        (load_grids, GRID, "year", "winter_day = [1.0, 2.0]\nyear", "winter_day"),
        (load_grids, GRID, "year", "summer_day = 7\nyear", "summer_day"),
        (load_servers, SERVER, "h100-sxm", "h900", "accelerator"),
        (load_servers, SERVER, '"air"', '"hope"', "cooling"),
        (load_servers, SERVER, "count = 4", 'count = "4"', "count"),
        (load_prices, PRICE, '"rent"', '"gift"', "kind"),
    ],
)
def test_a_wrong_entry_is_named_with_file_and_field(
    tmp_path: Path, load: Callable[[Path], object], text: str, old: str, new: str, field: str
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    load(file)
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))
    expected = re.escape(f"mine.toml: entry 'mine', field '{field}': ")
    with pytest.raises(CatalogueError, match=expected):
        load(file)
