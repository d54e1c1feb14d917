"""Elements by number: an index, a lookup in a table, a gather, a part of an axis."""
