"""From text to records: what fits comes back as it was, what does not is one line with its dotted place."""

import datetime
import json
import string
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from specs import FIELDS

from senet import settings
from senet.errors import DataError, SpecError, UsageError
from senet.experiments import decoding
from senet.experiments.data_spec import Augment, DataSpec
from senet.experiments.recipe import RECIPES, Optim, Recipe, Schedule
from senet.experiments.run import Run
from senet.spec import SESpec

PLACE = "study.toml: base"

# ---- errors: what is given, the dotted place, and what the sentence says besides
MISTAKES: list[tuple[dict[str, Any], str, str]] = [
    # unknown names of fields, at every depth
    (
        {"modle": "resnet20"},
        "modle",
        "recipe, se, seed, weights, weights_hash. Did you mean 'model'?",
    ),
    ({"epochs": 3}, "epochs", "is not known"),
    ({"data": {"nam": "digits"}}, "data.nam", "Did you mean 'name'?"),
    ({"recipe": {"epoch": 3}}, "recipe.epoch", "Did you mean 'epochs'?"),
    ({"recipe": {"optim": {"lrr": 1}}}, "recipe.optim.lrr", "Did you mean 'lr'?"),
    ({"recipe": {"schedule": {"nme": "cosine"}}}, "recipe.schedule.nme", "Did you mean 'name'?"),
    ({"recipe": {"augment": {"crp": 4}}}, "recipe.augment.crp", "Did you mean 'crop'?"),
    ({"se": {"reductoin": 8}}, "se.reductoin", "Did you mean 'reduction'?"),
    ({"se": [{"reduction": 16}, {"reductoin": 8}]}, "se[1].reductoin", "Did you mean 'reduction'?"),
    ({"se": "standard:reducton=8"}, "se = 'standard:reducton=8': reducton", "Did you mean 'reduction'?"),
    ({"recipe": {"optim": {"int": 1}}}, "recipe.optim.int", "is not known; choose one of: betas"),
    ({"recipe": {"optim": {"zzz": 1}}}, "recipe.optim.zzz", "weight_decay. `senet settings` explains them."),
    ({"se": {"callable": 1}}, "se.callable", "is not known"),
    ({"recipe": {"a]": 1}}, "recipe['a]']", "is not known"),
    ({"x\ny": 1}, r"['x\ny']", "is not known"),
    # unknown names of values
    ({"se": "standrad"}, "se = 'standrad'", "Did you mean 'standard'?"),
    ({"se": "ecca"}, "se = 'ecca'", "Did you mean 'eca'?"),
    ({"se": "standard:squeeze=avg-mx"}, "se = 'standard:squeeze=avg-mx': squeeze = 'mx'", "Did you mean 'max'?"),
    ({"se": {"squeeze": ["avg", "mx"]}}, "se.squeeze = 'mx'", "Did you mean 'max'?"),
    ({"se": "none"}, "se = 'none': 'none'", "is not a design: plain has no blocks"),
    ({"se": ["standard", "bmp"]}, "se[1] = 'bmp'", "Did you mean 'bump'?"),
    ({"se": ""}, "se = ''", "is not known"),
    ({"se": {"gate": "sigmod"}}, "se.gate = 'sigmod'", "Did you mean 'sigmoid'?"),
    ({"se": [{"gate": "sigmod"}]}, "se[0].gate = 'sigmod'", "Did you mean 'sigmoid'?"),
    ({"data": "cifar"}, "data.name = 'cifar'", "Did you mean 'cifar10'?"),
    ({"data": {"normalize": "stanard"}}, "data.normalize = 'stanard'", "Did you mean 'standard'?"),
    ({"recipe": "kth_paper"}, "recipe.preset = 'kth_paper'", "Did you mean 'kth-paper'?"),
    ({"recipe": {"preset": [1]}}, "recipe.preset = [1]", "is not known"),
    ({"recipe": {"optim": {"name": "sdg"}}}, "recipe.optim.name = 'sdg'", "Did you mean 'sgd'?"),
    ({"recipe": {"optim": {"decay": "kernel"}}}, "recipe.optim.decay = 'kernel'", "Did you mean 'kernels'?"),
    ({"recipe": {"schedule": {"name": "cos"}}}, "recipe.schedule.name = 'cos'", "choose one of: constant, cosine"),
    ({"recipe": {"augment": {"padding": "zeros"}}}, "recipe.augment.padding = 'zeros'", "Did you mean 'zero'?"),
    ({"recipe": {"amp": "fp16"}}, "recipe.amp = 'fp16'", "choose one of: bf16, off"),
    # wrong types
    ({"model": 3}, "model = 3", "valid string"),
    ({"seed": "1"}, "seed = '1'", "valid integer"),
    ({"seed": 1.0}, "seed = 1.0", "valid integer"),
    ({"seed": True}, "seed = True", "valid integer"),
    ({"data": 3}, "data = 3", "is not a name or a table"),
    ({"data": None}, "data = None", "is not a name or a table"),
    ({"data": {"size": "32"}}, "data.size = '32'", "valid integer"),
    ({"recipe": 3}, "recipe = 3", "is not a name or a table"),
    ({"recipe": {"optim": "sgd"}}, "recipe.optim = 'sgd'", "object"),
    ({"recipe": {"epochs": 1.5}}, "recipe.epochs = 1.5", "valid integer"),
    ({"recipe": {"optim": {"lr": "fast"}}}, "recipe.optim.lr = 'fast'", "valid number"),
    ({"recipe": {"optim": {"nesterov": 1}}}, "recipe.optim.nesterov = 1", "valid boolean"),
    ({"recipe": {"optim": {"betas": [0.9, "b"]}}}, "recipe.optim.betas[1] = 'b'", "valid number"),
    ({"recipe": {"optim": {"betas": [0.9]}}}, "recipe.optim.betas[1]", "is missing"),
    ({"recipe": {"schedule": {"steps": [[81]]}}}, "recipe.schedule.steps[0][1]", "is missing"),
    ({"recipe": {"schedule": {"steps": [[1, 0.1], "ab"]}}}, "recipe.schedule.steps[1] = 'ab'", "is not a list"),
    ({"recipe": {"augment": {"flip": "yes"}}}, "recipe.augment.flip = 'yes'", "valid boolean"),
    ({"se": 3}, "se = 3", "is not a design; give a name, a table or a list of tables"),
    ({"se": [[3]]}, "se[0][0] = 3", "is not a design"),
    ({"se": {"bias": "no"}}, "se.bias = 'no'", "valid boolean"),
    ({"se": {"gate": 3}}, "se.gate = 3", "valid string"),
    ({"se": {"stages": 2}}, "se.stages = 2", "is not a list"),
    (
        {"day": datetime.date(2023, 4, 13)},
        "Object of type date",
        "give numbers, strings, true or false, lists and tables",
    ),
    # unions: the branch that fits best speaks
    ({"se": {"reduction": "8"}}, "se.reduction = '8'", "valid integer"),
    ({"se": {"reduction": 2.5}}, "se.reduction = 2.5", "valid integer"),
    ({"se": {"reduction": [8, "2"]}}, "se.reduction[1] = '2'", "valid integer"),
    ({"se": [{}, {"reduction": [8, 2, None]}]}, "se[1].reduction[2] = None", "valid integer"),
    ({"se": "standard:reduction=8-x"}, "se = 'standard:reduction=8-x': reduction = (8, 'x')", "is not a ratio"),
    # values out of range
    ({"seed": -1}, "seed = -1", "give a whole number from 0"),
    ({"schema": 2}, "schema = 2", "is of another version of senet"),
    ({"data": {"train_size": -1}}, "data.train_size = -1", "is out of range"),
    ({"recipe": {"epochs": 0}}, "recipe.epochs = 0", "is out of range"),
    ({"recipe": {"accumulate": 200}}, "recipe.accumulate = 200", "above the batch size 128"),
    ({"recipe": {"ema": 1.0}}, "recipe.ema = 1.0", "give a number from 0 and below 1"),
    ({"recipe": {"clip": -1}}, "recipe.clip = -1.0", "0 is off"),
    ({"recipe": {"optim": {"lr": 0}}}, "recipe.optim.lr = 0.0", "give a number above 0"),
    ({"recipe": {"optim": {"momentum": 1}}}, "recipe.optim.momentum = 1.0", "give a number from 0 and below 1"),
    ({"recipe": {"schedule": {"warmup_epochs": -1}}}, "recipe.schedule.warmup_epochs = -1.0", "0 is none"),
    (
        {"recipe": {"schedule": {"steps": [[9, 1], [3, 1]]}}},
        "recipe.schedule.steps = ((9.0, 1.0), (3.0, 1.0))",
        "by epoch",
    ),
    ({"recipe": {"augment": {"shift": [2, 0]}}}, "recipe.augment.shift = (2.0, 0.0)", "is out of range"),
    ({"se": {"reduction": 0}}, "se.reduction = 0", "give one whole number >= 1"),
    ({"se": {"stages": [1, 1]}}, "se.stages = (1, 1)", "different whole numbers from 1"),
    # words
    ({"se": "standard:reduction"}, "se = 'standard:reduction': 'reduction'", "write standard:reduction=8,bias=false"),
    ({"se": "standard+"}, "se = ''", "is not known"),
]


