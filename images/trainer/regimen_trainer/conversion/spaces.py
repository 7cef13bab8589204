"""Whether a space goes before text, where SentencePiece tokenizers in transformers and in llama.cpp differ.

llama.cpp puts one before every stretch of text, at the start and after each special token, or before none. Tokenizers of transformers know a third way:
at the start only. Then the chat template decides which of the two is right: does what it renders start with a special token, or with text?
"""

from pathlib import Path
from typing import Any

PROBE = [{"role": "user", "content": "x"}]


def space_prefix(base: Path) -> bool | None:
    """Value of `tokenizer.ggml.add_space_prefix` with which serving makes the tokens that training saw; None: the converter's will do."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base, trust_remote_code=False)
    if tokenizer.eos_token is None:
        return None
    at_start = _spaced(tokenizer, "x", skip=0)
    after_special = _spaced(tokenizer, f"{tokenizer.eos_token}x", skip=1)
    if at_start == after_special:
        return at_start
    if tokenizer.chat_template is None:
        return None
    first = tokenizer.apply_chat_template(PROBE, tokenize=True, return_dict=True)["input_ids"][0]
    return after_special if first in tokenizer.all_special_ids else at_start


def _spaced(tokenizer: Any, text: str, skip: int) -> bool:
    """Whether the token after `skip` others begins with SentencePiece's mark of a space."""
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    return str(tokenizer.convert_ids_to_tokens(ids[skip])).startswith("▁")
