"""The commands of ``ks4``, their options and their help. What they do is in the modules beside this one.

Imports inside the commands are on purpose: a command waits only for what it needs, and none for Dagster.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from ks4_pipeline.cli.failures import reported
from ks4_pipeline.cli.logged import show_warnings
from ks4_pipeline.process import begin, end_at_once


class _Commands(TyperGroup):
    """All commands fail in the same way, whichever it is."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - typer does not export its type
        with reported():
            return super().invoke(ctx)

    def make_context(self, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - nor that of this one
        """Read the options before the command; --version and --help print here."""
        with reported():
            return super().make_context(*arguments, **named)


app = typer.Typer(
    cls=_Commands,
    name="ks4",
    help="Every version of the data sets you follow on explore education statistics, typed and versioned in DuckDB.",
    epilog="Exit codes: 0 all is well; 1 a version could not be loaded, or something is not whole or needs a person; "
    "2 wrong use or configuration; 3 the API could not be reached.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

DataSets = Annotated[
    list[str] | None, typer.Option("--data-set", metavar="NAME", help="Only this data set; may be given again.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]


def main() -> None:
    """Run the command line of this process, and end it."""
    begin()
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure:  # what a terminal cannot show is no reason to fail; files and pipes are UTF-8 everywhere
            reconfigure(errors="backslashreplace", encoding=None if stream.isatty() else "utf-8")
    show_warnings()
    try:
        app(prog_name="ks4")
    except SystemExit as end:
        if isinstance(end.code, int):
            end_at_once(end.code)
        raise


def _print_version(wanted: bool) -> None:
    if wanted:
        from ks4_pipeline import __version__

        typer.echo(f"ks4_pipeline {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Options before the command."""
    del version  # its callback has done the work


@app.command()
def run(
    data_set: DataSets = None,
    version: Annotated[
        list[str] | None, typer.Option(metavar="V", help="Only this version, such as 1.0.1; may be given again.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Load every published version that is not in the warehouse yet."""
    from ks4_pipeline.cli import loading

    raise typer.Exit(loading.run(data_set or [], version or [], as_json=as_json))


@app.command()
def status(as_json: Json = False) -> None:
    """Say what is loaded, what was refused and why. Needs no network."""
    from ks4_pipeline.cli import standing

    standing.status(as_json=as_json)


@app.command()
def versions(data_set: DataSets = None, as_json: Json = False) -> None:
    """List every version with the publisher's notes. Needs no network."""
    from ks4_pipeline.cli import standing

    standing.versions(data_set or [], as_json=as_json)


@app.command()
def diff(
    old: Annotated[str, typer.Argument(metavar="A", help="A version such as 1.0, or a channel such as v1.")],
    new: Annotated[str, typer.Argument(metavar="B", help="The version to compare it with.")],
    data_set: Annotated[str | None, typer.Option(metavar="NAME", help="Needed when there are several.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: summary and all rows.")] = False,
    parquet: Annotated[Path | None, typer.Option(metavar="PATH", help="Write all rows to a Parquet file.")] = None,
    rows: Annotated[int, typer.Option(min=0, help="Show at most so many rows; 0 for all.")] = 20,
) -> None:
    """Say what differs between any two loaded versions: a summary, then cell by cell."""
    from ks4_pipeline.cli import difference

    difference.diff(data_set, old, new, as_json=as_json, parquet=parquet, rows=rows)


@app.command()
def sql(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="DuckDB SQL, or - to read it from standard input.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print an array of objects.")] = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print CSV; texts that a spreadsheet would run get a '.")
    ] = False,
    seconds: Annotated[float, typer.Option(min=0.001, help="Give up after so many seconds.")] = 60.0,
    rows: Annotated[int, typer.Option(min=0, help="Show at most so many rows in a table; 0 for all.")] = 100,
) -> None:
    """Ask the warehouse. It is opened read-only, and a query can reach nothing else."""
    from ks4_pipeline.cli import query as asking

    asking.sql(query, as_json=as_json, as_csv=as_csv, seconds=seconds, rows=rows)


@app.command()
def add(
    data_set_id: Annotated[str, typer.Argument(metavar="UUID", help="The id on the data set's page.")],
    name: Annotated[str, typer.Option(metavar="NAME", help="Short name: schema, folder and partition names use it.")],
) -> None:
    """Follow another data set: look it up and write it into the configuration file."""
    from ks4_pipeline.cli import following

    following.add(data_set_id, name)


@app.command()
def export(
    data_set: Annotated[str | None, typer.Option(metavar="NAME", help="Needed when there are several.")] = None,
    version: Annotated[str, typer.Option(metavar="V", help="A version such as 1.0.1, or a channel such as v1.")] = (
        "latest"
    ),
    parquet: Annotated[str | None, typer.Option(metavar="PATH", help="Write Parquet: figures and flags.")] = None,
    csv: Annotated[str | None, typer.Option(metavar="PATH", help="Write CSV; - for standard output.")] = None,
    as_published: Annotated[
        bool, typer.Option("--as-published", help="CSV: the publisher's columns, markers in place of figures.")
    ] = False,
) -> None:
    """Write one version or channel to a file."""
    from ks4_pipeline.cli import export as exporting

    exporting.export(data_set, version, parquet=parquet, csv=csv, as_published=as_published)


@app.command()
def dictionary(
    data_set: Annotated[str | None, typer.Option(metavar="NAME", help="Needed when there are several.")] = None,
    version: Annotated[
        str, typer.Option(metavar="V", help="The version or channel to describe in depth, with counts of cells.")
    ] = "latest",
    form: Annotated[
        Literal["markdown", "html", "frictionless"] | None,
        typer.Option("--format", help="Left out: as the file's name says, .html or .json; else markdown."),
    ] = None,
    output: Annotated[str, typer.Option(metavar="PATH", help="Where to write it; - for standard output.")] = "-",
) -> None:
    """Say what every table and column is: labels, units, options, markers, and how to join them."""
    from ks4_pipeline.cli import dictionary as describing

    describing.dictionary(data_set, version, form=form, output=output)


@app.command()
def report(
    version: Annotated[
        str, typer.Argument(metavar="[V]", help="A version such as 1.0.1, or a channel such as v1.")
    ] = "latest",
    data_set: Annotated[str | None, typer.Option(metavar="NAME", help="Needed when there are several.")] = None,
    output: Annotated[
        str | None, typer.Option(metavar="PATH", help="Where to write it instead; - for standard output.")
    ] = None,
) -> None:
    """Write what changed in a version as one HTML page that people can read, print and send."""
    from ks4_pipeline.cli import reporting

    reporting.report(data_set, version, output=output)


@app.command()
def accept(
    version: Annotated[str | None, typer.Argument(metavar="[V]", help="The version; left out, what waits.")] = None,
    data_set: Annotated[str | None, typer.Option(metavar="NAME", help="Needed when there are several.")] = None,
) -> None:
    """Accept other bytes that the publisher serves under a known version number."""
    from ks4_pipeline.cli import accepting

    accepting.accept(data_set, version)


@app.command()
def reconcile(
    data_set: DataSets = None,
    version: Annotated[
        list[str] | None, typer.Option(metavar="V", help="Only this version, such as 1.0.1; may be given again.")
    ] = None,
    sample: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Compare only N rows, the same ones every time.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare loaded versions cell by cell with the publisher's second route, /query."""
    from ks4_pipeline.cli import reconciling

    raise typer.Exit(reconciling.reconcile(data_set or [], version or [], sample=sample, as_json=as_json))


@app.command()
def verify(
    data_set: DataSets = None,
    version: Annotated[
        list[str] | None, typer.Option(metavar="V", help="Only this version, such as 1.0.1; may be given again.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare everything here with what landed, to the last cell. Needs no network and changes nothing."""
    from ks4_pipeline.cli import verifying

    raise typer.Exit(verifying.verify(data_set or [], version or [], as_json=as_json))


@app.command()
def rebuild(as_json: Json = False) -> None:
    """Make the warehouse anew from what has landed. Needs no network."""
    from ks4_pipeline.cli import loading

    raise typer.Exit(loading.rebuild(as_json=as_json))


@app.command()
def doctor(
    as_json: Json = False,
    offline: Annotated[bool, typer.Option("--offline", help="Do not ask the publisher.")] = False,
) -> None:
    """Look for what might keep all this from working here, and say what to do. Changes nothing."""
    from ks4_pipeline.cli import consulting

    raise typer.Exit(consulting.doctor(as_json=as_json, offline=offline))


@app.command()
def dev(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the UI.")] = 3000,
    host: Annotated[str, typer.Option(help="Address to serve on; the UI has no password.")] = "127.0.0.1",
) -> None:
    """Run Dagster's UI and daemon on this data directory, until Ctrl-C."""
    from ks4_pipeline.cli import dagster_ui

    raise typer.Exit(dagster_ui.dev(host, port))


@app.command()
def sandbox(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[FOLDER]", help="Data sets to serve; synthetic ones when left out.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 5050,
    held: Annotated[bool, typer.Option("--held", help="Synthetic data: publish 1.0 only, and hold the rest.")] = False,
) -> None:
    """Serve a stand-in for the publisher's API on this machine, until Ctrl-C."""
    from ks4_pipeline.cli import publisher

    publisher.sandbox(folder, port, held=held)


@app.command()
def demo(
    data_dir: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where to work; KS4_DATA_DIR or data/demo when left out.")
    ] = None,
) -> None:
    """Show the whole job on synthetic data. Needs no network and no configuration."""
    from ks4_pipeline.cli.figures_beside import figures_beside

    with figures_beside() as figures:
        from ks4_pipeline.cli import demo as showing

        showing.demo(data_dir, figures)
