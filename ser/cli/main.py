"""The command `ser`: finds its subcommands when they are asked for, and ends without tracebacks."""

import os
import sys
from importlib import import_module
from typing import Any

import click

from ser.cli.text import printable
from ser.errors import SerError

FAILED, INTERRUPTED, PIPE_CLOSED = 1, 130, 141  # the last two: 128 and the signal's number, as shells have it
COMMANDS = {  # name: module, which holds a command of the same name
    name: f"ser.cli.{name}" for name in ("predict", "timeline", "enroll", "record", "info", "audit", "serve", "app")
}
EPILOG = """\b
Examples:
  ser predict clip.wav                  one clip
  ser predict recordings/ --csv         a folder, as a table for other programs
  ser timeline interview.mp3            how the emotion goes over time
  ser info                              which model this is, and how good

\b
Each command tells more with --help. Completion of commands, options and models:
  eval "$(_SER_COMPLETE=bash_source ser)"     or zsh_source, fish_source

Exit codes: 0 all is well, 1 something could not be done (the message says what),
2 the command line was wrong, 130 interrupted with Ctrl-C."""


class LazyGroup(click.Group):
    """Imports a subcommand's module when it is used, and turns what can go wrong into a sentence and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order in which people meet them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, its module imported now."""
        module = COMMANDS.get(cmd_name)
        return getattr(import_module(module), cmd_name) if module else None

    def invoke(self, ctx: click.Context) -> Any:
        """Run the subcommand; a mistake ends with its sentence, a signal quietly."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result
        except SerError as error:
            click.echo(f"error: {printable(str(error))}", err=True)
            ctx.exit(FAILED)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            _forget_output()
            ctx.exit(PIPE_CLOSED)


def _forget_output() -> None:
    """Let the interpreter flush into nothing at its end; the reader has gone."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)


@click.group(cls=LazyGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="ser", message="%(prog)s %(version)s")
def main() -> None:
    """Speech emotion recognition: which emotion speech expresses, and how sure that is."""
    for stream in (sys.stdout, sys.stderr):  # a terminal that knows no such letter gets its number, not an error
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    main()
