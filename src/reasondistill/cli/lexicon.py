"""`reasondistill lexicon …`: the words and relations that proofs rest on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reasondistill.cli.shared import group
from reasondistill.cli.terminal import fact, say
from reasondistill.cli.verify import RelationsOption

lexicon_app = group("Look at, and build, the words and relations that proofs rest on.")


@lexicon_app.command("path")
def lexicon_path(
    narrow: Annotated[str, typer.Argument(metavar="NARROW", help="A kind of word and a word: 'noun poodle'.")],
    wide: Annotated[str, typer.Argument(metavar="WIDE", help="Another one: 'noun animal'.")],
    relations: RelationsOption = None,
) -> None:
    """Show why one word implies another, or excludes it: what a proof could rest on."""
    from reasondistill.contracts.lexical_relations import require_predicate
    from reasondistill.verification.lexicon import Lexicon, lexicon_parts

    first, second = (require_predicate(text) for text in (narrow, wide))
    lexicon = Lexicon(*lexicon_parts(relations))
    path, clash = lexicon.path(first, second), lexicon.clash(first, second)
    if path is not None:
        say(" → ".join(path))
    elif clash is not None:
        say(f"{first} and {second} exclude each other: {clash.name or 'antonyms of WordNet'}")
        say(f"{' → '.join(clash.first)}  |  {' → '.join(clash.second)}")
    else:
        say(f"nothing says that {first} implies or excludes {second}")


@lexicon_app.command("build")
def lexicon_build(
    wordnet: Annotated[
        Path, typer.Argument(metavar="WORDNET", help="The folder with WordNet's files, as /usr/share/wordnet.")
    ],
    out: Annotated[Path, typer.Option(help="A new folder for the table and WordNet's licence.")],
) -> None:
    """Build the pruned table of WordNet that comes with the package, from Debian's wordnet-base."""
    from reasondistill.verification.wordnet_files import build_table

    lines = build_table(wordnet, out)
    fact("table", f"{out} ({lines:,} lines)")
