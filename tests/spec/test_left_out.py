"""What means nothing here: refused where it is a mistake, left out with a note where it is none."""

from __future__ import annotations

import pytest

from attntrace.errors import SettingsError
from attntrace.spec import load, presets, show

NO_SOFTMAX = "impl=sdpa computes softmax(q k^T) v, not what kind {} does; use impl eager"
NO_IMPL = (
    "impl means nothing to block {}; it is for attention, encoder, decoder, encoder-decoder, t2t"
)
NO_SDPA = {
    "additive-attention": f"--impl sdpa: {NO_SOFTMAX.format('additive')}",
    "linear-elu": f"--impl sdpa: {NO_SOFTMAX.format('linear')}",
    "performer": f"--impl sdpa: {NO_SOFTMAX.format('linear')}",
    "t2t-token-performer": f"--impl sdpa: {NO_SOFTMAX.format('linear')}",
    "gemma2-block": "impl=sdpa cannot soft-cap the scores; use impl eager",
    "rnn-additive": f"--impl sdpa: {NO_IMPL.format('rnn-seq2seq')}",
    "rnn-dot": f"--impl sdpa: {NO_IMPL.format('rnn-seq2seq')}",
    "rnn-seq2seq": f"--impl sdpa: {NO_IMPL.format('rnn-seq2seq')}",
    "vit-patch-embed": f"--impl sdpa: {NO_IMPL.format('patch-embed')}",
    "yolo11n-c2psa": f"--impl sdpa: {NO_IMPL.format('psa')}",
    "t2t-tokens": (
        "--impl sdpa: impl means nothing here: the performer has no softmax; use "
        "image.token_block transformer or attention"
    ),
}
"""The presets that sdpa cannot do, whatever words they are in: what they compute is another thing."""


def problems_of(*args, **given):
    with pytest.raises(SettingsError) as caught:
        load(*args, **given)
    return str(caught.value).splitlines()


@pytest.mark.parametrize("name", presets.names())
def test_every_preset_takes_sdpa_or_says_what_it_computes(name):
    """No preset is refused for where it scales, what it fills masks with, or its layout."""
    flag = {"attention.impl": "sdpa"}
    if name in NO_SDPA:
        [problem] = problems_of(name, flags=flag)
        assert problem.endswith(NO_SDPA[name])
    else:
        loaded = load(name, flags=flag)
        assert loaded.spec.attention.impl == "sdpa"
        assert all(note.startswith(f"{name}.yaml:") for note in loaded.notes)


@pytest.mark.parametrize(
    ("sets", "notes"),
    [
        ([], []),
        (
            ["attention.impl=sdpa"],
            [
                "13:3: impl=sdpa scales inside its kernel; attention.scale_at scores is left out",
                "18:3: impl=sdpa fills with -inf, got fill min; mask.fill min is left out",
            ],
        ),
        (
            ["mask.kind=none"],
            ["18:3: fill means nothing here; it goes with mask.kind; mask.fill min is left out"],
        ),
        (
            ["stack.head=none"],
            ["24:3: tied means nothing here; it goes with stack.head vocab; stack.tied true is left out"],
        ),
        (["attention.impl=sdpa", "attention.scale_at=null", "mask.fill=-.inf"], []),
    ],
)  # fmt: skip
def test_what_a_stronger_setting_made_meaningless(sets, notes):
    """What a preset says and a `--set` took the meaning from is left out, with its line."""
    assert load("gpt2", sets=sets).notes == tuple(f"gpt2.yaml:{note}" for note in notes)


def test_every_stronger_layer_does_that(write_yaml):
    """A flag and a keyword of Python take the meaning from what a file says as a `--set` does."""
    file = write_yaml("attention:\n  scale_at: scores\n")
    note = (
        "block.yaml:2:3: impl=sdpa scales inside its kernel; attention.scale_at scores is left out"
    )
    asked = {"sets": ["attention.impl=sdpa"]}, {"attention": {"impl": "sdpa"}}
    for stronger in (*asked, {"flags": {"attention.impl": "sdpa"}}):
        loaded = load(file, **stronger)
        assert loaded.notes == (note,)
        assert "scale_at" not in show(loaded)


def test_a_file_that_is_wrong_by_itself_stays_wrong(write_yaml):
    """A setting that means nothing to its own file is refused, whatever is put over the file."""
    file = write_yaml("attention: {impl: sdpa, scale_at: scores}")
    wrong = "impl=sdpa scales inside its kernel; leave scale_at out, or use impl eager"
    assert problems_of(file) == [f"block.yaml:1:25: {wrong}"]
    assert problems_of(file, flags={"batch": "3"}) == [f"block.yaml:1:25: {wrong}"]
    assert load(file, flags={"attention.impl": "eager"}).notes == ()


