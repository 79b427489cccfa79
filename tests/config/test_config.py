"""Every YAML file composes and fills its class; what cannot run is refused in one line before a model is loaded."""

import copy
import functools
import sys
from collections import defaultdict

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

import rpt
from rpt.__main__ import COMMANDS
from rpt.__main__ import main as list_commands
from rpt.config import GROUPS, as_dict, compose, config_folder, run_id, settings, to_config, validate
from rpt.config.choices import choices, default_options
from rpt.config.hydra_app import help_text
from rpt.config.mistakes import explained_mistakes
from rpt.errors import UsageError
from rpt.prompts import REPARAMETERIZATIONS, SoftPrompt, Start
from rpt.prompts.contract import find_options
from rpt.train import main
from rpt.training.sweep.outcomes import Score
from rpt.training.sweep.preflight import check
from tests.conftest import compose_quickly

CHOICES = [f"{group}={name}" for group in GROUPS for name in choices(group)]


def composed(*overrides):
    return copy.deepcopy(_composed(overrides))


@functools.cache
def _composed(overrides):
    return to_config(compose("train", overrides))


@pytest.mark.parametrize("choice", CHOICES)
def test_every_choice_composes_and_binds(choice, tmp_path):
    further = {
        "data=folder": f"data.dir={tmp_path}",
        "task=custom": "task.fields=[text] task.hub_config=rte",
        "method=probe": "backbone=minilm",
    }
    overrides = [choice, *further.get(choice, "").split()]
    config = composed(*overrides)
    assert compose_quickly(*overrides) == config  # so other tests may use either
    check(config)
    group, name = choice.split("=")
    assert getattr(config, group).name == name
    if config.prompt.length:
        import torch

        start = Start(torch.zeros(config.prompt.length, 8), torch.zeros(200, 8))
        SoftPrompt(start, config.prompt.reparameterization, **config.prompt.options)


def test_the_default_is_the_paper_s_setting():
    config = composed()
    assert (config.backbone.hub, config.prompt.length, config.lr) == ("google-t5/t5-base", 10, 0.3)
    assert (config.trainer.batch_size, config.trainer.epochs, config.trainer.weight_decay) == (8, 20, 1e-5)
    assert config.protocol.name == "paper" and config.data.repo == "aps/super_glue"


def test_every_registered_reparameterization_is_a_choice():
    used = {compose_quickly(f"prompt={name}").prompt.reparameterization for name in choices("prompt")}
    assert used == set(REPARAMETERIZATIONS)


