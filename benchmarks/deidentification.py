"""How many identifiers de-identification leaves readable in clinical notes, and how many other words it takes with them.

    python benchmarks/deidentification.py <folder>/test-1.csv --json figures.json

Puts invented identifiers of the 18 Safe Harbor classes into real notes (MTS-Dialog's column section_text), de-identifies them, and compares
word by word. Phrases and values were written by someone who had not read the recognisers. There are two sets: `first`, by whose misses the
recognisers were then improved, and `held-out`, by other phrases and names, which they may not be fitted to. Sentences without identifiers, the
decoys, show what is taken for nothing. Presidio's pattern recognisers answer the same where presidio-analyzer is installed. The figures hold
for these phrases and notes; other notes say things in other ways.
"""

import argparse
import csv
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from importlib import import_module
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import held_out_forms
import planting
from planting import CLASSES, Document, Plant, Span, faker_words, read_phrases, read_words
from regimen_trainer.deid import Known, deidentify, residual

HERE = Path(__file__).parent
EXAMPLES = 3
TOKEN = re.compile(r"\[[A-Z][^\[\]\n]{0,60}\]|<[A-Z][A-Z_]+>|[^\W\d_]+|\d+|\s+|.", re.DOTALL)
"""A tag, a run of letters, a run of digits, a run of space, or any other character: what can stay or go on its own."""
WORDS = frozenset("ABC")
"""Classes of which any identifying word or number that stays is a miss. Of the others, numbers, this many characters that stay are:"""
READABLE = 4
Cleaner = Callable[[Document], str]


@dataclass
class Tally:
    """What one program left and took. `missed` and `examples` are by class."""

    name: str
    planted: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    own_planted: Counter[str] = field(default_factory=Counter)
    own_missed: Counter[str] = field(default_factory=Counter)
    note_words: int = 0
    false_alarms: int = 0
    carrier_words: int = 0
    carriers_changed: int = 0
    untouched_words: int = 0
    untouched_changed: int = 0
    decoy_words: int = 0
    decoys_changed: int = 0
    documents_with_misses: int = 0
    flagged: int = 0
    flagged_without_miss: int = 0
    seconds: float = 0

    def per_thousand(self, what: int, of: int) -> float:
        return round(1000 * what / max(1, of), 2)

    def figures(self) -> dict[str, object]:
        """All of it, with the rates, for --json."""
        return {name: dict(value) if isinstance(value, Counter) else value for name, value in vars(self).items()} | {
            "missedPercent": round(100 * self.missed.total() / max(1, self.planted.total()), 2),
            "falseAlarmsPerThousandWords": self.per_thousand(self.false_alarms, self.note_words),
            "carrierWordsChangedPerThousand": self.per_thousand(self.carriers_changed, self.carrier_words),
            "untouchedWordsChangedPerThousand": self.per_thousand(self.untouched_changed, self.untouched_words),
            "decoyWordsChangedPerThousand": self.per_thousand(self.decoys_changed, self.decoy_words),
        }


@dataclass(frozen=True)
class Token:
    """A piece of the text before, and whether it stands unchanged in the text after."""

    text: str
    start: int
    kept: bool

    @property
    def is_word(self) -> bool:
        return self.text[0].isalnum()


def compared(before: str, after: str) -> list[Token]:
    """The pieces of `before`, each kept or not in `after`."""
    left, right = ([match.group() for match in TOKEN.finditer(text)] for text in (before, after))
    kept = [False] * len(left)
    for block in SequenceMatcher(None, left, right, autojunk=False).get_matching_blocks():
        kept[block.a : block.a + block.size] = [True] * block.size
    starts = [match.start() for match in TOKEN.finditer(before)]
    return [Token(text, start, stays) for text, start, stays in zip(left, starts, kept, strict=True)]


def words(before: str, after: str) -> list[Token]:
    """The words among the pieces."""
    return [token for token in compared(before, after) if token.is_word]


def inside(tokens: Sequence[Token], spans: Sequence[Span]) -> list[Token]:
    """Tokens that share a character with a span: of 20080304 only the end may identify, but it stays or goes as one."""
    return [token for token in tokens if any(token.start < span.end and span.start < token.start + len(token.text) for span in spans)]


def is_missed(plant: Plant, tokens: Sequence[Token]) -> bool:
    """Whether what identifies is still readable: any word of a name, place or date; four characters of a number."""
    stays = [token.text for token in inside(tokens, plant.core) if token.kept and token.is_word]
    if plant.kind in WORDS:
        # A lone letter is an initial; `and` joins two street names.
        return any(text.isdigit() or (len(text) > 1 and text != "and") for text in stays)
    return sum(map(len, stays)) >= READABLE


