"""What first principles predict: plain functions, frozen results, no measurement."""
