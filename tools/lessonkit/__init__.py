"""The parts of `tools/build.py`: read a lesson, check it, cut solutions, write a notebook."""
