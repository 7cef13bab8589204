-- Holds a request while its arm has no replica that is up. HAProxy itself queues only for replicas that are full, and answers 503
-- where there is none. Another route lets it go once every arm that has subjects by it has a replica: its own may be any of them.
local routes = Map.new("/run/regimen/route.map", Map._str)

local function complete(txn, route)
  local field = {}
  for word in string.gmatch(route, "[^|]+") do field[#field + 1] = word end
  local threshold = tonumber(field[4])
  return (threshold == 10000 or txn.f:nbsrv(field[5]) > 0) and (threshold == 0 or txn.f:nbsrv(field[7]) > 0)
end

core.register_action("hold", { "http-req" }, function(txn)
  local mine, slot = txn:get_var("txn.route"), txn:get_var("txn.slot")
  for _ = 1, 30 * 20 do
    local route = routes:lookup("current")
    if route == mine then
      if route ~= nil and txn.f:nbsrv(slot) > 0 then return end
    elseif route ~= nil and complete(txn, route) then
      return
    end
    core.msleep(50)
  end
end, 0)
