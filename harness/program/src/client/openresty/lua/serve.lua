-- Reads commands of the harness and writes answers. Both are lines of a name and a percent-encoded value, ended by an
-- empty line.
--
-- The driver is ours or, if the command names a checkout of it, the real one.

local process = require "process"

local function decode(text)
    return (text:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

local function encode(text)
    return (tostring(text):gsub("[^%w]", function(byte) return ("%%%02x"):format(byte:byte()) end))
end

local function read(channel)
    local command = {}
    while true do
        local line = channel.read()
        if not line then return nil end
        if line == "" then return command end
        local name, value = line:match "^(%S+) (.*)$"
        command[name] = decode(value)
    end
end

local function write(channel, answer)
    local lines = {}
    for name, value in pairs(answer) do
        lines[#lines + 1] = name .. " " .. encode(value) .. "\n"
    end
    return channel.write(table.concat(lines) .. "\n")
end

-- Runs a step of the driver and returns its outcome.
local function run(attempt, step)
    local ran, value, err = pcall(step, attempt)
    local answer = { stage = attempt.stage, reached = attempt.reached and "on" or nil, pid = attempt.pid }
    answer.x509, answer.sqlstate = attempt.sock and attempt.sock.x509 or nil, attempt.sqlstate
    if ran and value then
        answer.outcome, answer.text = "connected", value
    elseif ran then
        answer.outcome, answer.text = "returned", err
    else
        -- Kong prints a raised error without its position.
        answer.outcome, answer.text = "raised", value:gsub("^%S+:%d+: ", "")
    end
    return answer
end

return function(stack, channel)
    local attempt
    while true do
        local command = read(channel)
        if not command then break end
        -- The end of the program closes the VM, and its sockets with it.
        if command.verb == "end" then break end
        local answer = {}
        local idle
        if command.verb == "connect-from-pool" then
            idle = attempt
            idle:keep()
        end
        if command.verb == "connect" or idle then
            attempt = require(command.pgmoon and "pgmoon_driver" or "driver").new(stack, command)
            answer = run(attempt, attempt.connect)
            answer.process = process.id()
            answer.certificate = attempt.sock and attempt.sock:certificate()
            -- After a raised error the driver does not close the socket: nginx does at the end of the request, LuaSec
            -- when the Lua VM is closed.
            if answer.outcome == "returned" then attempt.sock:close() end
            if idle and attempt.reached then idle:drop() end
        elseif command.verb == "ask" then
            answer = run(attempt, attempt.version)
        elseif command.verb == "close" then
            attempt:close()
        end
        if not write(channel, answer) then break end
    end
end
