-- Takes what is too large, up to 16777216 bytes, and then says so: a client that is still sending when the answer comes sees a broken
-- connection and not the answer.
core.register_service("too_large", "http", function(applet)
  local left, body = 16777216, [[{"error": {"code": 413, "message": "the body is larger than 2097152 bytes", "type": "invalid_request_error"}}]]
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
local allowed = { ["model"] = true, ["messages"] = true, ["prompt"] = true, ["suffix"] = true, ["echo"] = true, ["n"] = true, ["best_of"] = true, ["stream"] = true, ["stream_options"] = true, ["max_tokens"] = true, ["max_completion_tokens"] = true, ["temperature"] = true, ["top_p"] = true, ["stop"] = true, ["seed"] = true, ["presence_penalty"] = true, ["frequency_penalty"] = true, ["logit_bias"] = true, ["logprobs"] = true, ["top_logprobs"] = true, ["response_format"] = true, ["tools"] = true, ["tool_choice"] = true, ["parallel_tool_calls"] = true, ["functions"] = true, ["function_call"] = true, ["reasoning_effort"] = true, ["user"] = true, ["metadata"] = true, ["store"] = true, ["service_tier"] = true, ["n_predict"] = true, ["top_k"] = true, ["min_p"] = true, ["typical_p"] = true, ["repeat_penalty"] = true, ["repeat_last_n"] = true, ["cache_prompt"] = true }

core.register_fetches("unknown_field", function(txn)
  local body, depth, at, name = txn.f:req_body() or "", 0, 1, nil
  while at do
    local from = body:find('["{}%[%]:]', at)
    local char = from and body:sub(from, from)
    at = from and from + 1
    if char == '"' then
      local till = at
      repeat
        local found = body:find('["\\]', till)
        till = found and found + (body:sub(found, found) == '"' and 1 or 2)
      until not found or body:sub(found, found) == '"'
      name, at = till and depth == 1 and body:sub(from + 1, till - 2), till
    elseif char == ":" then
      if depth == 1 and name and not allowed[name] then
        return #name <= 64 and name:match("^[%w_.-]+$") or "whose name has other characters than a-z, A-Z, 0-9, _, . and -"
      end
    elseif char == "{" or char == "[" then
      depth = depth + 1
    elseif char then
      depth = depth - 1
    end
  end
  return ""
end)