def test_the_stronger_setting_itself_is_refused():
    """What was given beside the setting that takes its meaning is a mistake."""
    asked = ["attention.impl=sdpa", "attention.scale_at=scores"]
    assert problems_of("gpt2", sets=asked) == [
        (
            "--set attention.scale_at=scores: impl=sdpa scales inside its kernel; leave scale_at "
            "out, or use impl eager"
        )
    ]


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (
            "max_position_embeddings: 8192",
            "max means nothing here; it goes with positions.kind learned; positions.max 8192 is left out",
        ),
        (
            "sliding_window: 4096",
            "window means nothing here; it goes with mask.kind sliding; mask.window 4096 is left out",
        ),
        (
            "rope_theta: 5e5",
            "theta means nothing here; it goes with positions.kind rope, sinusoidal or sine-2d; positions.theta 500000.0 is left out",
        ),
        (
            "hidden_act: relu",
            "activation means nothing to block attention; it is for encoder, decoder, encoder-decoder; feed_forward.activation relu is left out",
        ),
        (
            "tie_word_embeddings: true",
            "tied means nothing to block attention; it is for encoder, decoder, encoder-decoder; stack.tied true is left out",
        ),
        (
            "kv_lora_rank: 512",
            "kv_lora_rank means nothing here; it goes with attention.kind mla; attention.kv_lora_rank 512 is left out",
        ),
        (
            "output_attentions: true",
            "impl=eager shows them as probs in any case; attention.need_weights per-head is left out",
        ),
    ],
)  # fmt: skip
def test_a_name_of_another_project_that_means_nothing(text, note, write_yaml):
    """A config of another project says all that it knows; what is not for this block is noted."""
    name = text.partition(":")[0]
    assert load(write_yaml(text)).notes == (f"block.yaml:1:1 {name}: {note}",)
    assert load(write_yaml(text)).spec == load().spec


def test_the_same_in_our_own_words_is_a_mistake(write_yaml):
    """What is left out under another name is refused under ours."""
    assert problems_of(write_yaml("positions: {max: 8192}")) == [
        "block.yaml:1:13: max means nothing here; it goes with positions.kind learned"
    ]


def test_the_width_of_no_expert_is_left_out(write_yaml):
    """A mixture's config has the width of a dense feed-forward, too."""
    moe = (
        "block: decoder\nfeed_forward: {kind: moe}\nnum_local_experts: 8\nnum_experts_per_tok: 2\n"
    )
    loaded = load(write_yaml(f"{moe}moe_intermediate_size: 32\nintermediate_size: 96\n"))
    assert loaded.spec.expert_dim == 32
    assert loaded.notes == (
        (
            "block.yaml:6:1 intermediate_size: ff_dim means nothing here: every layer has experts, "
            "and they are expert_dim wide; ff_dim 96 is left out"
        ),
    )


@pytest.mark.parametrize(
    "given",
    [
        {"sliding_window": None, "n_inner": None},
        {"tie_word_embeddings": False, "hidden_act": "gelu"},
        {"bias": False},
        {"block": "encoder", "bias": False, "norm": {"kind": "rmsnorm"}},
    ],
    ids=str,
)
def test_what_needs_no_note(given):
    """Null, what is so anyway, and parts of a switch that does something fall in silence."""
    assert load(**given).notes == ()


def test_what_falls_lets_other_things_fall():
    """What meant something beside a setting that was left out is looked at again."""
    bare = {"attention": {"qkv": "none", "out_proj": False}}
    loaded = load(**bare, qk_layernorm=True, layer_norm_eps=1e-3)
    assert loaded.spec == load(**bare).spec
    assert loaded.notes == (
        (
            "qk_layernorm=True: qk_norm means nothing here: with attention.qkv none, q, k and v "
            "come in as they are; attention.qk_norm layernorm is left out"
        ),
        (
            "layer_norm_eps=0.001: eps means nothing here; it goes with a norm: norm.kind, "
            "attention.qk_norm or kind mla; norm.eps 0.001 is left out"
        ),
    )


def test_a_problem_elsewhere_is_still_a_problem(write_yaml):
    """What is left out hides nothing that is wrong with the rest."""
    assert problems_of(write_yaml("rope_theta: 5e5\nheads: 3\nrope_theata: 4")) == [
        "block.yaml:3:1: unknown key 'rope_theata'; did you mean 'rope_theta'?",
        (
            "block.yaml:2:1: chan 64 is not divisible by heads 3 (64 = 3*21 + 1); nearest heads "
            "that divide 64: 2, 4. Or set head_dim"
        ),
    ]
