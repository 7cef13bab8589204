"""Whether llama-server answers: startupProbe asks for one real completion, of one token, through the chat template.

That the model is loaded (/health) says less: a template that breaks, or a file that computes nothing, loads all the same. Until this
has succeeded once the pod is not Ready, so that no router sends it anybody's request.
"""

import httpx

TIMEOUT_SECONDS = 55
QUESTION = {"messages": [{"role": "user", "content": "Are you there?"}], "max_tokens": 1, "temperature": 0, "cache_prompt": False}


def why_not(base: str, headers: dict[str, str]) -> str | None:
    """Why it does not answer yet, or None where it has."""
    try:
        answer = httpx.post(f"{base}/v1/chat/completions", json=QUESTION, headers=headers, timeout=TIMEOUT_SECONDS)
    except httpx.HTTPError as error:
        return f"llama-server does not answer: {type(error).__name__}"
    if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        return "the model is loading"
    if answer.status_code != httpx.codes.OK:
        return f"a completion was answered with HTTP {answer.status_code}"
    try:
        document = answer.json()
        computed, choices = int(document["usage"]["completion_tokens"]), document["choices"]
    except (ValueError, KeyError, TypeError) as error:
        return f"the answer to a completion is none: {type(error).__name__}"
    return None if computed >= 1 and choices else "a completion was answered without a token"
