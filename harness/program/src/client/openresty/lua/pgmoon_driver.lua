-- Kong's real driver: a checkout of pgmoon, whose own code speaks from the SSLRequest on. What is here loads it, calls it
-- as Kong's connector does, and watches it.

local message = require "message"

local driver = {}
driver.__index = driver

-- By folder and library: a VM may serve releases with different ones.
local loaded = {}

-- Loads a checkout with modules of its own. pgmoon prefers luaossl wherever it is installed; a Kong that ships
-- lua-resty-openssl does not have it.
local function load_checkout(folder, x509_library)
    local key = folder .. " " .. x509_library
    if loaded[key] then return loaded[key] end
    local modules, environment = {}, setmetatable({}, { __index = _G })
    function environment.require(name)
        if x509_library == "lua-resty-openssl" and name:find "^openssl%." then
            error("module '" .. name .. "' not found", 2)
        end
        if name ~= "pgmoon" and not name:find "^pgmoon%." then return require(name) end
        if modules[name] == nil then
            local path = folder .. "/" .. name:gsub("%.", "/")
            local chunk, err = loadfile(path .. ".lua")
            if not chunk then
                chunk = loadfile(path .. "/init.lua") or error(err, 0)
            end
            modules[name] = setfenv(chunk, environment)(name)
        end
        return modules[name]
    end
    loaded[key] = environment.require "pgmoon.init"
    return loaded[key]
end

function driver.new(stack, settings)
    return setmetatable({ stack = stack, settings = settings, stage = "configure" }, driver)
end

-- Connects and sends Kong's first queries, as `connector.lua` does.
function driver:connect()
    local settings = self.settings
    self.stack.begin()
    local pgmoon = load_checkout(settings.pgmoon, settings.x509_library)
    self.pg = pgmoon.new {
        host = settings.host,
        port = tonumber(settings.port),
        user = settings.user,
        password = settings.password,
        database = settings.database,
        ssl = settings.ssl ~= nil,
        ssl_required = settings.ssl_required ~= nil,
        ssl_verify = settings.ssl_verify ~= nil,
        ssl_version = settings.ssl_version,
        cafile = settings.trusted,
        cert = settings.ssl_cert,
        key = settings.ssl_cert_key,
        socket_type = self.stack.type,
    }
    self:watch()
    self.pg:settimeout(tonumber(settings.timeout_ms))
    self.stage = "connect"
    local ok, err = self.pg:connect()
    if not ok then return nil, err end
    self.stage = "query"
    -- Kong ignores an error of this query.
    local rows = self.pg:query "SELECT CURRENT_SCHEMA AS schema"
    local schema = rows and rows[1] and rows[1].schema or "public"
    local literal = function(text) return self.pg:escape_literal(text) end
    ok, err = self.pg:query("SET SCHEMA " .. literal(schema) .. ";\nSET TIME ZONE " .. literal "UTC" .. ";")
    if not ok then return nil, err end
    return self:version()
end

function driver:version()
    self.stage = "query"
    local rows, err = self.pg:query "SHOW server_version_num;"
    return rows and rows[1] and rows[1].server_version_num, err
end

-- pgmoon has no socket any more after some errors.
function driver:close()
    if self.pg.sock then self.pg:disconnect() end
end

-- Notes what pgmoon does not tell: how far it gets, the number of the server's process, and the SQLSTATE of an error.
function driver:watch()
    local pg, socket = self.pg, self.pg.sock
    local class = getmetatable(pg).__index
    self.sock = {
        close = function() return socket:close() end,
        certificate = function() return self.stack.certificate_of(socket) end,
    }

    local function entering(name, stage)
        pg[name] = function(...)
            self.stage, self.reached = stage, true
            return class[name](...)
        end
    end
    entering("send_ssl_message", "ssl-request")
    entering("send_startup_message", "auth")

    function pg.receive_message(...)
        local kind, body = class.receive_message(...)
        if kind == "K" and body then
            self.pid = message.to_int(body)
        elseif kind == "E" and body then
            self.sqlstate = message.fields(body).C
        end
        return kind, body
    end

    for name, handshake in pairs(self.stack.handshakes(socket, self.settings)) do
        rawset(socket, name, function(...)
            self.stage = "handshake"
            local ok, err = handshake(...)
            if not ok then
                self.sock.x509 = tostring(err):match "^(%d+): "
                if self.sock.x509 then self.stage = "verify" end
            end
            return ok, err
        end)
    end
end

return driver
