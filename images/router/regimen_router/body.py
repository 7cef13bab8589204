"""Which fields a completion may have, as one regular expression over the whole body.

The expression is JSON's own grammar with the names of the outermost object spelled out, so it lets through exactly the bodies that are
such an object: nothing before it, nothing behind it, no other name however its letters are escaped. HAProxy runs it compiled; every
part is possessive, so it reads each byte once. What nests deeper than it has stack for (some 200 levels) does not match, and is refused.
"""

import json
from pathlib import Path

BODY_LIMIT = 2 * 1024 * 1024
DISCARDED = 16 * 1024 * 1024

FIELDS = (
    # OpenAI's
    "model", "messages", "prompt", "suffix", "echo", "n", "best_of", "stream", "stream_options", "max_tokens", "max_completion_tokens",
    "temperature", "top_p", "stop", "seed", "presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "top_logprobs",
    "response_format", "tools", "tool_choice", "parallel_tool_calls", "functions", "function_call", "reasoning_effort", "user", "metadata",
    "store", "service_tier",
    # llama-server's own that only shape the answer
    "n_predict", "top_k", "min_p", "typical_p", "repeat_penalty", "repeat_last_n", "cache_prompt",
)  # fmt: skip
"""Left out on purpose: n_discard and n_keep (CVE-2026-21869), id_slot and lora (another's cache, another model), samplers and grammars
that were never judged, chat_template_kwargs (the prompt that was judged is the one that is served)."""

SPACE = r"[ \t\r\n]*+"
STRING = r'"(?>[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+"'
NUMBER = r"-?+(?>0|[1-9][0-9]*+)(?>\.[0-9]++)?+(?>[eE][+-]?+[0-9]++)?+"


def _list(item: str) -> str:
    """Items with commas between them, or none."""
    return f"(?>{item}(?>,{item})*+|{SPACE})"


def allowed(fields: tuple[str, ...] = FIELDS) -> str:
    """The expression, in PCRE's language."""
    value, name = "(?>(?&v))", f"{SPACE}(?&s){SPACE}:"
    array, inner = rf"\[{_list(value)}\]", rf"\{{{_list(name + value)}\}}"
    values = f"{SPACE}(?>(?&s)|{NUMBER}|true|false|null|{array}|{inner}){SPACE}"
    # The quote belongs to each name: without it, stream would match the beginning of stream_options and never look again.
    names = "|".join(f'{field}"' for field in fields)
    outermost = _list(f'{SPACE}"(?>{names}){SPACE}:{value}')
    return rf"(?(DEFINE)(?<s>{STRING})(?<v>{values}))\A{SPACE}\{{{outermost}\}}{SPACE}\z"


CHECKS = """\
    # The whole body against the expression of body.py. HAProxy takes a text to end at its first NUL: then the lengths differ.
    acl known_fields req.body -m reg -f {fields}
    http-request wait-for-body time 30s if {when}
    http-request use-service lua.too_large if {when} {{ req.body_len gt {limit} }}
    http-request set-var(txn.text_length) req.body,length if {when}
    http-request set-var(txn.beyond_nul) req.body_len,sub(txn.text_length) if {when}
    http-request return {e400_body} if {{ var(txn.beyond_nul) -m int gt 0 }}
    http-request set-var(txn.refused) lua.unknown_field if {when} !known_fields
    http-request return {e400_field} if {when} !known_fields {{ var(txn.refused) -m len gt 0 }}
    http-request return {e400_body} if {when} !known_fields"""

BODY_LUA = """\
-- Takes what is too large, up to {discarded} bytes, and then says so: a client that is still sending when the answer comes sees a broken
-- connection and not the answer.
core.register_service("too_large", "http", function(applet)
  local left, body = {discarded}, [[{too_large}]]
  repeat
    local part = applet:receive(65536)
    left = left - #part
  until #part == 0 or left <= 0
  applet:set_status(413)
  applet:add_header("content-type", "application/json")
  applet:add_header("content-length", tostring(#body))
  applet:start_response()
  applet:send(body)
end)

-- Names the field for which a body was refused: the first of the outermost object that is not allowed. Only ever run on refusal.
local allowed = {{ {allowed} }}

core.register_fetches("unknown_field", function(txn)
  local body, depth, at, name = txn.f:req_body() or "", 0, 1, nil
  while at do
    local from = body:find('["{{}}%[%]:]', at)
    local char = from and body:sub(from, from)
    at = from and from + 1
    if char == '"' then
      local till = at
      repeat
        local found = body:find('["\\\\]', till)
        till = found and found + (body:sub(found, found) == '"' and 1 or 2)
      until not found or body:sub(found, found) == '"'
      name, at = till and depth == 1 and body:sub(from + 1, till - 2), till
    elseif char == ":" then
      if depth == 1 and name and not allowed[name] then
        return #name <= 64 and name:match("^[%w_.-]+$") or "whose name has other characters than a-z, A-Z, 0-9, _, . and -"
      end
    elseif char == "{{" or char == "[" then
      depth = depth + 1
    elseif char then
      depth = depth - 1
    end
  end
  return ""
end)
"""


def error(status: int, message: str) -> str:
    """An error as OpenAI's clients read it."""
    kind = "unavailable_error" if status >= 500 else "invalid_request_error"
    return json.dumps({"error": {"code": status, "message": message, "type": kind}})


def answer(status: int, message: str, extra: str = "", form: str = "string") -> str:
    """An error as an argument of HAProxy's `return`. `form` lf-string: variables in the message are filled in."""
    return f"status {status} content-type application/json {form} '{error(status, message)}'{extra}"


def checks(fields: Path, when: str) -> str:
    """Rules of a frontend that let only allowed bodies through; `when`: conditions under which there is a body to check."""
    accepted = f"a field is not accepted: %[var(txn.refused)]; remove it, accepted are {', '.join(FIELDS)}"
    return CHECKS.format(
        fields=fields,
        when=when,
        limit=BODY_LIMIT,
        e400_field=answer(400, accepted, form="lf-string"),
        e400_body=answer(400, "the body is not a JSON object, or is nested deeper than 200 levels; send one object of known fields"),
    )


def render_lua(fields: tuple[str, ...] = FIELDS) -> str:
    """What names a refused field, and what takes a body that is too large."""
    return BODY_LUA.format(
        allowed=", ".join(f'["{name}"] = true' for name in fields),
        discarded=DISCARDED,
        too_large=error(413, f"the body is larger than {BODY_LIMIT} bytes"),
    )


def write_checks(lua: Path, fields: Path) -> None:
    """The files that the rules of `checks` need."""
    lua.write_text(render_lua())
    fields.write_text(f"{allowed()}\n")
