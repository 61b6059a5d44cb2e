"""What a student costs: each figure against a second way of getting it, and the way into files and reports."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import tiny
from make import change_json, mistake
from reasondistill.config import Generation
from reasondistill.contracts.records import as_row
from reasondistill.contracts.results import Results
from reasondistill.data.scenes import generate
from reasondistill.errors import CheckpointError, DataError
from reasondistill.evaluation.efficiency import Efficiency, EfficiencySettings, measure
from reasondistill.evaluation.efficiency.child import at_peak
from reasondistill.evaluation.efficiency.energy import Counter, EnergyMeter, Unreadable, find_meter, rapl_counters
from reasondistill.evaluation.efficiency.engine_costs import UnknownCosts, costs_of
from reasondistill.evaluation.efficiency.flops import flops_per_example
from reasondistill.evaluation.efficiency.measuring import folder_bytes
from reasondistill.evaluation.efficiency.memory import CHILD, ask
from reasondistill.evaluation.efficiency.process import peak_resident_bytes, resident_bytes
from reasondistill.evaluation.efficiency.timing import Pass, latency, timed_passes, trial
from reasondistill.evaluation.efficiency.torch_costs import count_flops, count_parameters
from reasondistill.reporting.inputs import load_source
from reasondistill.reporting.sections.efficiency import blocks, compared, efficiency_blocks
from reasondistill.storage.files import read_json, write_json
from reasondistill.students.engines import Generated
from reasondistill.students.engines.pytorch import TorchEngine
from reasondistill.students.student import Student
from reasondistill.tasks.task import NLI, OutputOrder, choice_targets

EXAMPLES = generate(6, seed=4)
LABELS = ("entailment", "neutral", "contradiction")
LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def student(family: str = "t5", order: OutputOrder = "label_first") -> Student:
    checkpoint = tiny.student(family, order)
    checkpoint.model.eval()
    engine = TorchEngine(checkpoint.model, checkpoint.codec)
    return Student(engine, NLI, order, checkpoint.settings.generation, fingerprint="s1")


# --- parameters ---


def by_hand(vocabulary: int, *, gated: bool, tied: bool) -> tuple[int, int]:
    """Embedding and other parameters of tiny.py's T5: width 32, 4 heads of 8, 64 hidden units, 2 layers a side."""
    attention, norm = 4 * 32 * 32, 32
    feed_forward = (3 if gated else 2) * 32 * 64
    encoder = 2 * (attention + norm + feed_forward + norm) + norm
    decoder = 2 * (2 * (attention + norm) + feed_forward + norm) + norm
    positions = 2 * 32 * 4  # 32 relative distances for 4 heads, once a side
    return (1 if tied else 2) * vocabulary * 32 + positions, encoder + decoder


def test_parameters_are_those_counted_by_hand_and_a_tied_head_counts_once() -> None:
    tied, untied = tiny.tied_t5(), tiny.flan_t5()
    # As a stored FLAN-T5 loads: one table for both sides, and a head of its own.
    untied.set_input_embeddings(untied.get_input_embeddings())
    for model, gated, shared in ((tied, False, True), (untied, True, False)):
        embedding, rest = by_hand(model.config.vocab_size, gated=gated, tied=shared)
        found = count_parameters(model)
        assert (found.embedding, found.rest) == (embedding, rest)
        assert found.total == found.trainable == embedding + rest


def test_frozen_parameters_are_not_trainable() -> None:
    model = tiny.tied_t5()
    model.get_input_embeddings().weight.requires_grad_(False)
    found = count_parameters(model)
    assert found.total - found.trainable == model.config.vocab_size * 32


def test_learned_positions_are_embedding() -> None:
    """BART's 128 positions, with an offset of 2, on each side; its head is tied and its bias no parameter."""
    model = tiny.bart()
    assert count_parameters(model).embedding == model.config.vocab_size * 32 + 2 * (128 + 2) * 32


# --- FLOPs ---


def test_a_linear_layer_costs_two_operations_a_weight_and_row() -> None:
    layer = torch.nn.Linear(7, 5)
    done, flops = count_flops(lambda: layer(torch.ones(3, 7)))
    assert flops == 2 * 3 * 7 * 5
    assert done.shape == (3, 5)


