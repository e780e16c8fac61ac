"""The table of commands, and how one command line is run: here or, for a thin client, inside the server."""

from __future__ import annotations

import errno
import importlib
import os
import traceback
from typing import TYPE_CHECKING, Any

import typer

from cookline.cli.overview import Overview
from cookline.cli.session import Session, enter
from cookline.cli.session import session as current_session
from cookline.cli.values import spare_pydantic
from cookline.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, CooklineError, UsageError

if TYPE_CHECKING:
    from types import ModuleType

# Columns of a help text at most; a narrower terminal makes it narrower.
HELP_WIDTH = 120

# command -> (module below cookline.cli, function or, for a group of commands, its typer.Typer; panel in the help)
COMMANDS: dict[str, tuple[str, str, str]] = {
    "init": ("init", "init", "Definitions"),
    "push": ("push", "push", "Definitions"),
    "history": ("history", "history", "Definitions"),
    "diff": ("diff", "diff", "Definitions"),
    "revert": ("history", "revert", "Definitions"),
    "clone": ("clone", "clone", "Definitions"),
    "schema": ("schema", "schema", "Definitions"),
    "explain": ("explain", "explain", "Definitions"),
    "app": ("apps", "app", "Definitions"),
    "plan": ("lifecycle", "plan", "Lifecycle"),
    "setup": ("lifecycle", "setup", "Lifecycle"),
    "configure": ("lifecycle", "configure", "Lifecycle"),
    "deploy": ("lifecycle", "deploy", "Lifecycle"),
    "undeploy": ("lifecycle", "undeploy", "Lifecycle"),
    "rollback": ("lifecycle", "rollback", "Lifecycle"),
    "run": ("lifecycle", "run", "Lifecycle"),
    "undo": ("undo", "undo", "Lifecycle"),
    "install_dependencies": ("stack_commands", "install_dependencies", "Lifecycle"),
    "update_dependencies": ("stack_commands", "update_dependencies", "Lifecycle"),
    "update_cookbooks": ("stack_commands", "update_cookbooks", "Lifecycle"),
    "start": ("lifecycle", "start", "Lifecycle"),
    "stop": ("lifecycle", "stop", "Lifecycle"),
    "shutdown": ("lifecycle", "shutdown", "Lifecycle"),
    "reboot": ("lifecycle", "reboot", "Lifecycle"),
    "terminate": ("terminate", "terminate", "Lifecycle"),
    "status": ("status", "status", "What is going on"),
    "runs": ("runs", "runs", "What is going on"),
    "show": ("runs", "show", "What is going on"),
    "attach": ("unfinished", "attach", "What is going on"),
    "resume": ("unfinished", "resume", "What is going on"),
    "pause": ("rollout", "pause", "What is going on"),
    "abort": ("rollout", "abort", "What is going on"),
    "cancel": ("unfinished", "cancel", "What is going on"),
    "drift": ("drift", "drift", "What is going on"),
    "register": ("register", "register", "Hosts and server"),
    "deregister": ("register", "deregister", "Hosts and server"),
    "facts": ("facts", "facts", "What is going on"),
    "docs": ("docs", "docs", "Definitions"),
    "trust": ("trust", "trust", "Hosts and server"),
    "server": ("server", "server", "Hosts and server"),
    "token": ("token", "token", "Hosts and server"),
    "backup": ("backup", "backup", "Hosts and server"),
    "audit": ("audit", "audit", "Hosts and server"),
    "demo": ("demo", "demo", "Hosts and server"),
    "check": ("check", "check", "Testing locally"),
    "kitchen": ("kitchen", "kitchen", "Testing locally"),
    "watch": ("watch", "watch", "Testing locally"),
}

# typer brings its own copy of click or uses click itself, by version; its public BadParameter leads to the class in use.
ClickError: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


