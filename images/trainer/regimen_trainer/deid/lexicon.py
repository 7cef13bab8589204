"""What words are names, places or plain English: gazetteers and dictionaries of four packages, read once, on first use.

A name is told from a word by a dictionary that keeps capitals (the SPECIALIST Lexicon of the National Library of Medicine, general English
and medicine, as lemminflect carries it): what it knows in lower case is a word. A word that is a name too is judged by how often people are
called so (US Census shares, in percent) against how often it is written at all (Google Books counts): hardly any `may` is a person. The
same with places, where a city's number of ZIP codes stands for its size. Nothing here knows the sentence around a word.
"""

import gzip
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import cache, lru_cache
from importlib import import_module
from importlib.resources import files
from typing import Any, NamedTuple

from regimen_trainer.deid.medical import EPONYMS, PROTECTED
from regimen_trainer.deid.recognizer import word_set

SURE, LIKELY, POSSIBLE = 3, 2, 1
"""How strongly a word by itself speaks for a name."""
MENTIONS = 30e6
"""Writings in the word counts of a name that one percent of the people bear, by the medians of names that are no words."""
COMMON_NAME = 0.03
"""A share in percent above which a bare eponym is rather a person: James, but not Babinski."""
ORIGINS = word_set("""
en_IN en_PK en_NG en_KE en_GB en_IE yo_NG ig_NG ha_NG tw_GH es es_MX es_ES vi_VN tr_TR pl_PL en_TH fr_FR de_DE it_IT pt_BR nl_NL id_ID sw zu_ZA
ro_RO cs_CZ sv_SE no_NO da_DK fi_FI hu_HU
""")
"""Faker's lists in Latin letters of names that the Census lists hold too few of."""
WRITTEN_PER_ZIP = 3_000_000
"""A place's name that is written more often than this for each of its ZIP codes is rather a word: Normal, Center, Reading."""


_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_PREFIXES = re.compile(
    r"(?:non|pre|post|peri|para|hyper|hypo|sub|supra|infra|intra|inter|trans|anti|re|un|under|over|mid|multi|poly|micro|macro|neuro|cardio|vaso|"
    r"broncho|gastro|hepato|nephro|osteo|arthro|myo|hemi|bi|uni|tri|semi|pseudo|extra|endo|epi|thoraco|lumbo|cervico|abdomino|tele|auto|immuno|psycho|radio|electro)-?(?=[a-z]{4})"
)
_DERIVED = (
    "ly",
    "al",
    "ally",
    "s",
    "es",
    "ed",
    "ing",
    "er",
    "ers",
    "ness",
    "able",
    "ive",
    "ic",
    "like",
    "less",
    "ist",
    "ists",
    "tion",
    "ion",
)
_ENDINGS = re.compile(
    r"(?:[a-z]{2}(?:ectom(?:y|ies)|otom(?:y|ies)|ostom(?:y|ies)|oscop(?:y|ies|ic)|plast(?:y|ies)|pexy|rrhaph(?:y|ies)|desis|centesis|itis|osis|oses|emia|aemia|uria|opathy|opathies|"
    r"gram|grams|graph(?:y|ies|ic)|olog(?:y|ist|ists|ical)|algia|megaly|trophy|plasia|plegia|paresis|oma|omas|genic|oid|"
    r"cocc(?:us|i)|bacter|bacteri(?:um|a)|monas|myces|idium|umab|imab|omab|zumab|tinib|ciclib|parib|pril|sartan|statin|conazole|prazole|cillin|mycin|floxacin|cycline|vir|olol|azepam|azolam|caine|tidine|setron|"
    r"gliptin|gliflozin|glutide|glitazone|triptan|dipine|thiazide|parin|xaban|gatran|semide|oxetine|azepine|barbital|dronate|sone|solone|lukast|terol|tropium))$"
)
"""What words of surgery, disease and substances end with; the latter by the stems of international names."""


class Places(NamedTuple):
    """Lower-case names of places below a state."""

    every: frozenset[str]
    """All cities, those included whose names are rather words."""
    cities: frozenset[str]
    distinct: frozenset[str]
    """Cities whose names say by themselves that they are cities: no English, nobody's name."""
    counties: frozenset[str]
    first_words: frozenset[str]
    distinct_by_first: dict[str, tuple[str, ...]]
    """Distinct cities by their first word; nothing for one that is spelt in several ways."""
    several_by_first: dict[str, tuple[str, ...]]
    """All cities of two words or more, likewise."""
    zip_codes: frozenset[str]
    """After their states' letters: `IL 60614`."""


@cache
def word_counts() -> dict[str, int]:
    """How often English words are written."""
    lines = files("symspellpy").joinpath("frequency_dictionary_en_82_765.txt").read_text("utf-8-sig").splitlines()
    return {word: int(count) for word, _, count in (line.partition(" ") for line in lines) if count}


@cache
def english() -> frozenset[str]:
    """Words of English and medicine in all their forms that are written in lower case, and so are no names by themselves."""
    with (
        files("lemminflect").joinpath("resources/lemma_lu.csv.gz").open("rb") as packed,
        gzip.open(packed, "rt", encoding="utf-8") as lines,
    ):
        forms = (line.partition(",")[0] for line in lines)
        return frozenset(form for form in forms if form.islower())


@cache
def medical_words() -> frozenset[str]:
    """Drugs and diseases that are in no dictionary of English: images/trainer/medical_words.py writes the list."""
    return frozenset(files("regimen_trainer.deid").joinpath("medical_words.txt").read_text("ascii").split())