@pytest.mark.parametrize("masked", [False, True])
def test_attention_costs_two_matrix_products(masked: bool) -> None:
    """Scores: 2·B·h·m·n·d; weighted values: the same. PyTorch's own counter finds none of it on a CPU."""
    batch, heads, m, n, width = 2, 4, 5, 6, 8
    query, key = torch.randn(batch, heads, m, width), torch.randn(batch, heads, n, width)
    mask = torch.randn(batch, 1, m, n) if masked else None
    with torch.inference_mode():
        _, flops = count_flops(lambda: torch.nn.functional.scaled_dot_product_attention(query, key, key, mask))
    assert flops == 2 * (2 * batch * heads * m * n * width)


def scoring_by_hand(s: int, t: int, wanted: int, vocabulary: int, *, gated: bool) -> int:
    """Encoding a prompt of ``s`` tokens and scoring 3 labels of at most ``t`` tokens, with ``wanted`` logits."""
    projection, rows = 2 * 32 * 32, 3
    feed_forward = (3 if gated else 2) * 2 * 32 * 64
    encoder = 2 * (s * (4 * projection + feed_forward) + 4 * s * s * 32)
    own = rows * t * 4 * projection + 4 * rows * t * t * 32
    cross = rows * (t + s) * 2 * projection + 4 * rows * t * s * 32
    decoder = 2 * (own + cross + rows * t * feed_forward)
    return encoder + decoder + wanted * 2 * 32 * vocabulary


@pytest.mark.parametrize("family", ["t5", "flan-t5"])
def test_flops_of_a_label_are_those_worked_out_by_hand(family: str) -> None:
    one = student(family)
    engine: Any = one.engine
    [example] = EXAMPLES[:1]
    prompt = NLI.render_prompts("label_first", example)["label"]
    s = len(engine.codec.encode_prompts([prompt])[0])
    targets = engine.codec.encode_targets(choice_targets("label_first", LABELS, ""))
    wanted = sum(sum(role == 1 for role in row.roles) for row in targets)
    expected = scoring_by_hand(
        s, max(len(row.ids) for row in targets), wanted, engine.model.config.vocab_size, gated=family == "flan-t5"
    )
    found = flops_per_example(one, costs_of(engine), [example])
    assert found is not None
    assert found.label == expected
    assert found.total == found.label + found.explanation


def test_every_beam_and_step_of_an_explanation_is_counted() -> None:
    one = student()
    costs = costs_of(one.engine)

    def explanation(**changes: Any) -> float:
        generation = one.generation.model_copy(update=changes)
        found = flops_per_example(replace(one, generation=generation), costs, EXAMPLES[:1])
        assert found is not None
        return found.explanation

    short, long = explanation(max_new_tokens=2), explanation(max_new_tokens=8)
    assert short < long
    # Encoding is shared by the beams: three cost more than one, and less than three times as much.
    assert 1 < explanation(max_new_tokens=8, num_beams=3) / long < 3


def test_a_student_that_writes_nothing_has_no_flops_of_explanations() -> None:
    one = student(order="label_only")
    found = flops_per_example(one, costs_of(one.engine), EXAMPLES[:2])
    assert found is not None
    assert found.explanation == 0
    assert found.label > 0


# --- timing ---


def ticking(*seconds: float) -> Any:
    """A clock on which each call takes the next of ``seconds``."""
    times = [0.0]
    for length in seconds:
        times += [times[-1], times[-1] + length]
    return iter(times[1:]).__next__


def test_every_call_of_every_pass_is_timed() -> None:
    called: list[str] = []
    passes = timed_passes(called.append, ["a", "b"], 3, clock=ticking(1, 2, 3, 4, 5, 6))
    assert called == ["a", "b"] * 3
    assert [one.seconds for one in passes] == [(1, 2), (3, 4), (5, 6)]
    assert [one.joules for one in passes] == [None] * 3


def test_percentiles_are_in_milliseconds_over_all_calls() -> None:
    found = latency([Pass((0.001, 0.002)), Pass((0.003, 0.004)), Pass((0.005,))], [Pass((0.002, 0.004))])
    assert [found.p50, found.mean, found.n] == [pytest.approx(3), pytest.approx(3), 5]
    assert found.p90 == pytest.approx(4.6)  # 0.9 of the way from the 1st to the 5th: at 4.6
    assert found.p99 == pytest.approx(4.96)
    assert found.label_only_p50 == pytest.approx(3)


