-- What nginx's worker does for a connection of the harness: it forgets HTTP, and talks.

local LONG = 86400 * 1000

local function talk()
    local sock = ngx.req.socket(true)
    sock:settimeout(LONG)
    sock:send "ready\n"
    return sock
end

local worker = {}

function worker.serve()
    local sock = talk()
    require "serve" (require "cosocket", {
        read = function() return sock:receive() end,
        -- nginx's log tells its connections apart by these numbers.
        write = function(text) return sock:send("connection " .. ngx.var.connection .. "\n" .. text) end,
    })
end

-- Ends nginx when the harness has gone.
function worker.watch()
    talk():receive()
    require("process").end_nginx()
end

return worker