@cache
def name_weights() -> dict[str, int]:
    """Lower-case first and last names with SURE, LIKELY or POSSIBLE."""
    counts, weights = word_counts(), dict[str, int]()
    plain = english()
    for word, share in _census().items():
        evidence = share * MENTIONS / counts.get(word, 1)
        if word in EPONYMS:
            evidence = min(evidence, 0.1) if share > COMMON_NAME else 0
        elif word not in plain and (len(word) > 3 or word in given_names()):
            evidence = 1 if evidence >= 0.02 else 0.04
        if weight := SURE if evidence >= 0.35 else LIKELY if evidence >= 0.04 else POSSIBLE if evidence >= 0.0005 else 0:
            weights[word] = weight
    for word in _worldwide() - EPONYMS:
        written = counts.get(word, 0)
        weight = (
            SURE
            if written < 300_000 or (word not in plain and len(word) > 3 and written < 50_000_000)
            else LIKELY
            if written < 2_000_000
            else POSSIBLE
            if written < 20_000_000
            else 0
        )
        weights[word] = max(weights.get(word, 0), weight)
    return {word: weight for word, weight in weights.items() if weight and len(word) > 1 and word not in PROTECTED}


@cache
def sure_names() -> frozenset[str]:
    """Names that are hardly ever anything else."""
    return frozenset(word for word, weight in name_weights().items() if weight == SURE and len(word) > 2)


@cache
def given_names() -> frozenset[str]:
    """Lower-case first names of the United States."""
    folder = files("names")
    lists = (folder.joinpath(f"dist.{sex}.first").read_text("ascii") for sex in ("female", "male"))
    return frozenset(line.split()[0].lower() for text in lists for line in text.splitlines())


@cache
def family_names() -> frozenset[str]:
    """Lower-case last names of the United States, rare ones and common words among them."""
    return frozenset(line.split()[0].lower() for line in files("names").joinpath("dist.all.last").read_text("ascii").splitlines())


@lru_cache(maxsize=50_000)
def is_known(lower: str) -> bool:
    """Whether a lower-case word is English or medicine: by a dictionary, by its stem or by its ending."""
    if lower in english() or lower in medical_words() or lower in PROTECTED or lower in EPONYMS:
        return True
    if _ENDINGS.search(lower):
        return True
    prefix = _PREFIXES.match(lower)
    if prefix and lower[prefix.end() :] in english():
        return True
    return any(lower.endswith(ending) and {lower.removesuffix(ending), lower.removesuffix(ending) + "e"} & english() for ending in _DERIVED)


@lru_cache(maxsize=50_000)
def is_misspelt(lower: str) -> bool:
    """Whether one slip of the pen makes a word of it: a letter too much, too few, wrong or swapped with the next."""
    plain = english()
    splits = [(lower[:at], lower[at:]) for at in range(len(lower) + 1)]
    return any(
        left + right[1:] in plain
        or left + right[1:2] + right[:1] + right[2:] in plain
        or any(left + letter + right in plain or left + letter + right[1:] in plain for letter in _LETTERS)
        for left, right in splits
    )


@cache
def places() -> Places:
    """Cities and counties of the United States."""
    # Imported here: a compiled module whose table takes most of the loading time.
    import zipcodes

    rows: list[dict[str, Any]] = zipcodes.list_all()  # type: ignore[no-untyped-call]
    sizes = Counter(str(row["city"]).lower() for row in rows)
    counts = word_counts()
    plain, names = english(), name_weights()
    cities = {
        city
        for city, size in sizes.items()
        if (counts.get(city, 0) < size * WRITTEN_PER_ZIP or (city not in plain and city not in names))
        and city not in PROTECTED
        and len(city) > 2
    }
    distinct = {city for city in cities - EPONYMS if len(city) > 4 and city not in names and not plain.issuperset(city.split())}
    counties = {str(row["county"]).lower().removesuffix(" county").removesuffix(" parish") for row in rows if row["county"]}
    return Places(
        frozenset(sizes),
        frozenset(cities),
        frozenset(distinct),
        frozenset(counties),
        frozenset(first for city in cities if counts.get(first := city.split()[0], 0) < 20_000_000 or city == first),
        _by_first(distinct),
        _by_first({city for city in sizes if " " in city}, {"saint": "st", "fort": "ft", "mount": "mt"}),
        frozenset(f"{row['state']} {row['zip_code']}" for row in rows),
    )


def _by_first(cities: Iterable[str], short: dict[str, str] | None = None) -> dict[str, tuple[str, ...]]:
    """`st. louis` is written for `saint louis`, `d'alene` for `d alene`: of such no part is sure to be in a text."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for city in sorted(cities):
        first = re.split("[^a-z]", city)[0]
        spelt = (short or {}).get(first) if short else re.search(r"\bsainte?\b|\bd\b", city) and "st"
        for word in {first, *(((short or {})[first],) if short and spelt else ("st", "ste", "coeur") if spelt else ())}:
            found[word].append("" if spelt else city)
    return {word: tuple(names) for word, names in found.items()}


def _census() -> dict[str, float]:
    """Percent of the people with a first or a last name. First names are listed by sex, so that each counts half."""
    shares: defaultdict[str, float] = defaultdict(float)
    folder = files("names")
    for name, part in (("dist.all.last", 1.0), ("dist.female.first", 0.5), ("dist.male.first", 0.5)):
        for line in folder.joinpath(name).read_text("ascii").splitlines():
            word, share, *_ = line.split()
            shares[word.lower()] += part * max(float(share), 0.0005)
    return shares


def _worldwide() -> set[str]:
    words = set[str]()
    for origin in sorted(ORIGINS):
        provider = import_module(f"faker.providers.person.{origin}").Provider
        lists = (getattr(provider, field) for field in dir(provider) if field.startswith(("first_names", "last_names")))
        for name in (name for names in lists if isinstance(names, Iterable) for name in names):
            words.update(word for word in str(name).lower().replace("-", " ").split() if word.isalpha())
    return words
