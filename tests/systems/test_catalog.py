import subprocess
import sys
from dataclasses import replace

import pytest

from tests.small_runs import DATA
from vreloc_pyg.errors import SettingsError
from vreloc_pyg.evaluation.published import published_numbers
from vreloc_pyg.systems.catalog import (
    SYSTEMS,
    choose_systems,
    every_system,
    find_learned,
    find_system,
    fitted_rules,
)
from vreloc_pyg.systems.protocol import KINS
from vreloc_pyg.systems.spec import Control, LearnedSystem, Rule, System

RULES = [system for system in every_system() if isinstance(system, Rule)]


def test_every_name_is_that_of_its_spec_and_of_a_command_line():
    assert [system.name for system in every_system()] == list(SYSTEMS)
    for name in SYSTEMS:
        assert name == name.lower()
        assert name.replace("-", "").isalnum()


def test_rows_are_distinct_and_kins_known():
    systems = every_system()
    assert len({system.row for system in systems}) == len(systems)
    assert {system.kin for system in systems} == set(KINS)
    assert not set(SYSTEMS) & {"all", *KINS}


def test_learned_systems_have_a_source_and_controls_a_system():
    for system in every_system():
        assert system.source or not isinstance(system, LearnedSystem), system.name
        if isinstance(system, Control):
            kin = find_system(system.of).kin
            assert (system.kin, kin) in {("control", "own"), ("audit", "rule")}, system.name


def test_published_rows_are_those_of_a_published_table():
    known = set(published_numbers()["system"])
    assert {system.published for system in every_system()} - {None} <= known


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_fitted_rule_is_the_row_of_its_spec(rule):
    fitted = rule.fit(DATA)
    assert (fitted.name, fitted.kin) == (rule.row, rule.kin)
    assert (rule.row in [beside.name for beside in fitted_rules(DATA)]) == rule.beside


@pytest.mark.parametrize("find", [find_system, find_learned, lambda name: choose_systems([name])])
def test_an_unknown_system_lists_those_there_are(find):
    with pytest.raises(SettingsError, match=rf"^Unknown system 'cgmb'; known are {', '.join(SYSTEMS)}$"):
        find("cgmb")


def test_a_rule_cannot_be_trained():
    with pytest.raises(SettingsError, match=r"^The system 'chance' is not trained; .*cgbm.* mgffnet"):
        find_learned("chance")


def test_an_unknown_kin_lists_those_there_are():
    with pytest.raises(SettingsError, match=rf"^Unknown kin 'friend' of 'one'; known are {', '.join(KINS)}$"):
        System(name="one", row="one", kin="friend")
    with pytest.raises(SettingsError, match="Unknown kin 'friend'"):
        replace(find_learned("cgbm"), kin="friend")


def test_a_spec_may_stand_in_the_catalog_itself(monkeypatch):
    mine = replace(find_learned("sst"), name="mine", row="mine")
    monkeypatch.setitem(SYSTEMS, "mine", mine)
    assert find_learned("mine") is mine
    assert choose_systems(["rival"])[-1] == "mine"


def test_names_are_known_without_torch():
    program = "import sys; from vreloc_pyg.systems.catalog import SYSTEMS; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
