"""The command `chatvault` and its subcommands."""

import sys

import typer

from chatvault.cli import (
    audit,
    bench,
    budget,
    config,
    demo,
    explain,
    fake,
    key,
    logs,
    models,
    project,
    serve,
    token,
    usage,
    user,
    version,
    windows,
)
from chatvault.core.errors import ChatVaultError

app = typer.Typer(
    name="chatvault",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="""An LLM gateway: one endpoint in front of every model, and a record of every call that cannot be lost.

    \b
    Begin with:
      chatvault demo               see all of it at work in half a minute
      chatvault serve              run it
      chatvault logs --follow      watch the calls as they end

    Commands that ask a running gateway find it by its data folder (--data-dir, CHATVAULT_DATA, ./data) and need no
    token. Exit status: 0 done, 1 something was found wrong, 2 it could not be done; the message says why.
    """,
)
app.command("serve", short_help="Run the gateway.")(serve.serve)
app.command("demo", short_help="See all of it at work, checked, in half a minute.")(demo.demo)
app.command("usage", short_help="Show what was used, and what it cost.")(usage.usage)
app.command("logs", short_help="Show the calls, as they end.")(logs.logs)
app.command("explain", short_help="Tell what happened to a call, and why.")(explain.explain)
app.add_typer(token.app, name="token", short_help="Make, change, rotate and revoke tokens.")
app.add_typer(project.app, name="project", short_help="Make projects, switch them off and on.")
app.add_typer(user.app, name="user", short_help="Make users of a project.")
app.add_typer(budget.app, name="budget", short_help="Say what may be spent, and see what is left.")
app.command("limits", short_help="Show how full the windows of limits are.")(windows.limits)
app.add_typer(key.app, name="key", short_help="Keep keys of providers in the vault, sealed.")
app.add_typer(audit.app, name="audit", short_help="Prove that the record is what was written.")
app.add_typer(config.app, name="config", short_help="Check and show the configuration.")
app.command("models", short_help="Show the models, what they can do and cost.")(models.models)
app.command("fake", short_help="Run a simulated provider, with faults on demand.")(fake.fake)
app.command("bench", short_help="Measure what the gateway costs on this machine.")(bench.bench)
app.command("version", short_help="Print the version.")(version.version)


def main() -> None:
    """Run the command. What went wrong is said in one message; exit status 2 then, 1 for what a command
    found wrong."""
    try:
        app()
    except ChatVaultError as error:
        sys.stderr.write(f"chatvault: {error.message}\n")
        sys.exit(2)
