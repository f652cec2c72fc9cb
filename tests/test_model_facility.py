"""Power, heat, energy, carbon and cost: hand-worked cases and properties."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiinfra.facts.catalogue import accelerator
from aiinfra.facts.world_catalogue import facility_figure, find_server, grid, server
from aiinfra.model import cooling, cost, energy, facility
from aiinfra.units import CUBIC_FEET_PER_MINUTE, HOUR, KILOWATT_HOUR, YEAR

watts = st.floats(1e3, 1e9)
pues = st.floats(1.0, 3.0)


def test_a_dgx_h100_spends_its_power_by_hand():
    # 8 x 700 W, two CPUs 700 W, eight adapters 200 W; 10.2 kW leave 3.7 kW.
    power = facility.server_power(server("dgx-h100"))
    assert power.parts == {"accelerators": 5600, "host": 700, "network": 200, "other": 3700}
    assert power.total == 10_200
    assert power.bound == "accelerators"
    assert facility.server_power(server("dgx-h100"), 0.5).total == pytest.approx(5100)


def test_fans_hide_in_what_the_vendor_leaves():
    # 11 % of 10.2 kW are 1.1 kW: less than the 3.7 kW that nobody itemises.
    power = facility.server_power(server("dgx-h100"))
    assert facility_figure("fan-share").value * power.total < power.other


def test_a_device_without_a_server_is_scaled_like_an_h100():
    l40s = accelerator("l40s")
    assert facility.rated_power(l40s, find_server(l40s)) == pytest.approx(350 * 10_200 / 5_600)
    h100 = accelerator("h100-sxm")
    assert facility.rated_power(h100, find_server(h100)) == pytest.approx(1275)
    tpu = accelerator("tpu-v5e")
    assert facility.rated_power(tpu, find_server(tpu)) is None


def test_air_for_a_40_kw_rack_by_hand():
    # 40 kW / (1.205 kg/m^3 x 1005 J/(kg K) x 15 K) = 2.202 m^3/s, 4666 CFM: 10 kW need 1166 CFM.
    flow = cooling.air().flow(40e3, 15)
    assert flow == pytest.approx(2.202, rel=1e-3)
    assert flow / CUBIC_FEET_PER_MINUTE == pytest.approx(4666, rel=1e-3)


def test_water_for_a_120_kw_rack_by_hand():
    # 120 kW / (998 x 4190 x 10 K) = 2.87 L/s; air at the same rise needs 3453 times the volume.
    flow = cooling.water().flow(120e3, 10)
    assert flow * 1000 == pytest.approx(2.870, rel=1e-3)
    assert cooling.air().flow(120e3, 10) / flow == pytest.approx(3453, rel=1e-3)


def test_the_fans_of_a_dgx_h100_warm_its_air_by_16_kelvin():
    machine = server("dgx-h100")
    assert machine.airflow is not None
    rise = machine.power / cooling.air().carries(machine.airflow, 1.0)
    assert rise == pytest.approx(16.2, rel=0.01)


@given(power=watts, rise=st.floats(1, 50))
def test_what_a_flow_carries_is_what_it_was_made_for(power, rise):
    coolant = cooling.air()
    assert coolant.carries(coolant.flow(power, rise), rise) == pytest.approx(power)
    assert coolant.flow(power, 2 * rise) < coolant.flow(power, rise)


def test_a_coolant_must_warm():
    with pytest.raises(ValueError, match="more than 0 K"):
        cooling.air().flow(1e3, 0)


def test_four_dgx_fill_the_rack_that_air_can_cool():
    # NVIDIA recommends four: 40.8 kW; the fifth would fit the height.
    machine = server("dgx-h100")
    flow = cooling.air().flow(4 * machine.power, 15) * 1.001
    fit = cooling.rack_fit(machine, 42, 60e3, flow, 15, cooling.air())
    assert (fit.servers, fit.bound, fit.by_space, fit.by_power) == (4, "cooling", 5, 5)
    assert fit.power == pytest.approx(40_800)


def test_space_or_the_feed_may_bind_instead():
    machine = server("dgx-h100")
    plenty = cooling.air().flow(1e6, 15)
    assert cooling.rack_fit(machine, 16, 1e6, plenty, 15, cooling.air()).bound == "space"
    assert cooling.rack_fit(machine, 42, 15e3, plenty, 15, cooling.air()).bound == "power"
    assert cooling.rack_fit(machine, 42, 5e3, plenty, 15, cooling.air()).servers == 0


@given(power=watts, share=st.floats(0, 1))
def test_all_heat_leaves_by_air_or_liquid(power, share):
    paths = cooling.heat_paths(power, share, 15, 10)
    assert paths.total == pytest.approx(power)
    assert paths.bound == ("air" if share <= 0.5 else "liquid") or share == pytest.approx(0.5)


def test_an_ordinary_chain_loses_eleven_percent():
    # 1 / (0.9875 x 0.95 x 0.96) = 1.1104.
    losses = facility.delivery_losses(1e6)
    assert sum(losses.values()) == pytest.approx(110_370, rel=1e-3)


@given(power=watts, pue=pues)
def test_the_room_sums_to_its_pue(power, pue):
    room = facility.room_power(power, pue)
    assert sum(room.parts.values()) == pytest.approx(room.total)
    assert room.pue == pytest.approx(pue)
    assert min(room.parts.values()) >= -1e-6 * power


def test_cooling_takes_most_of_an_average_overhead_and_none_of_a_hyperscaler_s():
    assert facility.room_power(1e6, facility_figure("pue-survey").value).bound == "cooling"
    lean = facility.room_power(1e6, facility_figure("pue-hyperscale").value)
    assert lean.cooling == pytest.approx(0)


@pytest.mark.parametrize(("it", "pue"), [(1e6, 0.9), (0, 1.2), (-1, 1.2)])
def test_an_impossible_room_is_refused(it, pue):
    with pytest.raises(ValueError, match="PUE"):
        facility.room_power(it, pue)


def test_a_megawatt_hour_by_hand():
    # 1 MW for an hour at PUE 1.54 on the grid of the United States: 1.54 MWh, 630 kg, 380 L.
    used = energy.energy(1e6, HOUR, 1.54)
    assert used.total / KILOWATT_HOUR == pytest.approx(1540)
    assert energy.carbon(used.total, grid("us")) == pytest.approx(629_860)
    assert energy.water_used(used.it) == pytest.approx(0.380)
    assert used.bound == "it"


def test_all_of_llama_3_emits_what_meta_says():
    # Model card of Llama 3.1 and 3.3: 39.3 million hours at 700 W, 11,390 t of CO2 equivalent
    # (location based). The model counts the board's limit and the grid's mean, as the card does.
    joules = 39.3e6 * HOUR * 700
    assert energy.carbon(joules, grid("us")) / 1e6 == pytest.approx(11_390, rel=0.03)


@given(power=watts, seconds=st.floats(0, 1e8), pue=pues)
def test_energy_is_the_sum_of_its_parts_and_grows_with_pue(power, seconds, pue):
    used = energy.energy(power, seconds, pue)
    assert sum(used.parts.values()) == pytest.approx(used.total)
    assert used.total == pytest.approx(power * seconds * pue)
    assert energy.energy(power, seconds, pue + 0.1).total >= used.total


def test_a_whole_day_by_the_hour_is_the_day_s_mean():
    day = energy.hourly_intensity(grid("gb"), "summer")
    assert sum(day) / 24 == pytest.approx(grid("gb").intensity)
    mean = energy.carbon(1e6 * 24 * HOUR, grid("gb"))
    assert energy.carbon_by_hour(1e6, 7, 24, day) == pytest.approx(mean)


def test_in_summer_a_four_hour_job_waits_for_noon_and_in_winter_for_the_night():
    summer = energy.hourly_intensity(grid("gb"), "summer")
    winter = energy.hourly_intensity(grid("gb"), "winter")
    assert 10 <= energy.cleanest_start(4, summer) <= 12
    assert 0 <= energy.cleanest_start(4, winter) <= 3
    worst = max(energy.carbon_by_hour(1, start, 4, winter) for start in range(24))
    best = energy.carbon_by_hour(1, energy.cleanest_start(4, winter), 4, winter)
    assert 1.7 < worst / best < 2.2


def test_a_grid_without_a_measured_day_has_no_hours():
    with pytest.raises(ValueError, match="no measured winter day; 'gb' has one"):
        energy.hourly_intensity(grid("us"), "winter")


def test_an_annuity_by_hand():
    # $100 over four years at 10 %: 10 / (1 - 1.1^-4) = 31.547.
    assert cost.yearly_payment(100, 4, 0.10) == pytest.approx(31.547, rel=1e-4)
    assert cost.yearly_payment(100, 4) == 25
    with pytest.raises(ValueError, match="positive"):
        cost.yearly_payment(100, 0)


OWNER = cost.Ownership(servers=40_000, network=4_000, building=10_000, upkeep=0.05, life=4,
                       building_life=20)  # fmt: skip


def test_a_year_of_one_accelerator_by_hand():
    # 40,000/4 + 4,000/4 + 10,000/20 + 5 % of 40,000, and 8,766 kWh at $0.10.
    bill = cost.own(1, YEAR, OWNER, 1000 * YEAR, 0.10)
    assert bill.parts == pytest.approx(
        {"servers": 10_000, "network": 1_000, "building": 500, "upkeep": 2_000,
         "electricity": 876.6}
    )  # fmt: skip
    assert bill.total == pytest.approx(14_376.6)
    assert bill.bound == "servers"


@given(share=st.floats(0.05, 1.0))
def test_busy_hours_pay_for_idle_ones(share):
    idle = cost.Ownership(servers=40_000, utilisation=share)
    full = cost.Ownership(servers=40_000)
    ratio = cost.own(1, HOUR, idle, 0, 0.1).total / cost.own(1, HOUR, full, 0, 0.1).total
    assert ratio == pytest.approx(1 / share)


def test_at_the_break_even_both_cost_the_same():
    share = cost.break_even_utilisation(OWNER, 1000, 0.10, 2.95)
    assert share is not None
    busy = cost.Ownership(servers=40_000, network=4_000, building=10_000, upkeep=0.05,
                          utilisation=share)  # fmt: skip
    owned = cost.own(1, HOUR, busy, 1000 * HOUR, 0.10).total
    assert owned == pytest.approx(cost.rent(1, HOUR, 2.95))
    assert 0.4 < share < 0.7


def test_cheap_rent_is_never_beaten():
    assert cost.break_even_utilisation(OWNER, 1000, 0.10, 1.00) is None
    assert cost.break_even_utilisation(OWNER, 1000, 0.10, 0.05) is None