def application(arguments: list[str]) -> Any:
    """The click command for these arguments. Only the module of the command that is meant is imported."""
    word = next((each for each in arguments if not each.startswith("-")), "")
    names = [word] if word in COMMANDS else list(COMMANDS)
    app = typer.Typer(
        cls=Overview,
        context_settings={"max_content_width": HELP_WIDTH},
        add_completion=True,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback(invoke_without_command=True)(_cookline)
    for name in names:
        module, function, panel = COMMANDS[name]
        loaded: ModuleType = importlib.import_module(f"cookline.cli.{module}")
        command = getattr(loaded, function)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name, cls=Overview, rich_help_panel=panel)
        else:
            app.command(name, rich_help_panel=panel)(command)
    spare_pydantic()
    return typer.main.get_command(app)


def parameters(arguments: list[str], session: Session) -> dict[str, Any]:
    """What the command of these arguments would be called with. Raises UsageError for what it would not take."""
    enter(session)
    word = next((each for each in arguments if not each.startswith("-")), "")
    command = application(arguments).commands.get(word)
    if command is None:
        return {}
    try:
        context = command.make_context(word, arguments[arguments.index(word) + 1 :])
    except ClickError as error:
        raise UsageError(error.format_message(), hint=f"cookline {word} --help shows how it is used") from None
    except typer.Exit:
        return {}
    return dict(context.params)


def _cookline(
    version: bool = typer.Option(False, "--version", help="Show the version and exit."),
    no_server: bool = typer.Option(False, "--no-server", help="Work in this process even if a server is running."),
    debug: bool = typer.Option(False, "--debug", help="Show errors of recipes and of cookline with every frame."),
) -> None:
    """The OpsWorks that a team can run itself: stacks, layers and lifecycle events, recipes in Python, runs over SSH.

    Start with `cookline init`, then `cookline push stacks/NAME.yml`, `cookline plan NAME setup`, `cookline setup NAME`.
    """
    if debug:
        from cookline.host.run import origin

        current_session().debug = origin.frames = True
    if version:
        from importlib.metadata import version as installed

        typer.echo(installed("cookline"))
        raise typer.Exit


def run_command(arguments: list[str], session: Session) -> int:
    """Run one command line; every ending is an exit code and, when it is not 0, a sentence on the error stream."""
    enter(session)
    try:
        result = application(arguments).main(args=arguments or ["--help"], prog_name="cookline", standalone_mode=False)
        if result == EXIT_INTERRUPTED:  # what typer makes of Ctrl-C
            raise KeyboardInterrupt
        return result if isinstance(result, int) else EXIT_OK
    except typer.Exit as ending:
        return ending.exit_code
    except ClickError as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            session.say(error.format_message())
            return EXIT_OK
        session.warn(f"cookline: {error.format_message()}")
        _usage_hint(error, session)
        return EXIT_USAGE
    except CooklineError as error:
        session.warn(f"cookline: {error}")
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        session.warn("interrupted")
        return EXIT_INTERRUPTED
    except Exception as error:
        return _unexpected(error, session)
    finally:
        session.close()


def _usage_hint(error: Any, session: Session) -> None:
    context = getattr(error, "ctx", None)
    if context is not None:
        session.warn(f"  {context.command_path} --help shows how it is used")


def _unexpected(error: Exception, session: Session) -> int:
    """A full disk, or a defect of ours: one line for the user, the traceback in a file (COOKLINE_DEBUG=1: on the terminal)."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        place = error.filename or session.directory
        session.warn(f"cookline: the disk of {place} is full\n  make room there: df -h {place}")
        return EXIT_FAILED
    text = "".join(traceback.format_exception(error))
    if os.environ.get("COOKLINE_DEBUG") or session.debug:
        session.warn(text)
        return EXIT_FAILED
    log = session.directory / "debug.log"
    try:
        session.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        log.write_text(text)
        where = f"the traceback is in {log}"
    except OSError as trouble:
        where = f"{log} could not be written ({trouble.strerror}); COOKLINE_DEBUG=1 shows the traceback"
    session.warn(f"cookline: unexpected {type(error).__name__}: {error}\n  {where}")
    return EXIT_FAILED
