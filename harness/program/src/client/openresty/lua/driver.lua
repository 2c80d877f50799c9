-- Kong's driver, pgmoon, from the TCP connection to `SHOW server_version_num`, on either stack.
--
-- Kong puts a prefix before an error that is returned (nil and a message), and prints a raised one as it is. pgmoon raises
-- an error where it asserts, and for messages that it does not know.

local crypto = require "crypto"
local message = require "message"
local char, floor, to_int = string.char, math.floor, message.to_int

local driver = {}
driver.__index = driver

local SSL_REQUEST = "\0\0\0\8\4\210\22\47"
local NO_TLS = "the server does not support SSL connections"
local UNSUCCESSFUL = "authentication exchange unsuccessful"
-- The minimum of SCRAM iterations that pgmoon accepts; PostgreSQL has no minimum.
local ITERATIONS = 4096

local function int32(number)
    return char(floor(number / 16777216) % 256, floor(number / 65536) % 256, floor(number / 256) % 256, number % 256)
end

-- Formats an ErrorResponse: severity, message and position, and the detail on a line of its own.
local function server_error(self, body)
    if not body then error("attempt to get length of local 'err_msg' (a nil value)", 0) end
    local fields = message.fields(body)
    self.sqlstate = fields.C
    local text = tostring(fields.S) .. ": " .. tostring(fields.M)
    if fields.P then text = text .. " (" .. fields.P .. ")" end
    return fields.D and text .. "\n" .. fields.D or text
end

function driver.new(stack, settings)
    return setmetatable({ stack = stack, settings = settings, stage = "configure" }, driver)
end

-- Connects and sends Kong's first queries.
function driver:connect()
    local settings = self.settings
    self.sock = self.stack.new(settings)
    self.stage = "connect"
    -- Nothing about TLS is in the name of the pool.
    local pool = ("%s:%s:%s:%s"):format(settings.host, settings.port, settings.database, settings.user)
    local ok, err = self.sock:connect(settings.host, tonumber(settings.port), pool)
    if not ok then return nil, err end
    if self.sock.is_reused and self.sock:is_reused() then return self:go_on() end
    self.reached = true
    if settings.ssl then
        ok, err = self:request_tls()
        if not ok then return nil, err end
    end
    self.stage = "auth"
    ok, err = self:start()
    if not ok then return nil, err end
    ok, err = self:authenticate()
    if not ok then return nil, err end
    ok, err = self:until_ready()
    if not ok then return nil, err end
    self.stage = "query"
    -- Kong ignores an error of this query.
    local schema = self:query "SELECT CURRENT_SCHEMA AS schema"
    schema = (type(schema) == "string" and schema or "public"):gsub("'", "''")
    ok, err = self:query("SET SCHEMA '" .. schema .. "';\nSET TIME ZONE 'UTC';")
    if not ok then return nil, err end
    return self:version()
end

-- A connection out of the pool is used as it is.
function driver:go_on()
    self.stage = "query"
    local pid, err = self:query "SELECT pg_backend_pid()"
    if not pid then return nil, err end
    self.pid = pid
    return self:version()
end

-- After any answer but S and E the driver continues in plaintext, unless TLS is required; that the certificate should be
-- verified makes no difference.
function driver:request_tls()
    self.stage = "ssl-request"
    local ok, err = self.sock:send(SSL_REQUEST)
    if not ok then return nil, err end
    local answer
    answer, err = self.sock:receive(1)
    if not answer then return nil, err end
    if answer == "S" then
        self.stage = "handshake"
        ok, err = self.sock:handshake(self.settings)
        if not ok and err:find "^%d+: " then self.stage = "verify" end
        return ok, err
    end
    if answer == "E" or self.settings.ssl_required then return nil, NO_TLS end
    return true
end

