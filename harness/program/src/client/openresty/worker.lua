-- What nginx's worker does for a connection of the harness: it leaves HTTP and answers commands.

local process = require "process"
local serve = require "serve"

local LONG = 86400 * 1000

local worker = {}

function worker.begin()
    process.leave_standard_input()
    process.read_like_kong()
    ngx.timer.every(0.2, function()
        if process.is_forsaken() then process.end_nginx() end
    end)
end

function worker.serve()
    local sock = ngx.req.socket(true)
    sock:settimeout(LONG)
    sock:send "ready\n"
    serve(require "cosocket", {
        read = function() return sock:receive() end,
        -- nginx's log names its connections by these numbers.
        write = function(text) return sock:send("connection " .. ngx.var.connection .. "\n" .. text) end,
    })
end

return worker
