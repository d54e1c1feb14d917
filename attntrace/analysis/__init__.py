"""EXPLAIN: pure functions from the facts of a trace to values. No torch in here."""
