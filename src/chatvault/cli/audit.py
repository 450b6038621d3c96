"""`chatvault audit`: is the record what was written? Works without a running gateway."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from chatvault.cli.place import AsJson, DataDir
from chatvault.cli.place import data_dir as place
from chatvault.core.errors import OperatorError

app = typer.Typer(
    name="audit",
    no_args_is_help=True,
    rich_markup_mode=None,
    help="""Prove that the journal is what was written, offline, with nothing but the data folder.

    Each line holds the digest of the line before it, and the gateway signs the ends of all chains every few seconds.
    Whoever has the signing key (this machine's owner may) can still write a chain anew: what proves the journal against
    them is a head that left the machine. So print one now and then, and keep it elsewhere.
    """,
)


@app.command("verify")
def verify(
    data_dir: DataDir = None,
    key: Annotated[
        str | None,
        typer.Option("--key", metavar="FINGERPRINT", help="Believe this signing key alone (SHA256:...)."),
    ] = None,
    anchor: Annotated[
        Path | None,
        typer.Option(
            "--anchor",
            metavar="FILE",
            help="Signed heads that were kept elsewhere, as `audit head` printed them.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Verify the journal: any edit, removal, change of order or truncation up to the last signed head is found, and
    named by file and line. What came after it is reported as unsigned, a torn last line as torn.

    Exit status: 0 it is whole, 1 it was tampered with, 2 it could not be read.

    \b
    Examples:
      chatvault audit verify
      chatvault audit verify --data-dir /backup/data --anchor heads.jsonl
    """
    import msgspec

    from chatvault.audit.verify import verify as examine

    folder = _journal_of(data_dir)
    report = examine(folder, key, anchor)
    if as_json:
        typer.echo(msgspec.json.encode(report).decode())
    else:
        typer.echo(report.text(), nl=False)
    raise typer.Exit(0 if report.ok else 1)


@app.command("head")
def head(data_dir: DataDir = None) -> None:
    """Print the newest signed statement as one line of JSON: keep it elsewhere, and `verify --anchor` holds the
    journal against it.

    \b
    Examples:
      chatvault audit head >> /mnt/elsewhere/heads.jsonl
      chatvault audit head | mail -s anchor me@example.com
    """
    import msgspec

    from chatvault.audit.signing import head as newest

    folder = _journal_of(data_dir)
    try:
        found = newest(folder)
    except OSError as error:
        raise OperatorError(
            f"{error.filename or folder} cannot be read: {error.strerror or error}.", code="unreadable"
        ) from error
    if found is None:
        sys.stderr.write(
            "Nothing is signed yet: a gateway signs its first head within seconds of its start.\n"
        )
        raise typer.Exit(1)
    typer.echo(msgspec.json.encode(found).decode())


def _journal_of(named: str | None) -> Path:
    folder = place(named)
    if not (folder / "journal").is_dir():
        raise OperatorError(
            f"There is no journal in {folder}. Name the folder that a gateway writes to, or a copy of it, "
            "with --data-dir.",
            code="no_journal",
        )
    return folder