@pytest.mark.parametrize(("values", "place", "says"), MISTAKES, ids=[place for _, place, _ in MISTAKES])
def test_a_mistake_is_one_line_with_its_dotted_place_and_the_way_out(
    values: dict[str, Any], place: str, says: str
) -> None:
    with pytest.raises(SpecError) as caught:
        decoding.run(values, place=PLACE)
    sentence = str(caught.value)
    assert sentence.startswith(f"{PLACE}: {place} ")
    assert says in sentence
    assert len(sentence.splitlines()) == 1
    assert sentence.endswith((".", "?"))
    with pytest.raises(SpecError) as bare:
        decoding.run(values)
    assert str(bare.value).startswith(place)


def test_there_are_many_mistakes_and_each_is_different() -> None:
    assert len({place for _, place, _ in MISTAKES}) >= 60


@dataclass(frozen=True, kw_only=True)
class Inner:
    number: int = 0


@dataclass(frozen=True, kw_only=True)
class Outer:
    needed: int
    maybe: int | tuple[int, ...] = 0
    parts: tuple[Inner, ...] = ()
    table: tuple[tuple[str, float], ...] = ()


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({}, "file: needed is missing."),
        ({"needed": 1, "parts": [{}, {"numbr": 1}]}, "file: parts[1].numbr is not known; choose one of: number. "),
        ({"needed": 1, "parts": [{}, {"number": "1"}]}, "file: parts[1].number = '1' does not fit: "),
        ({"needed": 1, "table": [["a", 1], ["b", "c"]]}, "file: table[1][1] = 'c' does not fit: "),
        ({"needed": 1, "table": [["a", 1, 2]]}, "file: table[0] = ['a', 1, 2] does not fit: "),
        ({"needed": 1, "maybe": [1, [2]]}, "file: maybe[1] = [2] does not fit: "),
    ],
)
def test_records_of_records_are_checked_all_the_way_down(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SpecError) as caught:
        settings.record(Outer, values, place="file")
    assert str(caught.value).startswith(sentence)


