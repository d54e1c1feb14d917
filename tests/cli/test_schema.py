"""`attntrace schema`: one JSON document on stdout, or in a file."""

from __future__ import annotations

import json

from attntrace.spec.schema import schema


def test_stdout_is_the_whole_schema(invoke):
    """stdout is the schema and nothing else."""
    ended = invoke("schema")
    assert (ended.code, ended.err) == (0, "")
    assert json.loads(ended.out) == schema()


def test_a_file_gets_it_too(invoke, tmp_path):
    """`-o` writes it, and a folder is refused."""
    file = tmp_path / "schema.json"
    assert invoke("schema", "-o", file).err == f"wrote {file}\n"
    assert json.loads(file.read_text(encoding="utf-8")) == schema()
    ended = invoke("schema", "-o", tmp_path)
    assert (ended.code, ended.out) == (2, "")
