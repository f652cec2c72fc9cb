"""What is known: the catalogue of hardware and links, and the recorded runs.

Every number has a source and the day it was read. ``catalogue`` reads the TOML files under
``data``; ``recordings`` reads the runs under ``recorded``.
"""
