"""Files that earlier versions wrote are read, and say what today's code writes of the same."""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import reasondistill.contracts
from contract_files import DATA
from reasondistill.contracts.audit import Audit
from reasondistill.contracts.base import Versioned
from reasondistill.contracts.comparison import Comparison, Generalisation, Shift
from reasondistill.contracts.efficiency import Efficiency
from reasondistill.contracts.federation import FederationRecord
from reasondistill.contracts.filtering import Filtering
from reasondistill.contracts.predictions_record import PredictionsRecord
from reasondistill.contracts.results import Results
from reasondistill.contracts.run import RunInfo
from reasondistill.contracts.sweep import SweepRecord, SweepSummary, TrialFailure
from reasondistill.contracts.teacher_replies import SentBatches
from reasondistill.contracts.teaching import Teaching
from reasondistill.contracts.update import UpdateRecord
from reasondistill.errors import DataError

CONTRACTS: dict[str, type[Versioned]] = {
    "audit": Audit,
    "batches": SentBatches,
    "comparison": Comparison,
    "efficiency": Efficiency,
    "failed": TrialFailure,
    "federation": FederationRecord,
    "filtering": Filtering,
    "generalisation": Generalisation,
    "predictions": PredictionsRecord,
    "results": Results,
    "run": RunInfo,
    "shift": Shift,
    "summary": SweepSummary,
    "sweep": SweepRecord,
    "teaching": Teaching,
    "update": UpdateRecord,
}
FILES = sorted(DATA.glob("*_version_*.json"))


def every_contract(of: type[Versioned] = Versioned) -> Iterator[type[Versioned]]:
    for contract in of.__subclasses__():
        yield contract
        yield from every_contract(contract)


def contract_of(file: Path) -> type[Versioned]:
    return CONTRACTS[file.stem.rpartition("_version_")[0]]


def holds(whole: object, part: object) -> bool:
    """Whether nothing of ``part`` is lost in ``whole``, where keys that were not set may have been added."""
    if isinstance(whole, dict) and isinstance(part, dict):
        return all(key in whole and holds(whole[key], value) for key, value in part.items())
    if isinstance(whole, list) and isinstance(part, list):
        return len(whole) == len(part) and all(map(holds, whole, part))
    return whole == part


def test_there_is_a_file_of_each_version_of_each_contract() -> None:
    for module in pkgutil.iter_modules(reasondistill.contracts.__path__, "reasondistill.contracts."):
        importlib.import_module(module.name)
    ours = {contract for contract in every_contract() if contract.__module__.startswith("reasondistill.")}
    assert ours == set(CONTRACTS.values()), "name the new contract here, and put a file of it into tests/data"
    for name, contract in CONTRACTS.items():
        versions = sorted({*contract.migrations, contract.current()})
        files = sorted(int(file.stem.rpartition("_")[2]) for file in FILES if contract_of(file) is contract)
        assert files == versions, f"{name}: `python tests/contract_files.py` writes a file of today's version"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_is_read_and_written_again(file: Path, tmp_path: Path) -> None:
    contract, written = contract_of(file), json.loads(file.read_text(encoding="utf-8"))
    value = contract.load(file)
    assert value.schema_version == contract.current()
    value.save(tmp_path / "again.json")
    assert contract.load(tmp_path / "again.json") == value
    again = json.loads((tmp_path / "again.json").read_text(encoding="utf-8"))
    if written.get("schema_version") == contract.current():
        assert holds(again, written)


@pytest.mark.parametrize(
    "name", [name for name, contract in CONTRACTS.items() if name != "audit" and contract.migrations]
)
def test_an_older_file_says_the_same_as_todays(name: str) -> None:
    """Both were written of the same scenes; audits are compared in test_audit.py."""
    files = [file for file in FILES if contract_of(file) is CONTRACTS[name]]
    oldest, newest = (CONTRACTS[name].load(file) for file in (files[0], files[-1]))
    assert oldest == newest
    assert files[0] == files[-1] or files[0].read_bytes() != files[-1].read_bytes()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_without_its_content_is_refused_with_a_sentence(file: Path, tmp_path: Path) -> None:
    """Also where a migration looks for keys that are not there."""
    written = json.loads(file.read_text(encoding="utf-8"))
    version = written.get("schema_version", 0)
    required = any(field.is_required() for field in contract_of(file).model_fields.values())
    empty: list[dict[str, object]] = [{}] if required else []
    for value in [*empty, dict.fromkeys(written)]:
        broken = tmp_path / "broken.json"
        broken.write_text(json.dumps(value | {"schema_version": version}), encoding="utf-8")
        with pytest.raises(DataError, match=r"broken\.json"):
            contract_of(file).load(broken)
