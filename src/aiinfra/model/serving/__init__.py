"""Serving: requests arrive, an engine batches them, and the tail breaks or does not."""

from aiinfra.model.serving.cost import StepCost, StepTime
from aiinfra.model.serving.replica import Replica
from aiinfra.model.serving.requests import Requests, lognormal_lengths
from aiinfra.model.serving.results import Served, Slo, Summary
from aiinfra.model.serving.scaling import Policy, Scaled, autoscale
from aiinfra.model.serving.simulate import capacity, simulate

__all__ = [
    "Policy",
    "Replica",
    "Requests",
    "Scaled",
    "Served",
    "Slo",
    "StepCost",
    "StepTime",
    "Summary",
    "autoscale",
    "capacity",
    "lognormal_lengths",
    "simulate",
]
