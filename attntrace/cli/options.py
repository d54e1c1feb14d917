"""The flags of the commands, one a line: name, help, default, panel.

Flags that set a field of the spec are texts, so that the spec judges all of them together.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from attntrace.cli import complete

OWN, SIZES, LAYER, RUN, SHOW = "Your own code", "Sizes", "Attention", "Run", "Output"
BASELINES = "Baselines"


Completion = Callable[[str], list[str]]


def _flag(name: str, metavar: str, panel: str, help: str) -> Any:
    return typer.Option(name, help=help, metavar=metavar, rich_help_panel=panel, show_default=False)


def _switch(names: str, panel: str, help: str) -> Any:
    return typer.Option(names, help=help, rich_help_panel=panel, show_default=False)


def _settings(metavar: str, help: str, completion: Completion = complete.settings) -> Any:
    return typer.Argument(
        metavar=metavar,
        help=help,
        show_default=False,
        readable=False,  # a preset is no file, and a file that is not there has an error of ours
        autocompletion=completion,
    )


Text = str | None
Switch = bool | None

Subject = Annotated[
    Path | None,
    _settings(
        "TARGET",
        "A preset; FILE.yaml; or code of your own: FILE.py:NAME or PACKAGE.MODULE:NAME, the name of "
        "a module class, an instance or a function; or hf:PATH, a config.json or its folder.",
        complete.targets,
    ),
]
Files = Annotated[
    list[Path] | None,
    _settings(
        "TARGET",
        "What to compare: presets, FILE.yaml, or code of your own as in run; flags win over each.",
        complete.targets,
    ),
]
Component = Annotated[
    str | None,
    typer.Argument(
        metavar="COMPONENT|SETTING",
        help="sizes, attention, positions ..., or one setting; all where it is left out.",
        show_default=False,
        autocompletion=complete.components,
    ),
]

Init = Annotated[
    list[str] | None,
    _flag("--init", "NAME=VALUE", OWN, "What it is made with: dim=64, cfg.layers=2; repeatable."),
]
Input = Annotated[
    list[str] | None,
    _flag(
        "--input",
        "NAME=SHAPE",
        OWN,
        "x=2,128, ids=int64[2,128], n=5; in order without a name; repeatable.",
    ),
]
Size = Annotated[
    list[str] | None,
    _flag("--size", "NAME=N", OWN, "A size that an input names, as x=batch,64 does; repeatable."),
]

Block = Annotated[
    Text, _flag("--block", "BLOCK", SIZES, "attention, encoder, decoder ... (attention).")
]
Batch = Annotated[Text, _flag("--batch", "N", SIZES, "Sequences (13).")]
Tokens = Annotated[Text, _flag("--tokens", "N", SIZES, "Tokens of a sequence (100).")]
Dim = Annotated[Text, _flag("--dim", "N", SIZES, "Features of a token that comes in (49).")]
Chan = Annotated[Text, _flag("--chan", "N", SIZES, "Features that the layer works at (64).")]
Heads = Annotated[Text, _flag("--heads", "N", SIZES, "Attention heads (1).")]
KvHeads = Annotated[Text, _flag("--kv-heads", "N", SIZES, "Heads of k and v (heads).")]
HeadDim = Annotated[Text, _flag("--head-dim", "N", SIZES, "Features of a head (chan / heads).")]
Layers = Annotated[Text, _flag("--layers", "N", SIZES, "Layers of a stack (1).")]

QkvBias = Annotated[
    Switch, _switch("--qkv-bias/--no-qkv-bias", LAYER, "Bias in the qkv projection (no).")
]
QkScale = Annotated[
    Text,
    _flag("--qk-scale", "SCALE", LAYER, "head, embed, input: width^-0.5; none; a number (head)."),
]
Skip = Annotated[
    Text,
    _flag("--skip", "SKIP", LAYER, "Add none, input or value (input if dim = chan, else value)."),
]
Impl = Annotated[
    Text, _flag("--impl", "IMPL", LAYER, "eager, sdpa, or torch: nn.MultiheadAttention (eager).")
]
Dropout = Annotated[
    Text, _flag("--dropout", "RATE", LAYER, "Dropout of the probabilities, in train mode (0).")
]
Mask = Annotated[
    Text, _flag("--mask", "MASK", LAYER, "none, or any of causal, padding, sliding (none).")
]
Sets = Annotated[
    list[str] | None, _flag("--set", "PATH=VALUE", LAYER, "Any setting, as in YAML; repeatable.")
]

SetsOfRuns = Annotated[
    list[str] | None, _flag("--set", "PATH=VALUE", RUN, "Any setting, as in YAML; repeatable.")
]
Device = Annotated[
    Text, _flag("--device", "DEVICE", RUN, "cpu, cuda[:N], mps, or meta: allocates nothing (cpu).")
]
OwnDevice = Annotated[
    Text,
    _flag("--device", "DEVICE", RUN, "cpu, cuda[:N], mps, or meta (each config's own)."),
]
As = Annotated[
    Text, _flag("--as", "DEVICE", RUN, "What a run on meta speaks for: cpu or cuda (cpu).")
]
DType = Annotated[
    Text, _flag("--dtype", "DTYPE", RUN, "float64, float32, bfloat16 or float16 (float32).")
]
Seed = Annotated[Text, _flag("--seed", "N", RUN, "Seed of weights and input (0).")]
Train = Annotated[
    Switch,
    _switch("--train/--eval", RUN, "Mode of the modules (eval; of your own instance, as it is)."),
]
Grad = Annotated[Switch, _switch("--grad/--no-grad", RUN, "Follow backward, too (no).")]
Optimizer = Annotated[
    Text, _flag("--optimizer", "NAME", RUN, "sgd, adam, adamw ...: its state and step, too (none).")
]
Checkpoint = Annotated[
    Switch,
    _switch("--checkpoint/--no-checkpoint", RUN, "Recompute each layer in backward (no)."),
]

Measure = Annotated[
    bool, _switch("--measure", RUN, "Measure scratch inside kernels; takes longer (no).")
]
Budget = Annotated[
    Text, _flag("--budget", "SIZE", RUN, "Memory to fit in, such as 80GiB or 24GB; else exit 1.")
]
Strict = Annotated[bool, _switch("--strict", RUN, "Exit 1 where there is a warning (no).")]
For = Annotated[
    str, _flag("--for", "SIZE", RUN, "What is to be largest: batch, tokens, or a --size (batch).")
]

Paths = Annotated[
    list[str] | None,
    _settings(
        "PATH|TARGET",
        "What to check: folders, with every *.yaml and *.yml below them; YAML files; presets; or "
        "code of your own, as in run (configs/).",
        complete.targets,
    ),
]
Baselines = Annotated[
    Text, _flag("--baselines", "DIR", BASELINES, "The folder of the baselines (.attntrace).")
]
NoBaselines = Annotated[
    Switch,
    _switch("--no-baselines", BASELINES, "Check only that it runs, and what it expects."),
]
Update = Annotated[
    Switch,
    _switch("--update", BASELINES, "Write baselines that are missing, or not as the run is."),
]
Prune = Annotated[Switch, _switch("--prune", BASELINES, "Delete baselines whose config is gone.")]
Tolerance = Annotated[
    Text, _flag("--tolerance", "PART", BASELINES, "By how much measured peaks may differ (1%).")
]
ToleranceOfRuns = Annotated[
    Text, _flag("--tolerance", "PART", SHOW, "By how much measured peaks may differ (1%).")
]
Jobs = Annotated[
    Text, _flag("--jobs", "N", RUN, "Processes that share the work (the cores; 1 on a GPU).")
]
FailFast = Annotated[
    Switch, _switch("--fail-fast", RUN, "Stop at the first that does not pass (no).")
]
ExitZero = Annotated[
    Switch,
    _switch("--exit-zero", RUN, "Exit 0 whatever does not pass; bad flags still exit 2 (no)."),
]

Level = Annotated[
    str,
    _flag("--level", "LEVEL", SHOW, "module, op, or kernel: also what ran below each op (op)."),
]
Axes = Annotated[
    str,
    _flag("--axes", "AXES", SHOW, "Show dimensions by names, numbers or both (both)."),
]
Columns = Annotated[
    Text, _flag("--columns", "A,B,...", SHOW, "Which columns; `--columns help` lists them.")
]
Explain = Annotated[bool, _switch("--explain", SHOW, "Add the formula of each tensor.")]
Source = Annotated[bool, _switch("--source", SHOW, "Add file, line and text of each call.")]
Depth = Annotated[
    Text, _flag("--depth", "N", SHOW, "Hide what lies in modules deeper than N: 0 the outermost.")
]
Only = Annotated[
    list[str] | None,
    _flag("--only", "PATTERN", SHOW, "Show modules or tensors of that name; * works; repeatable."),
]
MinSize = Annotated[
    Text, _flag("--min-size", "SIZE", SHOW, "Hide tensors that are smaller, such as 1MiB.")
]
Unfold = Annotated[
    bool, _switch("--unfold", SHOW, "Show every row, also of layers that repeat, in tables.")
]
Timeline = Annotated[
    bool, _switch("--timeline", SHOW, "Draw live bytes over rows, and what is alive at the peak.")
]
Format = Annotated[str, _flag("--format", "FORMAT", SHOW, "table, json, csv or markdown (table).")]
TableFormat = Annotated[str, _flag("--format", "FORMAT", SHOW, "table, markdown or json (table).")]
ReportFormat = Annotated[
    str,
    _flag("--format", "FORMAT", SHOW, "human, json, junit, github, sarif or markdown (human)."),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE",
        help="Write to a file, whole or not at all.",
        rich_help_panel=SHOW,
        show_default=False,
        readable=False,  # it is for writing
    ),
]
ShowConfig = Annotated[
    bool, _switch("--show-config", SHOW, "Print the settings and their origins; do not run.")
]
Debug = Annotated[bool, _switch("--debug", SHOW, "Show the traceback of an error.")]
