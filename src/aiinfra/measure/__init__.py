"""What this machine does: the probe, honest timing, and experiments that run live or replay."""

from aiinfra.measure.experiment import Experiment, MissingRecording, experiment
from aiinfra.measure.machine import Machine, probe
from aiinfra.measure.needs import why_not_live
from aiinfra.measure.run import Run
from aiinfra.measure.timing import Timing, call_series, first_call, time_call, time_in_turns

__all__ = [
    "Experiment",
    "Machine",
    "MissingRecording",
    "Run",
    "Timing",
    "call_series",
    "experiment",
    "first_call",
    "probe",
    "time_call",
    "time_in_turns",
    "why_not_live",
]