def judged(
    name: str,
    planted: Sequence[Document],
    notes: Sequence[str],
    clean: Cleaner,
    untouched: Callable[[str], str],
    decoys: Sequence[str] = (),
) -> Tally:
    """Let a program clean all documents, the notes without anything planted and the decoys, and count."""
    tally, began = Tally(name), time.monotonic()
    baseline, alarms = ([words(text, untouched(text)) for text in texts] for texts in (notes, decoys))
    tally.untouched_words, tally.untouched_changed = _changed(baseline)
    tally.decoy_words, tally.decoys_changed = _changed(alarms)
    for document in planted:
        cleaned = clean(document)
        tokens = compared(document.text, cleaned)
        if _count_misses(document, tokens, tally):
            tally.documents_with_misses += 1
            tally.flagged += bool(residual(cleaned))
        else:
            tally.flagged_without_miss += bool(residual(cleaned))
        _count_words(document, tokens, baseline[document.note], tally)
    tally.seconds = round(time.monotonic() - began, 1)
    return tally


def _changed(texts: Sequence[Sequence[Token]]) -> tuple[int, int]:
    """Words in all, and how many of them were changed."""
    return sum(map(len, texts)), sum(not token.kept for tokens in texts for token in tokens)


def _count_misses(document: Document, tokens: Sequence[Token], tally: Tally) -> int:
    misses = 0
    for plant in document.plants:
        missed = is_missed(plant, tokens)
        misses += missed
        tally.planted[plant.kind] += 1
        tally.missed[plant.kind] += missed
        if plant.own:
            tally.own_planted[plant.kind] += 1
            tally.own_missed[plant.kind] += missed
        examples = tally.examples.setdefault(plant.kind, [])
        if missed:
            examples.append(document.text[plant.whole.start : plant.whole.end])
    return misses


def _count_words(document: Document, tokens: Sequence[Token], baseline: Sequence[Token], tally: Tally) -> None:
    """Words of the note that only changed because of what was planted beside them, and words of the planted sentences themselves."""
    whole, core = [plant.whole for plant in document.plants], [span for plant in document.plants for span in plant.core]
    planted = {token.start for token in inside(tokens, whole)}
    note = [token for token in tokens if token.is_word and token.start not in planted]
    assert [token.text for token in note] == [token.text for token in baseline]
    tally.note_words += len(note)
    tally.false_alarms += sum(alone.kept and not token.kept for token, alone in zip(note, baseline, strict=True))
    identifying = {token.start for token in inside(tokens, core)}
    carriers = [token for token in tokens if token.start in planted - identifying and token.text.isalpha()]
    tally.carrier_words += len(carriers)
    tally.carriers_changed += sum(not token.kept for token in carriers)


def presidio() -> tuple[Callable[[str], str] | None, str]:
    """Presidio's analyzer without a language model, or why there is none."""
    try:
        analyzer, nlp_engine, spacy = (import_module(name) for name in ("presidio_analyzer", "presidio_analyzer.nlp_engine", "spacy"))
    except ModuleNotFoundError as error:
        return None, f"Presidio is not compared: {error.name} is not installed (pip install presidio-analyzer)."
    pipeline = spacy.blank("en")
    # What it validates e-mail addresses with asks the network for a list by default; it carries a copy.
    domains: Any = import_module("tldextract.tldextract")
    domains.TLD_EXTRACTOR = domains.TLDExtract(suffix_list_urls=())

    # A blank pipeline has no lemmas, by which Presidio looks for words like "phone" near a number: without them its scores would be too low.
    @spacy.Language.component("words_as_lemmas")  # type: ignore[untyped-decorator, unused-ignore]
    def words_as_lemmas(text: object) -> object:
        for token in text:  # type: ignore[attr-defined]
            token.lemma_ = token.lower_
        return text

    pipeline.add_pipe("words_as_lemmas")
    engine = nlp_engine.SpacyNlpEngine(models=[{"lang_code": "en", "model_name": "blank"}])
    engine.nlp = {"en": pipeline}
    analyze = analyzer.AnalyzerEngine(nlp_engine=engine, supported_languages=["en"]).analyze

    def clean(text: str) -> str:
        for found in sorted(_outermost(analyze(text=text, language="en", score_threshold=0.35)), reverse=True):
            text = f"{text[: found[0]]}<{found[2]}>{text[found[1] :]}"
        return text

    return clean, "Presidio: pattern recognisers only (no language model), with words of the context, score 0.35 and more."