@pytest.mark.parametrize("name", REPARAMETERIZATIONS)
def test_options_are_those_of_the_class_with_their_defaults(name):
    """A record that is older than an option gets its default from there."""
    parameters = find_options(name)
    assert default_options(name) == {option: each.default for option, each in parameters.items()}
    for choice in choices("prompt"):
        prompt = compose_quickly(f"prompt={choice}").prompt
        if prompt.reparameterization == name:
            assert list(prompt.options) == list(parameters), choice


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["prompt.length=481"], r"prompt\.length=481 is longer.*480"),
        (["prompt.length=0"], "prompt=none"),
        (["trainer.precision=fp16"], r"fp16 needs a CUDA device.*fp32"),
        (["trainer.precision=fp8"], "fp32, bf16, fp16"),
        (["data.dir=/nowhere"], r"data\.dir=/nowhere does not exist"),
        (["backbone.path=/nowhere"], r"backbone\.path=/nowhere does not exist"),
        (["backbone.hub=null"], "neither"),
        (["data=mini", "data.dir=."], "leave out"),
        (["prompt.init=text"], "init_text"),
        (["prompt.init=saved"], "init_path=None does not exist"),
        (["prompt.init=labels", "task=record"], "open answers"),
        (["prompt.init=magic"], "vocabulary"),
        (["prompt.length=many"], r"prompt\.length=many: Value 'many' .* Integer"),
        (["prompt.bottleneck=0"], "prompt=residual: bottleneck=0 leaves no hidden units"),
        (["prompt.bottleneck=wide"], r"prompt\.bottleneck=wide must be of type int"),
        (["prompt.layers=true"], r"prompt\.layers=True must be of type int"),
        (["prompt.shared=1"], r"prompt\.shared=1 must be of type bool"),
        (["prompt=lstm", "prompt.dropout=none"], r"prompt\.dropout=none must be of type float"),
        (["+prompt.width=3"], r"prompt\.width=3 is no option of prompt=residual; its options: prompt\.bottleneck"),
        (["prompt=vanilla", "+prompt.bottleneck=3"], r"prompt\.bottleneck=3 is no option of prompt=vanilla.*: none"),
        (["prompt.reparameterization=magic"], r"reparameterization=magic is not known; choose one of: .*residual"),
        (["task.name=sst2"], r"task\.name=sst2 is not known; choose one of: boolq"),
        (["protocol.name=mine"], r"protocol\.name=mine is not known; choose one of: paper, superglue"),
        (["backbone=nano_bert", "prompt=none"], r"no head to answer with; choose prompt=vanilla.*backbone=nano"),
        (["backbone=nano_bert", "backbone.head=spans"], r"head=spans needs .*task=wic, task=wsc.*leave it out"),
        (["backbone.head=spans", "task=wic"], r"head=spans needs an encoder"),
        (["backbone.pooling=mean"], r"backbone\.pooling is for encoders"),
        (
            ["task=wic", "backbone=nano_bert", "backbone.pooling=cosine", "backbone.head=spans"],
            r"cosine compares whole texts: leave backbone\.head=spans out",
        ),
        (["task=wsc", "backbone=nano_bert", "backbone.pooling=cosine"], "cosine needs a task with two texts; wsc has"),
        (["backbone=nano_bert", "backbone.pooling=max"], "pooling=max is not known; choose one of: cls, mean, cosine"),
        (["backbone.family=gpt"], r"family=gpt is not known; choose one of: bert, causal, t5; or name the module"),
        (["backbone.stream_scale=0"], "stream_scale=0.0 must be auto, or a positive number from 1e-30 to 1e[+]30"),
        (["backbone.stream_scale=wide"], "stream_scale=wide must be auto, or a positive number"),
        (["trainer.head_lr=0"], "head_lr=0.0 must be a positive"),
        (["lr=0"], "lr=0.0 must be a positive"),
        (["trainer.batch_size=0"], "batch_size=0 must be 1 or more"),
        (["data.shots=0"], "shots=0"),
        (["protocol.held_out=1.5"], "held_out"),
        (["trainer.weight_decay=-1"], "weight_decay"),
        (["seed=-1"], "seed=-1 must not be negative"),
        (["resume=maybe"], "auto, never"),
        (["lr=nan"], "lr=nan must be a positive number"),
        (["lr=1e38"], "lr=1e[+]38 must be a positive number from 1e-30 to 1e[+]30"),
        (["trainer.eps=1e300"], "eps=1e[+]300 must be"),
        (["trainer.eps=1e-60"], "eps=1e-60 must be"),
        (["trainer.clip=inf"], "clip=inf must be"),
        (["trainer.weight_decay=nan"], "weight_decay=nan must not be negative"),
        (["trainer.weight_decay=inf"], "weight_decay=inf must not be negative, and 1e[+]30 at most"),
        (["seed=1000000000000"], "seed=1000000000000 must not be negative, and 2147483647 at most"),
        (["trainer.epochs=1000000000000"], "epochs=1000000000000 must be 1 or more, and 2147483647 at most"),
        (["method=adapter", "method.adapter=100000000"], "method.adapter=100000000 must be 1 or more, and 65536"),
        (["method=bitfit", "method.weights='('"], "method.weights=[(] is no regular expression: missing [)]"),
        (["method=lora", "method.peft.r=1e9"], "method.peft.r=1000000000.0 must be 65536 at most"),
        (["prompt.bottleneck=1000000000"], "prompt.bottleneck=1000000000 must be 65536 at most"),
        (["prompt=lstm", "prompt.dropout=nan"], "prompt.dropout=nan must be"),
        (["results=/dev/null"], "results=/dev/null cannot be used ./dev/null is no folder.; give another"),
        ([f"results={__file__}/runs"], "test_config.py/runs cannot be used .Not a directory"),
        (["results=/proc/rpt"], "results=/proc/rpt cannot be used"),
        ([f"results={'x' * 300}"], "results=x+ cannot be used .File name too long"),
        (["tracking=wandb", "tracking.dir=/proc/rpt"], "tracking.dir=/proc/rpt cannot be used"),
        ([f"data.dir={'x' * 300}"], "data.dir=x+ does not exist"),
    ],
)  # fmt: skip
def test_what_cannot_run_is_refused(overrides, message, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(UsageError, match=message):
        check(compose_quickly(*overrides))


def test_a_name_that_would_leave_its_folder_is_refused():
    whole = compose_quickly("data=mini", "backbone=nano")
    for key in ("backbone", "prompt", "method", "task", "protocol", "trainer", "data", "tracking"):
        for name in ("", ".", "..", "a/b", "/etc", "..\\b", "x" * 101, "é", "a b", "a\n"):
            config = copy.deepcopy(whole)
            getattr(config, key).name = name
            with pytest.raises(UsageError, match=rf"{key}\.name=[\s\S]*becomes a part of a path; give up to 100"):
                validate(config)


def test_half_a_character_is_refused():
    config = compose_quickly("data=mini", "backbone=nano", "prompt.init=text", "prompt.init_text=a")
    config.prompt.init_text = "a\udc80"
    with pytest.raises(UsageError, match="prompt.init_text='a.udc80' is not UTF-8 text; type it again"):
        validate(config)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("lrr=0.1", "no key lrr; did you mean lr?"),
        ("prompt.bottelneck=5", "no key prompt.bottelneck; did you mean prompt.bottleneck?"),
        ("task=boolqq", "There is no task=boolqq; choose one of: boolq, cb, copa"),
        ("lr=fast", "lr=fast: Value 'fast' of type 'str' could not be converted to Float"),
        ("prompt.hidden=3", "prompt.hidden is no key of the chosen prompt"),
        ("method=lora prompt.length=3", "method=lora trains no soft prompt; leave out prompt.length=3."),
        ("method=lora ++prompt.length=3", "method=lora trains no soft prompt; leave out ++prompt.length=3."),
        ("prompt.length=481", "prompt.length=481 is longer than backbone nano has room for"),
        ("prompt.length=482", "give prompt.length=480 or less, or backbone.max_tokens=514 or more."),
        ("backbone.max_tokens=20", "32 are reserved for the text; give backbone.max_tokens=42 or more."),
        ("--resolve", "The --resolve flag can only be used in conjunction with --cfg or --help"),
        ("--cfg nothing", "argument --cfg/-c: invalid choice: 'nothing'"),
        ("--bogus", "unrecognized arguments: --bogus; --help shows what there is"),
        ("hydra=1", "Config group override must be a string or a list. Got int. --help lists all keys."),
        ("backbone=null", "Config group override must be a string or a list. Got NoneType"),
        ("hydra.run.dir=/proc/x", "No such file or directory: '/proc/x'"),
        ("--experimental-rerun", "expected one argument"),
        ("--experimental-rerun x.pickle", "--experimental-rerun reads a pickle, which may run any code"),
        ("results=/dev/null", "results=/dev/null cannot be used"),
    ],
)
def test_what_hydra_cannot_compose_ends_in_one_message(monkeypatch, capsys, word, message):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")  # which `main` would set for good
    arguments = ["backbone=nano", "data=mini", "tracking=none"]
    others = [
        argument for argument in arguments if not word.startswith(argument.partition("=")[0])
    ]  # no key may be given twice
    monkeypatch.setattr(sys, "argv", ["train", *others, *word.split()])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert_one_message(capsys.readouterr().err, message)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("results=Ergebnisse ü (1)", "has characters that need quotes; write 'results=\"Ergebnisse ü (1)\"'"),
        ("prompt.init_text=Is it? (yes or no)", "write 'prompt.init_text=\"Is it? (yes or no)\"'"),
        ("results=it's", """write 'results="it'"'"'s"'"""),
        (
            "method.peft={lora_dropout: 0.1}",
            "method.peft takes a new key with a plus, one at a time: +method.peft.KEY=",
        ),
        ("method.peft.lora_dropout=0.1", "with a plus, one at a time: +method.peft.lora_dropout=VALUE."),
        ("~lr", "~lr removes a key that every run has; leave it out, or give a value: lr=…"),
        ("~tracking", "~tracking leaves a run without one; choose one of: none, wandb."),
        ("+nonsense=5", "There is no key nonsense; did you mean"),
        ("++trainer.max_step=1", "There is no key trainer.max_step; did you mean trainer.max_steps?"),
        ("+backbone.load_in_8bit=true", "There is no key backbone.load_in_8bit; did you mean backbone."),
        ("+task.field=[text]", "There is no key task.field; did you mean task.fields?"),
        ("seed=range(2)", "seed=range(2) is a list of values: a sweep; add -m"),
        ("task=glob(c*)", "task=glob(c*) is a list of values: a sweep; add -m"),
        ("lr=", "could not be converted to Float; give a number."),
        ("lr=[0.1]", "could not be converted to Float; give a number."),
        ("seed=1.5", "could not be converted to Integer; give a whole number."),
        ("prompt.length=ten", "could not be converted to Integer; give a whole number."),
        ("trainer.dropout=maybe", "is not a valid bool (type str); give true or false."),
        ("plugins=mine", "give a list: plugins=[mine]."),
        ("task.labels=good", "give a list: task.labels=[good]."),
        ("task.labels=[a,b]", "task.labels is for a task that task.fields=[…] declares, and boolq is none; leave it"),
        ("results=", "results= is empty; give a value, or leave it out."),
        ("task=[cb,rte]", "task=[cb,rte] is no choice; several are a sweep: -m task=cb,rte"),
        ("task=cb,", "task=cb, has nothing beside a comma"),
        ("cb", "cb is not of the form key=value; a list has commas and no spaces: lr=0.1,0.3"),
        ("scale=mini", "scale is for experiments; add -m +experiment=NAME."),
        ("+experiment=table1,table6", "has several; give one at a time: +experiment=NAME."),
        (
            "data.dir=pyproject.toml",
            "data.dir=pyproject.toml is no folder; give a folder in the official",
        ),
    ],
)
def test_a_mistake_is_named_with_its_remedy(monkeypatch, capsys, word, message):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    others = ["backbone=nano", "data=mini"] + ["method=lora"] * word.startswith("method")
    others = others[:1] if word.startswith("data") else others
    monkeypatch.setattr(sys, "argv", ["train", *others, word])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert_one_message(capsys.readouterr().err, message)


