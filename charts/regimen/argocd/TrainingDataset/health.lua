-- Healthy once a revision is published; a dataset that is being prepared anew keeps serving the revision before.
local function condition(kind)
  for _, entry in ipairs((obj.status or {}).conditions or {}) do
    if entry.type == kind then return entry end
  end
end

local function health(status, message)
  return {status = status, message = message or ""}
end

local status = obj.status or {}
local ready, stalled = condition("Ready"), condition("Stalled")
local message = status.message or (ready or {}).message

-- A status of an older generation says nothing about what was just applied.
if ready == nil or status.observedGeneration ~= obj.metadata.generation then
  return health("Progressing", "Waiting for the operator to look at this generation")
end
if stalled ~= nil and stalled.status == "True" then
  return health("Degraded", stalled.message)
end
if status.phase == "Invalid" or status.phase == "Failed" then
  return health("Degraded", message)
end
if ready.status == "True" then
  return health("Healthy", message)
end
return health("Progressing", message)
