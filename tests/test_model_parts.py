"""Results that are sums: the parts, the whole, and which part is named."""

from __future__ import annotations

from dataclasses import dataclass

from aiinfra.model.parts import Parts, TimeParts


@dataclass(frozen=True)
class Trip(TimeParts):
    BESIDE = ("distance",)
    AIM = "driving"

    driving: float
    waiting: float
    parking: float
    distance: float


@dataclass(frozen=True)
class Fare(Parts):
    ticket: float
    tip: float


def test_parts_keep_the_order_of_the_fields_and_leave_out_what_stands_beside_them() -> None:
    trip = Trip(driving=60.0, waiting=5.0, parking=10.0, distance=1e6)
    assert list(trip.parts.items()) == [("driving", 60.0), ("waiting", 5.0), ("parking", 10.0)]
    assert trip.total == trip.seconds == 75.0


def test_the_bound_of_a_result_with_an_aim_is_its_largest_overhead() -> None:
    assert Trip(driving=60.0, waiting=5.0, parking=10.0, distance=1e6).bound == "parking"
    assert Fare(ticket=3.0, tip=1.0).bound == "ticket"
