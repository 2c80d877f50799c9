-- Serves a connection of the harness in an nginx worker: takes the raw socket from HTTP and answers commands.

local process = require "process"
local serve = require "serve"

local DAY_IN_MS = 86400 * 1000

local worker = {}

function worker.begin()
    process.leave_standard_input()
    process.read_like_kong()
    ngx.timer.every(0.2, function()
        if process.harness_has_ended() then process.stop_nginx() end
    end)
end

function worker.serve()
    local sock = ngx.req.socket(true)
    sock:settimeout(DAY_IN_MS)
    sock:send "ready\n"
    serve(require "cosocket", {
        read = function() return sock:receive() end,
        -- nginx's log identifies connections by this number.
        write = function(text) return sock:send("connection " .. ngx.var.connection .. "\n" .. text) end,
    })
end

return worker
