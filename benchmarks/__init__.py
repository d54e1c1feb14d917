"""The claims about speed and memory, each a command: `python -m benchmarks.startup`, and so on."""