def test_throughput_is_the_median_with_its_spread() -> None:
    found = trial(4, 10, [Pass((5.0,), 40.0), Pass((2.0,), 10.0), Pass((1.0, 1.5), 20.0)])
    assert found.examples_per_second == pytest.approx(4)
    assert list(found.spread) == pytest.approx([2, 5])
    assert found.joules_per_example == pytest.approx(2)


# --- energy ---


def zone(folder: Path, place: str, name: str, energy: int, limit: int = 1_000_000_000) -> Path:
    path = folder / place
    path.mkdir(parents=True)
    for file, content in (("name", name), ("energy_uj", energy), ("max_energy_range_uj", limit)):
        (path / file).write_text(f"{content}\n", encoding="utf-8")
    return path


def test_packages_and_their_memory_are_counted_and_nothing_twice(tmp_path: Path) -> None:
    first = zone(tmp_path, "intel-rapl:0", "package-0", 5_000_000)
    zone(tmp_path, "intel-rapl:0:0", "core", 1)
    memory = zone(tmp_path, "intel-rapl:0:1", "dram", 7_000_000)
    zone(tmp_path, "intel-rapl:1", "package-1", 0)
    zone(tmp_path, "intel-rapl:2", "psys", 0)
    zone(tmp_path, "intel-rapl-mmio:0", "package-0", 0)
    meter = find_meter("cpu", tmp_path)
    assert meter.names == ["package-0", "dram of package-0", "package-1"]
    before = meter.readings()
    (first / "energy_uj").write_text("6500000\n", encoding="utf-8")
    (memory / "energy_uj").write_text("7250000\n", encoding="utf-8")
    assert meter.joules_since(before) == pytest.approx(1.75)