def test_free_form_mappings_take_new_keys(monkeypatch):
    assert composed("method=lora", "+method.peft.lora_dropout=0.1").method.peft["lora_dropout"] == 0.1
    assert composed("+prompt.width=3").prompt.options["width"] == 3  # its class may have it
    assert composed("+experiment=figure4", "scale=mini").data.name == "mini"
    assert composed("++trainer.epochs=3", "+hydra.job.env_set.NAME=value").trainer.epochs == 3


def test_help_refuses_a_key_with_a_plus_that_does_not_exist():
    with pytest.raises(UsageError, match="There is no key nonsense"):
        help_text(["+nonsense=5"])


def test_every_kind_of_sweep_is_one(monkeypatch, tmp_path):
    def train(config, is_alone):
        trained.append((config.task.name, config.seed))
        return Score(0.0)

    monkeypatch.setattr("rpt.train.train", train)
    monkeypatch.chdir(tmp_path)
    for arguments in (["task=glob(c*,exclude=custom)", "seed=range(2)"], ["task=cb,copa", "seed=shuffle(choice(0,1))"]):
        trained = []
        monkeypatch.setattr(sys, "argv", ["train", "-m", "backbone=nano", "data=mini", *arguments])
        main()
        assert sorted(trained) == [("cb", 0), ("cb", 1), ("copa", 0), ("copa", 1)]


