"""Imported by the process that workers are forked from: it reads the word lists once, and all workers share their memory."""

import gc

from regimen_trainer.deid import lexicon

for read in (
    lexicon.word_counts,
    lexicon.english,
    lexicon.medical_words,
    lexicon.name_weights,
    lexicon.sure_names,
    lexicon.given_names,
    lexicon.family_names,
    lexicon.places,
):
    read()
gc.freeze()  # a collection would write to every object, and so give each worker a copy of its own
