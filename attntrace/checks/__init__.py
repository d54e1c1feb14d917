"""CHECK: find configs, run each, judge what came of it, and say it in one report.

`attntrace check` goes through these files in this order:

- `find`: which configs the arguments mean. `options`: what is asked of all of them.
- `pool`: which config runs when, and the outcomes in order; `glance` guesses how long each takes.
- `crew`: the worker processes as the parent sees them. `worker`: what one of them does.
- `one`: one config, from its file to its outcome; `untouched` puts back what its code has changed.
- `suggested`: what an error suggests, as YAML or as a command of `diff`.
- `compared`: a run against its baseline. `baselines`: the folder of these files. `keys`: their names.

`attntrace diff` runs `sides`: two configs, or files of `saved` runs, now or at git `revisions`;
`alone` runs code of the user's own in a process of its own. `shapes` is `assert_shapes` of pytest.
"""