def test_a_hydra_application_of_the_user_s_own_goes_on():
    with initialize_config_dir(config_folder(), version_base="1.3"):
        outer = GlobalHydra.instance().hydra
        assert compose("train", ["task=cb"]).task.name == "cb"
        assert GlobalHydra.instance().hydra is outer


@pytest.mark.parametrize("value", ["${lr}", "many"])
def test_beside_a_debugger_too(monkeypatch, value):
    """There, OmegaConf makes an error its own cause; following it once exhausted the memory."""
    monkeypatch.setenv("OC_CAUSE", "1")
    with pytest.raises(UsageError, match="could not be converted to Integer"), explained_mistakes():
        to_config(compose("train", ["backbone=nano", f"backbone.max_tokens={value}"]))


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("prompt.length=9999", "prompt.length=9999 is longer"),
        ("data.dir=/nowhere", "data.dir=/nowhere does not exist"),
        ("prompt.layers=3", "layers=3"),
    ],
)
def test_mistakes_on_the_command_line_end_in_one_message(command, word, message):
    done = command("backbone=nano", "data=mini" if "data" not in word else "data=hub", "tracking=none", word)
    assert done.returncode == 2, done
    assert_one_message(done.stderr, message)


def assert_one_message(errors, message):
    assert message in errors and "Traceback" not in errors
    assert errors.startswith("rpt: ") and len(errors.splitlines()) == 1


