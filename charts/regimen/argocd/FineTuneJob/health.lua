-- Healthy from the moment it is accepted and functioning: a job that waits for a card, or trains for hours, must not keep a sync
-- waiting. A suspended one is Healthy too, because Argo CD's "Suspended" never finishes a sync.
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
if status.phase == "Failed" then
  return health("Degraded", message)
end
if status.phase == "Succeeded" or status.phase == "Cancelled" or obj.spec.suspend then
  return health("Healthy", message)
end
if ready.status == "True" then
  return health("Healthy", message)
end
return health("Progressing", message)
