"""`attntrace schema`: what an editor completes and checks a YAML file with."""

from __future__ import annotations

import json

from attntrace.cli import options
from attntrace.cli.exits import exit_codes
from attntrace.cli.output import deliver, unwritable
from attntrace.errors import SettingsError


def schema_command(output: options.Output = None) -> None:
    """Print the JSON Schema (draft 7) of a settings file, for editors that complete YAML.

    Example: attntrace schema -o attntrace.schema.json
    """
    with exit_codes(debug=False):
        if output is not None and (problem := unwritable(output)):
            raise SettingsError([problem])
        from attntrace.spec.schema import schema

        deliver(json.dumps(schema(), indent=2) + "\n", output)