def test_without_network_or_local_copy_there_is_one_message_and_two_ways_on(command):
    nowhere = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": "empty", "HTTPS_PROXY": "", "HTTP_PROXY": ""}
    done = command("task=boolq", "prompt=residual", timeout=60, **nowhere)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "thrown while requesting" not in done.stderr  # what the hub's clients say while they retry
    assert all(way in done.stderr for way in ("data.dir=", "backbone.path=", "backbone=nano data=mini"))


def test_the_package_lists_its_commands(capsys):
    list_commands()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[2] for line in lines[: len(COMMANDS)]] == [f"rpt.{name}" for name in COMMANDS]
    assert all(len(line.split()) > 4 for line in lines[: len(COMMANDS)]) and rpt.__version__[0].isdigit()


def test_help_names_groups_and_keys(command):
    shown = command("--help").stdout
    for word in ("lr: 0.3", "bottleneck: 250", "python -m rpt.train"):
        assert word in shown
    listed, group = defaultdict(str), ""
    for line in shown.splitlines():
        if line.startswith("  ") and line.split():
            group = group if line.startswith(" " * 10) else line.split()[0]  # a choice may go on in the next line
            listed[group] += line
    for group in GROUPS:
        for name in choices(group):
            assert name in listed[group], name
    assert "+experiment=figure4" in shown and "+experiment" in listed


def test_a_backbone_brings_its_learning_rate_unless_one_is_given():
    assert composed().lr == 0.3
    assert composed("backbone=minilm").lr == composed("backbone=minilm").backbone.lr != 0.3
    assert composed("backbone=minilm", "lr=0.2").lr == 0.2


def test_what_only_encoders_have_is_no_part_of_other_runs():
    """A record that is older than encoders keeps its identity."""

    def identity(*overrides):
        return run_id(compose_quickly(*overrides), "r", "w", "fp32")

    assert identity() == "n10-lr0.3-seed0-0b3d4413"
    for key in ("trainer.head_lr=0.5", "backbone.head=spans"):
        assert identity(key) == identity()
        assert identity("backbone=nano_bert", key) != identity("backbone=nano_bert")
    other_method = ("backbone=nano_bert", "method=finetune")  # whose head learns at lr
    assert identity(*other_method, "trainer.head_lr=0.5") == identity(*other_method)
    pooled, older = (as_dict(compose_quickly("backbone=nano_bert", f"backbone.pooling={by}")) for by in ("mean", "cls"))
    del older["backbone"]["pooling"]
    assert settings(older) == settings(as_dict(compose_quickly("backbone=nano_bert"))) != settings(pooled)
    assert identity("backbone=nano_bert", "backbone.lr=0.01", "lr=0.1") == identity("backbone=nano_bert", "lr=0.1")


def test_the_published_adamw_is_part_of_the_identity_where_it_is_used():
    """A record that is older than the choice of optimizers has torch's, and keeps its identity."""
    default, paper = compose_quickly(), compose_quickly("trainer=paper")
    assert (default.trainer.adamw, paper.trainer.adamw) == ("torch", "transformers")
    assert "adamw" not in settings(as_dict(default))["trainer"]
    assert settings(as_dict(compose_quickly("trainer=paper", "trainer.adamw=torch"))) != settings(as_dict(paper))


def test_a_record_older_than_an_option_has_its_default():
    recorded = as_dict(compose_quickly("prompt=lstm"))
    del recorded["prompt"]["dropout"], recorded["trainer"]["clip"], recorded["method"]
    assert settings(recorded) == settings(as_dict(compose_quickly("prompt=lstm")))
    assert settings(recorded) == settings(as_dict(compose_quickly("prompt=lstm", "prompt.dropout=0.05")))
    assert as_dict(compose_quickly("prompt=lstm", "prompt.dropout=0"))["prompt"]["dropout"].hex() == (0.0).hex()


def test_identity_of_a_run():
    """Equal for runs that compute the same numbers, different for any key that changes them."""

    def identity(*overrides, rows="r"):
        return run_id(compose_quickly(*overrides), rows, "w", "fp32")

    same = identity()
    for key in ("tracking=none", "results=x", "force=true", "resume=never", "trainer.eval_batch_size=2"):
        assert identity(key) == same
    keys = ("lr=0.1", "seed=1", "prompt.length=2", "prompt.bottleneck=7", "trainer.epochs=3", "protocol=superglue")
    assert len({same, identity(rows="other"), *map(identity, keys)}) == len(keys) + 2