def test_a_counter_that_began_anew_is_understood(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", 0, limit=10_000_000)
    [counter] = rapl_counters(tmp_path)
    assert counter.joules(9_000_000, 1_500_000) == pytest.approx(2.5)


def test_a_machine_without_counters_says_why(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="no RAPL counters in"):
        find_meter("cpu", tmp_path)
    zone(tmp_path, "intel-rapl:0", "psys", 0)
    with pytest.raises(Unreadable, match="of a package"):
        find_meter("cpu", tmp_path)
    # Readable by the system's administrator alone, as on most machines; root, which tests may be, can read anything.
    broken = zone(tmp_path, "intel-rapl:1", "package-0", 0) / "energy_uj"
    broken.unlink()
    broken.mkdir()
    with pytest.raises(Unreadable, match="cannot be read"):
        find_meter("cpu", tmp_path)


def test_an_accelerator_is_found_by_its_uuid_and_counts_in_millijoules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against a stand-in for NVML: whether a real one does as its documentation says is not tested here."""
    readings = iter([0, 1000, 3500])
    nvml = SimpleNamespace(
        NVMLError=type("NVMLError", (Exception,), {}),
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByUUID=lambda uuid: uuid,
        nvmlDeviceGetTotalEnergyConsumption=lambda handle: next(readings) if handle == "GPU-12ab" else None,
    )
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid="12ab"))
    meter = find_meter("cuda:0", tmp_path)
    assert meter.names == ["NVML's of cuda:0"]
    assert meter.joules_since(meter.readings()) == pytest.approx(2.5)

    def absent() -> None:
        raise nvml.NVMLError("no driver")

    nvml.nvmlInit = absent
    with pytest.raises(Unreadable, match=r"no RAPL counters in .*; NVML does not report .*no driver"):
        find_meter("cuda:0", tmp_path)
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with pytest.raises(Unreadable, match="nvidia-ml-py"):
        find_meter("cuda:0", tmp_path)


def test_energy_is_read_around_every_pass() -> None:
    readings = iter([0, 30, 30, 90, 100, 110])
    meter = EnergyMeter([Counter("a counter", readings.__next__, 0.1, wraps_at=1000)])
    passes = timed_passes(lambda item: None, [1, 2], 3, meter)
    assert [one.joules for one in passes] == [pytest.approx(j) for j in (3, 6, 1)]


# --- memory ---


def test_the_systems_figures_are_read_in_bytes(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text("Name:\tpython\nVmHWM:\t  2048 kB\nVmRSS:\t   1024 kB\n", encoding="utf-8")
    assert (resident_bytes(status), peak_resident_bytes(status)) == (1024 * 1024, 2048 * 1024)
    assert resident_bytes(tmp_path / "absent") is None


@LINUX
def test_a_process_does_not_take_over_the_peak_of_the_one_that_started_it() -> None:
    """As ``ru_maxrss`` does: the child's would be at least the 400 MB that this process once had."""
    torch.ones(100_000_000).sum()
    code = "from reasondistill.evaluation.efficiency.process import peak_resident_bytes as peak; print(peak())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 0 < int(done.stdout) < 300_000_000


def request(folder: str | Path, mode: str, rows: int = 3) -> dict[str, Any]:
    return {
        "mode": mode,
        "student": str(folder),
        "examples": [as_row(example) for example in EXAMPLES[:rows]],
        "max_rows": 2,
        "generation": Generation(num_beams=1, repetition_penalty=1.0, max_new_tokens=8).model_dump(mode="json"),
        "device": "cpu",
        "threads": 1,
    }


@LINUX
def test_memory_at_rest_grows_by_the_weights(tmp_path: Path) -> None:
    """In a process of its own: one that has freed much grows less. The weights dwarf all else that loading brings."""
    from transformers import T5ForConditionalGeneration

    config = tiny.tied_t5().config
    config.d_ff = 2**18
    checkpoint = replace(tiny.student(), model=T5ForConditionalGeneration(config))
    checkpoint.save(tmp_path)
    weights = 4 * 4 * 2 * 32 * 2**18  # 4 bytes of each weight in four layers' two matrices: 256 MiB
    found = ask(request(tmp_path, "at_rest"))
    # The system may take back pages that the process had before: under load 32 MiB were seen.
    assert 0.95 * weights < found["rest_bytes"] < 1.25 * weights
    assert found["loaded_bytes"] > found["rest_bytes"]
    assert found["accelerator"] is None


@LINUX
def test_peaks_only_grow() -> None:
    found = at_peak(request("builtin:scenes", "at_peak"))
    now = resident_bytes()
    assert now is not None
    assert 0 < found["peak_bytes"] <= found["peak_at_best_batch_bytes"]
    assert now <= found["peak_at_best_batch_bytes"] * 1.02


@LINUX
def test_peak_memory_is_what_time_says(tmp_path: Path) -> None:
    """GNU time's "Maximum resident set size" of the very same process, within 2%."""
    time = Path("/usr/bin/time")
    if not time.exists():
        pytest.skip("no /usr/bin/time here")
    asked, answered = tmp_path / "request.json", tmp_path / "answer.json"
    write_json(asked, request("builtin:scenes", "at_peak"))
    done = subprocess.run(
        [str(time), "-v", *CHILD, str(asked), str(answered)], capture_output=True, text=True, check=True
    )
    told = re.search(r"Maximum resident set size \(kbytes\): (\d+)", done.stderr)
    if told is None:
        pytest.skip("/usr/bin/time is not GNU's")
    assert read_json(answered)["peak_at_best_batch_bytes"] == pytest.approx(1024 * int(told[1]), rel=0.02)


@pytest.mark.parametrize(
    ("code", "found", "fix"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", r"ended by signal 9 \(SIGKILL\)", "out of memory"),
        ("raise SystemExit('no room')", "status 1: no room", ""),
        ("", "status 0: nothing on its error stream", ""),
    ],
)
def test_a_process_that_dies_is_a_sentence(code: str, found: str, fix: str) -> None:
    with pytest.raises(CheckpointError, match=found) as caught:
        ask(request("some/student", "at_rest"), [sys.executable, "-c", code])
    assert str(caught.value).startswith("some/student: ")
    assert fix in str(caught.value)
    assert bool(caught.value.fix) == bool(fix)


# --- all of it ---


class Scripted:
    """An engine that nothing is known of."""

    def score(self, prompts: Sequence[str], targets: Sequence[Sequence[Any]], of: str = "label") -> list[list[float]]:
        return [[0.0] * len(choices) for choices in targets]

    def generate(self, prompts: Sequence[str], prefixes: Sequence[str], generation: Generation) -> list[Generated]:
        return [Generated("so", False) for _ in prompts]


@pytest.fixture
def without_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starts no processes: `measured` has done that once for all tests."""
    monkeypatch.setattr("reasondistill.evaluation.efficiency.measuring.measure_memory", lambda *_, **__: None)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Efficiency]:
    folder = tmp_path_factory.mktemp("student")
    tiny.student().save(folder)
    stages: list[str] = []
    settings = EfficiencySettings(examples=5, warm_up=1, batch_sizes=(4, 2, 64))
    found = measure(folder, EXAMPLES, settings, progress=stages.append)
    assert [stage.partition(",")[0] for stage in stages] == ["latency", "throughput", "throughput", "FLOPs", "memory"]
    return folder, found


def test_a_student_is_measured_whole(measured: tuple[Path, Efficiency], tmp_path: Path) -> None:
    _, found = measured
    assert found.settings.examples == 5
    assert found.latency_ms.n == 15
    assert 0 < found.latency_ms.p50 <= found.latency_ms.p90 <= found.latency_ms.p95 <= found.latency_ms.p99
    assert found.latency_ms.label_only_p50 is not None
    assert [one.max_rows for one in found.throughput.tried] == [1, 2, 4]
    assert found.throughput.examples_per_second == max(one.examples_per_second for one in found.throughput.tried)
    for one in found.throughput.tried:
        assert 0 < one.spread[0] <= one.examples_per_second <= one.spread[1]
    assert found.parameters == count_parameters(tiny.tied_t5())
    assert found.flops_per_example is not None
    assert found.flops_per_example.examples == 5
    assert found.measured.precision == "float32"
    assert (found.measured.device, found.hardware.threads) == ("cpu", torch.get_num_threads())
    for name in found.not_measured:
        assert found.model_dump()[name.partition(".")[0]] is None, "a reason stands beside a figure"
    found.save(tmp_path / "e.json")
    assert Efficiency.load(tmp_path / "e.json") == found


def test_sizes_on_disk_are_those_of_the_files(measured: tuple[Path, Efficiency]) -> None:
    folder, found = measured
    assert found.checkpoint_bytes == sum(path.stat().st_size for path in folder.iterdir())
    assert found.weights_bytes == (folder / "model.safetensors").stat().st_size


def test_sizes_hold_files_in_folders_too(tmp_path: Path) -> None:
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "model.bin").write_bytes(b"12345")
    (tmp_path / "config.json").write_bytes(b"{}")
    assert folder_bytes(tmp_path) == (7, 5)


def test_an_engine_that_is_not_known_is_timed_all_the_same(without_memory: None) -> None:
    one = Student(Scripted(), NLI, "label_first", Generation(num_beams=1), fingerprint="s1")
    assert isinstance(costs_of(one.engine), UnknownCosts)
    found = measure("builtin:scenes", EXAMPLES, EfficiencySettings(examples=2, warm_up=1, batch_sizes=(2,)), loaded=one)
    assert found.measured.engine == "Scripted"
    assert found.parameters is None
    assert found.flops_per_example is None
    assert [trial.max_rows for trial in found.throughput.tried] == [1]
    assert {"parameters", "flops_per_example", "throughput.tried"} <= set(found.not_measured)


def test_without_examples_nothing_is_measured() -> None:
    with pytest.raises(DataError, match="expected examples to answer, found none"):
        measure("builtin:scenes", [])


def test_a_file_of_another_version_is_refused(measured: tuple[Path, Efficiency], tmp_path: Path) -> None:
    measured[1].save(tmp_path / "e.json")
    value = read_json(tmp_path / "e.json")
    write_json(tmp_path / "e.json", value | {"schema_version": 2})
    with pytest.raises(DataError, match="schema version 1"):
        Efficiency.load(tmp_path / "e.json")
    write_json(tmp_path / "e.json", value | {"latency": 3})
    with pytest.raises(DataError, match="latency"):
        Efficiency.load(tmp_path / "e.json")


# --- files and reports ---


def with_gaps(found: Efficiency) -> Efficiency:
    """The same student on a machine that told as little as possible."""
    gone = {"parameters": None, "memory": None, "flops_per_example": None, "load_average": None}
    return found.model_copy(update={**gone, "not_measured": {"memory": "no /proc"}})


def results_with(found: Efficiency | None, folder: Path) -> Path:
    dataset = {"name": "captions", "split": "test", "fingerprint": "f" * 16, "n": 6}
    efficiency = {} if found is None else found.model_dump(mode="json")
    metrics = {"label_accuracy": {"value": 0.75, "n": 6}}
    results = {"dataset": dataset, "settings": {}, "metrics": metrics, "efficiency": efficiency}
    Results.model_validate(results).save(folder / "results.json")
    return folder


def words(shown: Sequence[Any]) -> str:
    return json.dumps([str(block) for block in shown], ensure_ascii=False)


def test_the_report_names_every_figure_its_unit_and_the_machine(measured: tuple[Path, Efficiency]) -> None:
    found = measured[1].model_copy(update={"load_average": 7.04, "energy_joules_per_example": 0.5})
    text = words(blocks(found))
    assert found.parameters is not None
    for wanted in (f"{found.parameters.total:,}", "KiB", " ms", " examples/s", "GFLOPs", " J", found.hardware.cpu):
        assert wanted in text, wanted
    assert "a load average of 7.0" in text
    assert "busy" not in words(blocks(found.model_copy(update={"load_average": 0.1})))


def test_the_report_says_what_was_not_measured(measured: tuple[Path, Efficiency]) -> None:
    text = words(blocks(with_gaps(measured[1])))
    assert "no /proc" in text
    assert "Peak memory" not in text
    assert "GFLOPs" not in text


def test_results_carry_it_into_both_reports(measured: tuple[Path, Efficiency], tmp_path: Path) -> None:
    from reasondistill.reporting import build_report

    files = build_report([results_with(measured[1], tmp_path)], tmp_path)
    for path in (files.markdown, files.html):
        text = path.read_text(encoding="utf-8")
        assert "Efficiency" in text
        assert "Throughput by batch size" in text


def test_results_without_it_or_with_another_form_of_it(tmp_path: Path) -> None:
    source = load_source(results_with(None, tmp_path))
    assert source.main is not None
    assert efficiency_blocks(source.main.results) == []
    assert compared([source]) is None
    change_json(tmp_path / "results.json", lambda results: results.update(efficiency={"latency": 3}))
    mistake(lambda: load_source(tmp_path), "results.json", "efficiency.latency_ms")


def test_systems_are_compared_and_unlike_machines_are_named(measured: tuple[Path, Efficiency], tmp_path: Path) -> None:
    found = measured[1]
    elsewhere = found.model_copy(update={"hardware": found.hardware.model_copy(update={"threads": 99})})
    cases = {"a": found, "b": with_gaps(found), "c": elsewhere, "d": None}
    a, b, c, d = (load_source(results_with(case, tmp_path / name)) for name, case in cases.items())
    alike, unlike = compared([a, b, d]), compared([a, c])
    assert alike is not None
    assert unlike is not None
    assert [row[0].text for row in alike.rows] == ["a", "b"]
    assert "cannot be compared" not in alike.note
    assert "cannot be compared" in unlike.note


def test_the_command_measures_prints_and_writes(
    without_memory: None,
    measured: tuple[Path, Efficiency],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from reasondistill.cli import main

    out = tmp_path / "e.json"
    arguments = ["efficiency", str(measured[0]), "scenes:60", "--out", str(out), "--limit", "3"]
    monkeypatch.setattr(sys, "argv", ["reasondistill", *arguments, "--num-beams", "2", "--batch-size", "2"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    printed = capsys.readouterr().out
    assert "Throughput by batch size" in printed
    assert "memory  the system does not report" in printed
    assert "Processor  " in printed
    found = Efficiency.load(out)
    assert found.dataset is not None
    assert (found.dataset.name, found.dataset.n, found.settings.examples) == ("scenes:60@0", 3, 3)
    assert found.measured.num_beams == 2
    assert [one.max_rows for one in found.throughput.tried] == [1, 2]


def test_the_command_writes_over_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from reasondistill.cli import main

    out = tmp_path / "e.json"
    out.write_text("not to be lost", encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["reasondistill", "efficiency", "builtin:scenes", "scenes:6", "--out", str(out)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert f"{out}: expected a new file, found a file" in capsys.readouterr().err
    assert out.read_text(encoding="utf-8") == "not to be lost"