def _outermost(results: Sequence[object]) -> list[tuple[int, int, str]]:
    """Findings that do not overlap; the longer one of two that do."""
    spans = sorted(
        ((found.start, found.end, found.entity_type) for found in results),  # type: ignore[attr-defined]
        key=lambda span: (span[0] - span[1], span),
    )
    chosen: list[tuple[int, int, str]] = []
    for span in spans:
        if all(span[1] <= other[0] or other[1] <= span[0] for other in chosen):
            chosen.append(span)
    return chosen


def known_of(document: Document) -> list[Known]:
    """With tags as preparation has them, which recognisers put out of their way."""
    return [Known(column, value, f"[known {index:08x}]") for index, (column, value) in enumerate(document.person.known.items())]


def share_outside_faker(planted: Sequence[Document]) -> str:
    """A sentence on how many of the planted names no list of Faker has, in any language."""
    lists = faker_words()
    if lists is None:
        return "Faker is not installed: all names are from the benchmark's own lists."
    pieces = [piece.lower() for document in planted for name in document.names for piece in re.findall(r"[^\W\d_]{2,}", name)]
    outside = sum(piece not in lists for piece in pieces)
    american = import_module("faker.providers.person.en_US").Provider
    us = {str(name).lower() for name in (*american.first_names, *american.last_names)}
    return (
        f"{100 * sum(piece not in us for piece in pieces) / len(pieces):.0f} % of the {len(pieces):,} first and last names planted are not in "
        f"Faker's American lists, {100 * outside / len(pieces):.0f} % in none of its lists of any language."
    )


def changed_spans(notes: Sequence[str]) -> list[tuple[int, str, str]]:
    """What was changed in notes without anything planted: number of the note, before, after."""
    spans = []
    for number, note in enumerate(notes):
        left, right = ([match.group() for match in TOKEN.finditer(text)] for text in (note, deidentify(note).text))
        for what, a, b, c, d in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
            if what != "equal":
                spans.append((number, "".join(left[a:b]), "".join(right[c:d])))
    return spans


def show(console: Console, tallies: Sequence[Tally]) -> None:
    """Misses by class, then what was taken with them."""
    table = Table(title="Identifiers that stay readable", title_justify="left")
    for column in ("", "class", "planted", *(f"missed, {tally.name}" for tally in tallies)):
        table.add_column(column, justify="left" if column in ("", "class") else "right")
    for kind, called in CLASSES.items():
        table.add_row(kind, called, f"{tallies[0].planted[kind]:,}", *(_share(t.missed[kind], t.planted[kind]) for t in tallies))
    table.add_section()
    total = tallies[0].planted.total()
    table.add_row("", "all", f"{total:,}", *(_share(tally.missed.total(), tally.planted.total()) for tally in tallies))
    console.print(table)
    taken = Table(title="Other words that were changed, per 1,000", title_justify="left")
    for column in ("", "of the note, beside what was planted", "of the planted sentences", "of untouched notes", "of decoys", "seconds"):
        taken.add_column(column, justify="right" if column else "left")
    for tally in tallies:
        figures = tally.figures()
        rates = ["falseAlarmsPerThousandWords", *(f"{kind}WordsChangedPerThousand" for kind in ("carrier", "untouched", "decoy"))]
        taken.add_row(tally.name, *(f"{figures[rate]:.2f}" for rate in rates), f"{tally.seconds:.1f}")
    console.print(taken)


def show_own(console: Console, alone: Tally, known: Tally) -> None:
    """What the record's own columns are worth, for the patient's own identifiers."""
    table = Table(title="The patient's own identifiers, without and with the record's columns", title_justify="left")
    for column in ("", "class", "planted", "missed without", "missed with"):
        table.add_column(column, justify="left" if column in ("", "class") else "right")
    for kind in CLASSES:
        if count := alone.own_planted[kind]:
            table.add_row(kind, CLASSES[kind], f"{count:,}", *(_share(tally.own_missed[kind], count) for tally in (alone, known)))
    table.add_section()
    count = alone.own_planted.total()
    table.add_row("", "all", f"{count:,}", *(_share(tally.own_missed.total(), count) for tally in (alone, known)))
    console.print(table)


