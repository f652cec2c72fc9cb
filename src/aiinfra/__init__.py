"""AI Infrastructure, Measured: predict, measure, explain and scale.

Importing the package is cheap: every room (``facts``, ``measure``, ``model``, ``show``,
``teach``) is imported by name when a lesson needs it.
"""

__version__ = "0.1.0"
