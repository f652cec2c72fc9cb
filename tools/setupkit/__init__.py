"""What `make learn` and `make test` do before the course runs; standard library only."""