def _share(part: int, whole: int) -> str:
    return f"{part:,} ({100 * part / max(1, whole):.1f} %)"


def first(notes: Sequence[str], seed: int) -> list[Document]:
    """The set by which the recognisers were improved."""
    return planting.documents(notes, read_phrases(HERE / "deidentification_phrases.txt"), seed)


def held_out(notes: Sequence[str], seed: int) -> list[Document]:
    """The set that nobody may fit a recogniser to: other phrases, other names and places, further shapes of numbers."""
    words = planting.WORDS | read_words(HERE / "deidentification_held_out_words.txt")
    phrases = read_phrases(HERE / "deidentification_held_out.txt")
    return planting.documents(notes, phrases, seed, held_out_forms.FORMS, planting.names(words, seed=2))


SETS = {"first": first, "held-out": held_out}


def read_decoys(path: Path) -> list[str]:
    """Sentences, one a line."""
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]


def main() -> int:
    """Run the benchmark. The exit status is 0 whatever the figures are, 2 where there are no notes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("notes", type=Path, help="MTS-Dialog's test-1.csv, or a CSV file with the column")
    parser.add_argument("--column", default="section_text", help="column of the notes (section_text)")
    parser.add_argument(
        "--phrases",
        choices=SETS,
        default="held-out",
        help="which set to plant: the one that no recogniser was written from (held-out), or the first",
    )
    parser.add_argument("--seed", type=int, default=20_240_601)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--show", action="store_true", help="list every span changed in untouched notes, and every miss")
    arguments = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 150, highlight=False, markup=False)
    if not arguments.notes.is_file():
        console.print(f"{arguments.notes} is not there. Give the path of MTS-Dialog's test-1.csv (github.com/abachaa/MTS-Dialog).")
        return 2
    with arguments.notes.open(newline="", encoding="utf-8-sig") as file:
        notes = [row[arguments.column] for row in csv.DictReader(file)]
    planted, decoys = SETS[arguments.phrases](notes, arguments.seed), read_decoys(HERE / "deidentification_decoys.txt")
    peer, sentence = presidio()

    alone = judged("Regimen", planted, notes, lambda document: deidentify(document.text).text, lambda note: deidentify(note).text, decoys)
    known = judged(
        "with columns",
        planted,
        notes,
        lambda document: deidentify(document.text, known_of(document)).text,
        lambda note: deidentify(note).text,
        decoys,
    )
    tallies = [alone] + ([judged("Presidio", planted, notes, lambda document: peer(document.text), peer, decoys)] if peer else [])

    console.print(
        f"{alone.planted.total():,} identifiers of the {arguments.phrases} set in {len(planted):,} copies of {len(notes)} notes, "
        f"seed {arguments.seed}; {len(decoys)} decoys."
    )
    console.print(f"{share_outside_faker(planted)}\n{sentence}\n")
    show(console, tallies)
    show_own(console, alone, known)
    console.print(
        f"Of {alone.documents_with_misses:,} documents with a miss, the residual scan flags {alone.flagged:,}; of the "
        f"{len(planted) - alone.documents_with_misses:,} others {alone.flagged_without_miss:,}.\n"
    )
    console.print("Misses (invented):")
    for kind, examples in sorted(alone.examples.items()):
        for example in examples if arguments.show else examples[:: max(1, len(examples) // EXAMPLES)][:EXAMPLES]:
            console.print(f"  {kind}  {example}")
    counts: Counter[str] = Counter()
    for note in notes:
        counts.update(deidentify(note).found)
    console.print(f"\nChanged in untouched notes: {', '.join(f'{kind} {count}' for kind, count in sorted(counts.items())) or 'nothing'}.")
    if arguments.show:
        for number, before, after in changed_spans(notes):
            console.print(f"  note {number}: {before!r} → {after!r}")
    console.print(f"\nChanged in the decoys, {alone.decoys_changed} of {alone.decoy_words:,} words:")
    for number, before, after in changed_spans(decoys):
        console.print(f"  {before!r} → {after!r} in: {decoys[number]}")
    if arguments.json:
        for tally in (*tallies, known):
            tally.examples = {kind: examples[:EXAMPLES] for kind, examples in tally.examples.items()}
        figures = {
            "phrases": arguments.phrases,
            "seed": arguments.seed,
            "documents": len(planted),
            "notes": len(notes),
            "untouched": dict(counts),
        }
        figures |= {"runs": [tally.figures() for tally in (*tallies, known)]}
        arguments.json.write_text(json.dumps(figures, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