def test_a_record_takes_lists_for_tuples_and_whole_numbers_for_floats() -> None:
    made = settings.record(Outer, {"needed": 1, "maybe": [1, 2], "parts": [{"number": 3}], "table": [["a", 1]]})
    assert made == Outer(needed=1, maybe=(1, 2), parts=(Inner(number=3),), table=(("a", 1.0),))
    assert isinstance(made.table[0][1], float)


# ---- files


def test_a_toml_file_comes_back_as_tables(tmp_path: Path) -> None:
    path = tmp_path / "study ü.toml"
    path.write_text('title = "Größe"\n[base]\nmodel = "cnn3"\n', encoding="utf-8")
    assert settings.toml_file(path) == {"title": "Größe", "base": {"model": "cnn3"}}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"a = 1\nb = \n", "line 2"),
        (b"a = 1\na = 2\n", "line 2"),
        (b"[base\n", "line 1"),
        (b"a = 1\n\n[x]\ny = [1, 2\n", "end of document"),
        (b'title = "\xff\xfe"\n', "utf-8"),
        ("a = 1".encode("utf-16"), "utf-8"),
        (b"\x00", "line 1"),
    ],
)
def test_a_file_that_is_not_toml_is_refused_with_the_place(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "study.toml"
    path.write_bytes(content)
    with pytest.raises(SpecError) as caught:
        settings.toml_file(path)
    assert str(caught.value).startswith(f"{path} is not TOML: ")
    assert says in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_missing_file_and_a_folder_are_errors_of_data(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.toml does not exist; pass the path of a TOML file"):
        settings.toml_file(tmp_path / "none.toml")
    with pytest.raises(DataError, match="cannot be read: "):
        settings.toml_file(tmp_path)


# ---- runs

NUMBERS = st.floats(0.001, 0.999)
TRAINING = {
    "optim": st.fixed_dictionaries(
        {"lr": st.one_of(NUMBERS, st.integers(1, 3))},
        optional={"name": st.sampled_from(["sgd", "adam"]), "betas": st.tuples(NUMBERS, st.just(0))},
    ),
    "schedule": st.fixed_dictionaries(
        {"steps": st.lists(st.tuples(st.integers(0, 200), NUMBERS), max_size=3).map(sorted).map(tuple)},
        optional={"name": st.sampled_from(["constant", "steps"]), "warmup_epochs": st.integers(0, 5)},
    ),
    "augment": st.fixed_dictionaries({}, optional={"crop": st.integers(0, 4), "shift": st.tuples(NUMBERS, st.just(0))}),
}
RUNS = st.fixed_dictionaries(
    {
        "se": st.lists(FIELDS, max_size=2),
        "data": st.fixed_dictionaries({}, optional={"name": st.just("cifar10"), "train_size": st.integers(0, 100)}),
        "recipe": st.fixed_dictionaries({}, optional={**TRAINING, "epochs": st.integers(1, 300), "ema": NUMBERS}),
    },
    optional={"model": st.sampled_from(["resnet20", "a name"]), "seed": st.integers(0, 2**63)},
)
PARTS = {"optim": Optim, "schedule": Schedule, "augment": Augment}


def made(values: dict[str, Any]) -> Run:
    recipe = {name: PARTS[name](**v) if name in PARTS else v for name, v in values["recipe"].items()}
    se = tuple(SESpec(**v) for v in values["se"])
    return Run(**{**values, "se": se, "data": DataSpec(**values["data"]), "recipe": Recipe(**recipe)})


@given(values=RUNS)
def test_a_run_comes_back_from_json_equal_and_with_its_id(values: dict[str, Any]) -> None:
    run = made(values)
    again = decoding.run(json.loads(json.dumps(run.as_dict())))
    assert again == run
    assert again.id == run.id
    assert again.as_dict() == run.as_dict()


@given(values=st.tuples(RUNS, RUNS))
def test_runs_have_equal_ids_exactly_when_they_are_equal(values: tuple[dict[str, Any], dict[str, Any]]) -> None:
    first, second = map(made, values)
    assert (first.id == second.id) == (first == second)


@pytest.mark.parametrize("name", RECIPES)
def test_a_named_recipe_is_the_recipe_of_that_name(name: str) -> None:
    for values in ({"recipe": name}, {"recipe": {"preset": name}}):
        assert decoding.run(values) == Run(recipe=RECIPES[name])
        assert decoding.run(values).id == Run(recipe=RECIPES[name]).id


def test_a_preset_is_a_start_that_other_values_change() -> None:
    run = decoding.run({"recipe": {"preset": "sgd-cosine", "epochs": 2, "optim": {"lr": 0.5}}})
    wanted = asdict(RECIPES["sgd-cosine"])
    wanted["epochs"] = 2
    wanted["optim"]["lr"] = 0.5
    assert asdict(run.recipe) == wanted


def test_a_run_of_nothing_is_the_default_run() -> None:
    assert decoding.run({}) == Run()
    assert decoding.run({"data": "digits", "se": [], "schema": 1}) == decoding.run({"se": "plain"}) == Run()


# ---- designs in words


@pytest.mark.parametrize(
    ("words", "designs"),
    [
        ("plain", ()),
        ([], ()),
        (["plain", "standard"], (SESpec(),)),
        ("standard", (SESpec(),)),
        ("slow_both:reduction=8,bias=false", (SESpec(variant="slow_both", reduction=8, bias=False),)),
        ("standard:reduction=8-2-16", (SESpec(reduction=(8, 2, 16)),)),
        ("standard:stages=1-3", (SESpec(stages=(1, 3)),)),
        ("standard:stages=2", (SESpec(stages=(2,)),)),
        ("bump:", (SESpec(variant="bump"),)),
        ("standard+standard:slot=pre", (SESpec(), SESpec(slot="pre"))),
        (["standard", {"slot": "pre"}], (SESpec(), SESpec(slot="pre"))),
        ([["standard", "bump:slot=pre"]], (SESpec(), SESpec(variant="bump", slot="pre"))),
        ({"variant": "bump", "gate": "tanh"}, (SESpec(variant="bump", gate="tanh"),)),
        ({}, (SESpec(),)),
        ("standard:squeeze=max,gate=relu", (SESpec(squeeze="max", gate="relu"),)),
        ("eca+gct:slot=pre", (SESpec.kind("eca"), SESpec.kind("gct").but(slot="pre"))),
        ({"squeeze": ["avg", "max"]}, (SESpec.kind("cbam"),)),
    ],
    ids=str,
)
def test_designs_are_written_as_words_tables_or_lists(words: object, designs: tuple[SESpec, ...]) -> None:
    assert decoding.se_designs(words) == designs


@given(values=st.lists(FIELDS, max_size=3))
def test_every_design_can_be_written_as_a_table(values: list[dict[str, Any]]) -> None:
    designs = [SESpec(**v) for v in values]
    assert decoding.se_designs([asdict(design) for design in designs]) == tuple(designs)


# ---- assignments

NAMES = st.text(string.ascii_lowercase + "_", min_size=1, max_size=6)
SCALARS = st.one_of(
    st.integers(-(2**62), 2**62),
    st.booleans(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.lists(st.integers(0, 99), max_size=3),
    st.text(string.ascii_letters + string.digits + " /.-", max_size=8),
)


@given(value=SCALARS)
def test_a_value_written_as_toml_comes_back(value: object) -> None:
    assert settings.value(json.dumps(value)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("1.0", 1.0),
        ("1e-3", 0.001),
        ("true", True),
        ("True", "True"),
        ("[1, 2]", [1, 2]),
        ('["a"]', ["a"]),
        ("sgd", "sgd"),
        ("'sgd'", "sgd"),
        ("kth-paper", "kth-paper"),
        ("runs/a b.pt", "runs/a b.pt"),
        ("", ""),
        ("{ reduction = 8 }", {"reduction": 8}),
        ("8-2-16", "8-2-16"),
    ],
)
def test_a_value_is_what_toml_makes_of_it_or_the_text_itself(text: str, value: object) -> None:
    assert settings.value(text) == value
    assert type(settings.value(text)) is type(value)


@given(
    tables=st.dictionaries(
        NAMES.filter(lambda name: name not in decoding.IN_RECIPE),
        st.dictionaries(NAMES, SCALARS, min_size=1, max_size=3),
        max_size=3,
    )
)
def test_assignments_rebuild_nested_tables(tables: dict[str, dict[str, Any]]) -> None:
    words = [f"{a}.{b}={json.dumps(value)}" for a, inner in tables.items() for b, value in inner.items()]
    assert decoding.assign(words) == tables
    assert decoding.assign(words[::-1]) == tables


def test_the_last_of_two_equal_assignments_holds() -> None:
    assert decoding.assign(["recipe.epochs=1", "recipe.batch_size=8", "recipe.epochs=2"]) == {
        "recipe": {"epochs": 2, "batch_size": 8}
    }


@pytest.mark.parametrize("word", ["", "epochs", "=3", ".lr=1", "optim.=1", "optim..lr=1", "--epochs 3"])
def test_a_word_that_is_no_assignment_is_refused(word: str) -> None:
    with pytest.raises(UsageError) as caught:
        decoding.assign(["seed=1", word])
    assert str(caught.value).startswith(f"{word!r} is not an assignment; write name=value with dotted names")


def test_a_text_may_hold_an_equals_sign() -> None:
    assert decoding.assign(["model=a=b"]) == {"model": "a=b"}


# ---- merging

TREES = st.recursive(SCALARS, lambda inner: st.dictionaries(NAMES, inner, max_size=3), max_leaves=8)
TABLES = st.dictionaries(NAMES, TREES, max_size=3)


@given(base=TABLES, changes=TABLES)
def test_merging_keeps_what_is_not_changed_and_takes_what_is(base: dict[str, Any], changes: dict[str, Any]) -> None:
    before = json.dumps([base, changes])
    merged = settings.merge(base, changes)
    assert json.dumps([base, changes]) == before
    assert merged.keys() == base.keys() | changes.keys()
    for key, value in merged.items():
        if isinstance(base.get(key), dict) and isinstance(changes.get(key), dict):
            assert value == settings.merge(base[key], changes[key])
        else:
            assert value == changes.get(key, base.get(key))


@given(base=TABLES, changes=TABLES)
def test_merging_twice_is_merging_once_and_nothing_changes_nothing(
    base: dict[str, Any], changes: dict[str, Any]
) -> None:
    merged = settings.merge(base, changes)
    assert settings.merge(merged, changes) == merged
    assert settings.merge(base, {}) == base == settings.merge({}, base)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_file_of_an_editor_on_windows_is_read(end: str, tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_bytes(f'title = "é"{end}[base]{end}seed = 3{end}'.encode("utf-8-sig"))
    assert settings.toml_file(tmp_path / "x.toml") == {"title": "é", "base": {"seed": 3}}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "latin-1"])
def test_a_file_in_another_encoding_is_told_to_be_saved_as_utf8(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_bytes('title = "é"\n'.encode(encoding))
    with pytest.raises(SpecError, match=r"x\.toml is not TOML: it is not utf-8 .*; save it as UTF-8\."):
        settings.toml_file(tmp_path / "x.toml")
