import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from ser.cli.main import COMMANDS, PIPE_CLOSED, main

ROOT = Path(__file__).parents[1]
DOCS = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")


def python(code, **environment):
    variables = os.environ | {"PYTHONPATH": str(ROOT)} | environment
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=variables)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples_and_is_in_the_docs(command):
    result = CliRunner().invoke(main, [command, "--help"])
    assert result.exit_code == 0 and "Examples:" in result.output and f"ser {command}" in result.output
    assert f"ser {command}" in DOCS


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_in_the_docs(command):
    context = main.make_context("ser", [command])
    options = [name for param in main.get_command(context, command).params for name in param.opts if name.startswith("--")]
    missing = [name for name in options if f"`{name}" not in DOCS]
    assert not missing


def test_help_lists_all_commands_and_says_what_they_do():
    out = CliRunner().invoke(main, ["-h"]).output
    assert all(f"\n  {command}  " in out for command in COMMANDS)
    assert "Exit codes" in out


def test_unknown_command_is_2():
    result = CliRunner().invoke(main, ["predicct"])
    assert result.exit_code == 2 and "No such command 'predicct'" in result.output


def test_version():
    assert CliRunner().invoke(main, ["--version"]).output.strip().split()[-1][0].isdigit()


def test_help_and_start_import_nothing_that_takes_time():
    slow = "{'numpy', 'scipy', 'onnxruntime', 'soundfile', 'yaml', 'rich', 'pandas', 'fastapi', 'streamlit', 'uvicorn'}"
    code = (
        f"import sys; from ser.cli.main import main\ntry: main(['--help'])\nexcept SystemExit: print({slow} & set(sys.modules))"
    )
    assert python(code).stdout.strip().splitlines()[-1] == "set()"
    code = "import sys; import ser.cli.main; print([m for m in sys.modules if m.startswith('ser.cli.')])"
    assert python(code).stdout.strip() == "['ser.cli.text', 'ser.cli.main']"


def test_a_closed_pipe_is_no_error():
    code = (
        "import click; from ser.cli.main import LazyGroup\n"
        "class Group(LazyGroup):\n"
        "    def get_command(self, ctx, name): return click.Command('go', callback=go)\n"
        "def go():\n"
        "    for n in range(100000): click.echo(n)\n"
        "Group()(['go'])"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"0\n"
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == PIPE_CLOSED


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script(shell):
    script = python("from ser.cli.main import main; main(prog_name='ser', args=[])", _SER_COMPLETE=f"{shell}_source").stdout
    assert f"_SER_COMPLETE={shell}_complete" in script
    assert f"_SER_COMPLETE={shell}_source ser" in DOCS


def test_models_and_commands_are_completed(tmp_path):
    for name in ("cnn", "hybrid"):
        (tmp_path / "models" / name).mkdir(parents=True)
        (tmp_path / "models" / name / "bundle.json").write_text("{}")
    code = "from ser.cli.main import main; main(prog_name='ser')"

    def completed(words, at):
        variables = {"_SER_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(at), "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", code]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=os.environ | variables).stdout.split()

    assert completed("ser pre", 1) == ["plain,predict"]
    assert "plain,hybrid" in completed("ser predict --model hy", 3)
    assert "plain,cnn" not in completed("ser predict --model hy", 3)