function driver:send(kind, body)
    return self.sock:send(kind .. int32(#body + 4) .. body)
end

-- An incomplete body is not an error but nil. Kong's fork drops its socket if it cannot read a message; leafo's pgmoon
-- reads type and length at once.
function driver:receive()
    local header, err
    if self.settings.drops_socket then
        local part = "type"
        header, err = self.sock:receive(1)
        if header then
            local length
            part, length, err = "len", self.sock:receive(4)
            header = length and header .. length
        end
        if not header then
            self.has_dropped_socket = true
            return nil, "receive_message: failed to get " .. part .. ": " .. err
        end
    else
        header, err = self.sock:receive(5)
        if not header then return nil, "receive_message: failed to get type: " .. err end
    end
    local length = to_int(header:sub(2)) - 4
    return header:sub(1, 1), length > 0 and self.sock:receive(length) or length == 0 and "" or nil
end

function driver:start()
    local settings = self.settings
    local parameters = { "user", settings.user, "database", settings.database, "application_name", "pgmoon", "" }
    return self:send("", "\0\3\0\0" .. table.concat(parameters, "\0") .. "\0")
end

function driver:authenticate()
    local kind, body = self:receive()
    if not kind then return nil, body end
    if kind == "E" then return nil, server_error(self, body) end
    if kind ~= "R" then error("unexpected message during auth: " .. kind, 0) end
    if not body then error("attempt to index local 'str' (a nil value)", 0) end
    local method = to_int(body)
    if method == 0 then
        return true
    elseif method == 3 then
        return self:respond(self:password() .. "\0")
    elseif method == 5 then
        local hash = crypto.hex_md5(crypto.hex_md5(self:password() .. self.settings.user) .. body:sub(5, 8))
        return self:respond("md5" .. hash .. "\0")
    elseif method == 10 then
        return self:scram(self:password(), body)
    end
    error("don't know how to auth: " .. tostring(method), 0)
end

function driver:password()
    return self.settings.password or error("missing password, required for connect", 0)
end

-- pgmoon does not check whether a message was sent; it reports the error of the read that follows.
function driver:respond(body)
    self:send("p", body)
    return self:read_result()
end

function driver:read_result()
    local kind, body = self:receive()
    if not kind then return nil, body end
    if kind == "E" then return nil, server_error(self, body) end
    return kind == "R" or error("unknown response from auth", 0)
end

-- SCRAM-SHA-256, with channel binding whenever the server offers it.
function driver:scram(password, request)
    local mechanism, header, channel
    if request:find("SCRAM-SHA-256-PLUS", 1, true) then
        mechanism, header = "SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,"
        local certificate = self.sock:certificate()
        if not certificate then
            error(self.stack.type == "nginx" and "attempt to index local 'ssl' (a nil value)"
                or "attempt to call method 'getpeercertificate' (a nil value)", 0)
        end
        channel = crypto.end_point(certificate, self.settings)
    elseif request:find("SCRAM-SHA-256", 1, true) then
        mechanism, header, channel = "SCRAM-SHA-256", "n,,", ""
    else
        local text = "unsupported SCRAM mechanism name: " .. request
        if self.settings.raises_unknown_mechanism then error(text, 0) end
        return nil, text
    end

    local nonce = crypto.base64(crypto.random(18))
    local first = "n=,r=" .. nonce
    self:send("p", mechanism .. "\0" .. int32(#header + #first) .. header .. first)
    local kind, challenge = self:receive()
    if not kind then return nil, challenge end
    if kind == "E" then server_error(self, challenge) end
    -- pgmoon checks only the number, which an ErrorResponse does not have.
    if to_int(challenge) ~= 11 then return nil, "server_first_message error: " .. challenge end

    challenge = challenge:sub(5)
    local server_nonce = challenge:match "^r=([^,]+)"
    local salt = challenge:match ",s=([^,]+)"
    if not salt then return nil, "malformed server message (salt)" end
    local iterations = challenge:match ",i=(.+)"
    if not iterations then return nil, "malformed server message (iteraton count)" end
    if tonumber(iterations) < ITERATIONS then
        return nil, "the iteration-count sent by the server is less than " .. ITERATIONS
    end
    if not server_nonce or server_nonce:sub(1, #nonce) ~= nonce then return nil, UNSUCCESSFUL end
    local salted = crypto.pbkdf2(password, crypto.from_base64(salt), tonumber(iterations))
    local client_key = crypto.hmac(salted, "Client Key")
    local last = "c=" .. crypto.base64(header .. channel) .. ",r=" .. server_nonce
    local all = first .. "," .. challenge .. "," .. last
    local proof = crypto.xor(client_key, crypto.hmac(crypto.sha256(client_key), all))
    self:send("p", last .. ",p=" .. crypto.base64(proof))

    local final
    kind, final = self:receive()
    if not kind then return nil, final end
    if kind == "E" then
        -- pgmoon discards the server's message.
        server_error(self, final)
        return nil, UNSUCCESSFUL
    end
    local signature = crypto.base64(crypto.hmac(crypto.hmac(salted, "Server Key"), all))
    if kind ~= "R" or to_int(final) ~= 12 or final:match("^v=([^,]+)", 5) ~= signature then
        return nil, UNSUCCESSFUL
    end
    return self:read_result()
end

function driver:until_ready()
    while true do
        local kind, body = self:receive()
        if not kind then return nil, body end
        if kind == "E" then return nil, server_error(self, body) end
        if kind == "K" then self.pid = to_int(body) end
        if kind == "Z" then return true end
    end
end

-- Sends a query and returns the first value of its last row, or true. After an error of the server the driver reads until
-- ReadyForQuery; if the connection ends before, it reports that instead.
function driver:query(query)
    if self.has_dropped_socket then error("attempt to index field 'sock' (a nil value)", 0) end
    -- pgmoon notices a failed send only when it reads.
    self:send("Q", query .. "\0")
    local value, failure = true, nil
    while true do
        local kind, body = self:receive()
        if not kind then return nil, body end
        if kind == "E" then failure = server_error(self, body) end
        -- The value follows two bytes with the number of columns and four with its length.
        if kind == "D" then value = body:sub(7) end
        if kind == "Z" then
            if failure then return nil, failure end
            return value
        end
    end
end

function driver:version()
    self.stage = "query"
    return self:query "SHOW server_version_num;"
end

-- Kong keeps idle cosockets in a pool, and closes sockets of LuaSocket.
function driver:keep()
    if not self.sock.keep then return self:close() end
    assert(self.sock:keep())
end

function driver:drop()
    if self.sock.drop then self.sock:drop() end
end

function driver:close()
    if self.settings.terminates then self:send("X", "") end
    self.sock:close()
end

return driver
