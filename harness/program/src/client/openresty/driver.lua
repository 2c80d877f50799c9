-- Kong's driver, pgmoon, from the TCP connection to `SHOW server_version_num`, on whichever stack it is given.
--
-- Kong puts its prefix before an error that is returned (nil and a text), and prints a raised one bare. pgmoon raises
-- where it asserts, and where it meets what it does not know.

local crypto = require "crypto"
local char, floor = string.char, math.floor

local driver = {}
driver.__index = driver

local SSL_REQUEST = "\0\0\0\8\4\210\22\47"
local NO_TLS = "the server does not support SSL connections"
local UNSUCCESSFUL = "authentication exchange unsuccessful"
-- The fewest iterations of SCRAM that pgmoon accepts; PostgreSQL itself has no such limit.
local ITERATIONS = 4096

local function int32(number)
    return char(floor(number / 16777216) % 256, floor(number / 65536) % 256, floor(number / 256) % 256, number % 256)
end

local function to_int(bytes)
    local a, b, c, d = bytes:byte(1, 4)
    return ((a * 256 + b) * 256 + c) * 256 + d
end

-- An error of the server: severity, message, the position in the query, and the detail on a line of its own.
local function server_error(self, body)
    if not body then error("attempt to get length of local 'err_msg' (a nil value)", 0) end
    local fields = {}
    for kind, value in body:gmatch "(%Z)(%Z*)%z" do
        fields[kind] = value
    end
    self.sqlstate = fields.C
    local text = tostring(fields.S) .. ": " .. tostring(fields.M)
    if fields.P then text = text .. " (" .. fields.P .. ")" end
    return fields.D and text .. "\n" .. fields.D or text
end

function driver.new(stack, settings)
    return setmetatable({ stack = stack, settings = settings, stage = "configure" }, driver)
end

-- Connects, and asks what Kong asks first.
function driver:connect()
    local settings = self.settings
    self.sock = self.stack.new(settings)
    self.stage = "connect"
    local ok, err = self.sock:connect(settings.host, tonumber(settings.port))
    if not ok then return nil, err end
    self.reached = true
    if settings.ssl then
        ok, err = self:ask_for_tls()
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
    -- Of this query Kong ignores the error.
    local schema = self:query "SELECT CURRENT_SCHEMA AS schema"
    schema = (type(schema) == "string" and schema or "public"):gsub("'", "''")
    ok, err = self:query("SET SCHEMA '" .. schema .. "';\nSET TIME ZONE 'UTC';")
    if not ok then return nil, err end
    return self:version()
end

-- Any answer but S and E means to go on in plaintext, unless TLS is required, and also if the certificate was going
-- to be verified.
function driver:ask_for_tls()
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

-- A body that does not come whole is no error, just nothing. Kong's fork lets go of its socket where a message does not
-- come; leafo's reads type and length in one piece.
function driver:receive()
    local header, err
    if self.settings.forgets_socket then
        local part = "type"
        header, err = self.sock:receive(1)
        if header then
            local length
            part, length, err = "len", self.sock:receive(4)
            header = length and header .. length
        end
        if not header then
            self.has_no_socket = true
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
    local how = to_int(body)
    if how == 0 then
        return true
    elseif how == 3 then
        return self:answer(self:password() .. "\0")
    elseif how == 5 then
        local hash = crypto.hex_md5(crypto.hex_md5(self:password() .. self.settings.user) .. body:sub(5, 8))
        return self:answer("md5" .. hash .. "\0")
    elseif how == 10 then
        return self:scram(self:password(), body)
    end
    error("don't know how to auth: " .. tostring(how), 0)
end

function driver:password()
    return self.settings.password or error("missing password, required for connect", 0)
end

-- pgmoon does not look at whether an answer could be sent: it reads next, and reports that.
function driver:answer(body)
    self:send("p", body)
    return self:accepted()
end

function driver:accepted()
    local kind, body = self:receive()
    if not kind then return nil, body end
    if kind == "E" then return nil, server_error(self, body) end
    return kind == "R" or error("unknown response from auth", 0)
end

-- SCRAM-SHA-256, bound to the server's certificate whenever the server offers that.
function driver:scram(password, request)
    local mechanism, header, channel
    if request:find("SCRAM-SHA-256-PLUS", 1, true) then
        mechanism, header = "SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,"
        channel = crypto.end_point(self.sock:certificate(), self.settings)
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
    -- pgmoon looks at the number only: an error of the server is one more message without the right one.
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
        -- The server's own words are not shown.
        server_error(self, final)
        return nil, UNSUCCESSFUL
    end
    local signature = crypto.base64(crypto.hmac(crypto.hmac(salted, "Server Key"), all))
    if kind ~= "R" or to_int(final) ~= 12 or final:match("^v=([^,]+)", 5) ~= signature then
        return nil, UNSUCCESSFUL
    end
    return self:accepted()
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

-- Sends a query, and returns the last row's first value, or true. An error of the server is kept and reading goes on
-- until the server is ready; where the connection ends first, that is what is reported.
function driver:query(query)
    if self.has_no_socket then error("attempt to index field 'sock' (a nil value)", 0) end
    -- pgmoon only sees that sending fails when it reads.
    self:send("Q", query .. "\0")
    local value, failure = true, nil
    while true do
        local kind, body = self:receive()
        if not kind then return nil, body end
        if kind == "E" then failure = server_error(self, body) end
        -- Two bytes of the number of columns, four of the first one's length.
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

function driver:close()
    if self.settings.terminates then self:send("X", "") end
    self.sock:close()
end

return driver
