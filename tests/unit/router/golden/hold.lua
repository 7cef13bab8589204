-- Holds a request while its arm has no replica that is up. HAProxy itself queues only for replicas that are full, and answers 503
-- where there is none.
local routes = Map.new("/run/regimen/route.map", Map._str)

core.register_action("hold", { "http-req" }, function(txn)
  local mine, slot = txn:get_var("txn.route"), txn:get_var("txn.slot")
  for _ = 1, 30 * 20 do
    local route = routes:lookup("current")
    if route ~= nil and (route ~= mine or txn.f:nbsrv(slot) > 0) then return end
    core.msleep(50)
  end
end, 0)
