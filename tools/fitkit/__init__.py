"""How each section of the calibration is fitted: a module each, ``fit() -> list[Constant]``."""
