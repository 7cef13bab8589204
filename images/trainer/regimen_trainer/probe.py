"""A conversation without content, to compare the tokens that training saw with those that the served chat template makes."""

from hashlib import sha256
from typing import Any

PROBE = [{"role": "system", "content": "Probe."}, {"role": "user", "content": "One two three.\nFour"}]


def probe_digest(tokenizer: Any) -> str:
    """Digest of the token ids of PROBE as training would see it."""
    text = tokenizer.apply_chat_template(PROBE, add_generation_prompt=True, tokenize=False)
    return digest_of_ids(tokenizer(text, add_special_tokens=False)["input_ids"])


def digest_of_ids(ids: list[int]) -> str:
    """Digest of token ids, short enough for a record."""
    return sha256(" ".join(map(str, ids)).encode()).hexdigest()[:16]
