"""Children get a clean room: what reaches agents, setup commands, gates and git of `make up`'s environment."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from core.environment import clean_environment
from daemons import terminal
from daemons.models import Process
from daemons.services import processes
from flower.env import BASE_DIR
from tests.system.running import until
from worktrees.git.command import run

OURS = {
    "FLOWER_HOME": "/srv/flower",
    "FLOWER_SECRET_KEY": "x" * 40,
    "FLOWER_LLM_API_KEY": "sk-flower",
    "DATABASE_URL": "mysql://root@db/flower",
    "DATABASE_URL_FILE": "/run/secrets/db",
    "REDIS_URL": "redis://q",
    "MEILI_KEY": "m",
    "MYSQL_PWD": "p",
    "SECRET_KEY": "s",
    "MAKEFLAGS": "w -- ARGS=-x PYTHON=python3.12 DEEP:=one\\ two",
    "MAKEOVERRIDES": "${-*-command-variables-*-}",
    "MAKELEVEL": "1",
    "MFLAGS": "-w",
    "PYTHON": "python3.12",
    "ARGS": "-x",
    "DEEP": "one two",
    "GIT_DIR": "/elsewhere/.git",
    "GIT_WORK_TREE": "/elsewhere",
    "GIT_INDEX_FILE": "/elsewhere/index",
    "GIT_CONFIG_PARAMETERS": "'core.editor'='evil'",
    "GIT_SSH_COMMAND": "evil",
}
KEPT = {"HOME": "/home/ada", "PATH": "/usr/bin", "LANG": "C", "PYTHON_VERSION": "3", "GIT_AUTHOR_NAME": "Ada"}


def test_nothing_of_ours_of_make_or_of_another_repository_reaches_a_child():
    assert clean_environment(source={**OURS, **KEPT}) == KEPT


def test_keys_of_model_providers_reach_agents_only():
    keys = {
        "ANTHROPIC_API_KEY": "a",
        "ANTHROPIC_AUTH_TOKEN": "b",
        "OPENAI_API_KEY": "c",
        "CLAUDE_CODE_OAUTH_TOKEN": "d",
    }
    assert clean_environment(source=keys) == {}
    assert clean_environment(source=keys, model_keys=True) == keys
    assert clean_environment(source=OURS, model_keys=True) == {}


@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
def test_a_gate_below_make_up_sees_the_projects_own_variables(tmp_path: Path):
    """As a person types it: GIT_DIR=… make up PYTHON=… ARGS=…, and a gate `make test` with variables of those names."""
    project, above = tmp_path / "project", tmp_path / "above"
    project.mkdir()
    above.mkdir()
    (project / "Makefile").write_text(
        "PYTHON = project-python\nARGS ?= own-args\ntest:\n\t@echo $(PYTHON) $(ARGS) [$(MAKELEVEL)] [$$GIT_DIR]\n"
    )
    (above / "up.py").write_text(
        "import json, subprocess\nfrom core.environment import clean_environment\n"
        f"print(subprocess.run(['make', 'test'], cwd={str(project)!r}, env=clean_environment(),"
        " capture_output=True, text=True).stdout)\n"
    )
    (above / "Makefile").write_text(f"PYTHON ?= python3\nup:\n\t@PYTHONPATH={BASE_DIR} {sys.executable} up.py\n")
    typed = ["make", "--no-print-directory", "up", "PYTHON=python3.12", "ARGS=-x"]
    environment = {**os.environ, "GIT_DIR": "/elsewhere/.git"}
    done = subprocess.run(typed, cwd=above, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "project-python own-args [0] []"


@pytest.mark.parametrize(("purpose", "key"), [("gate", None), ("setup", None), ("agent", "k")])
def test_what_a_holder_starts_has_the_clean_environment(db, settings, tmp_path, monkeypatch, purpose, key):
    settings.FLOWER = dataclasses.replace(settings.FLOWER, home=tmp_path)
    for name, value in {**OURS, "OPENAI_API_KEY": "k"}.items():
        monkeypatch.setenv(name, value)
    process = processes.create(purpose, command="look", cwd=tmp_path)
    code = "import json, os; json.dump(dict(os.environ), open('seen', 'w'))"
    processes.launch(process, [sys.executable, "-c", code], env={"FLOWER_BRIEF": "7"})
    until(lambda: terminal.facts(process.run_dir).phase == "exited", "it has looked")
    seen = json.loads((tmp_path / "seen").read_text())
    assert not set(OURS) & set(seen)
    assert (seen["FLOWER_BRIEF"], seen.get("OPENAI_API_KEY")) == ("7", key)
    assert process.purpose in Process.Purpose.values


def test_flowers_git_has_the_clean_environment(tmp_path, monkeypatch):
    for name, value in {**OURS, "OPENAI_API_KEY": "k"}.items():
        monkeypatch.setenv(name, value)
    shown = run(["-c", "alias.look=!env", "look"], cwd=tmp_path, look_above=True).text
    seen = {line.partition("=")[0] for line in shown.splitlines()}
    assert seen & {*OURS, "OPENAI_API_KEY"} <= {"GIT_CONFIG_PARAMETERS"}  # git's own, of the -c that we give it
    assert "evil" not in shown
