-- The driver's socket on LuaSocket, and LuaSec once the server has agreed to TLS.

local tcp = require("socket").tcp
local ssl = require "ssl"
local crypto = require "crypto"

local socket = require "transport" ()
socket.type = "luasocket"

-- LuaSec reports the first error in OpenSSL's queue. Kong's first attempt finds it empty.
function socket.begin()
    crypto.clear_errors()
end

function socket.new(settings)
    socket.begin()
    local self = setmetatable({ sock = tcp() }, socket)
    self.sock:settimeout(settings.timeout_ms / 1000)
    return self
end

local function excluding(options, versions)
    for version in versions:gmatch "%S+" do
        options[#options + 1] = "no_" .. version
    end
    return options
end

function socket:handshake(settings)
    local options = excluding({ "all", "no_sslv2", "no_sslv3" }, settings.excluded_versions)
    local session, err = ssl.wrap(self.sock, {
        mode = "client",
        protocol = settings.ssl_version,
        key = settings.ssl_cert_key,
        certificate = settings.ssl_cert,
        cafile = settings.trusted,
        verify = settings.ssl_verify and "peer" or "none",
        options = excluding(options, settings.refused_versions),
    })
    if not session then return nil, err end
    self.sock, self.tls = session, true
    return session:dohandshake()
end

-- The handshake that pgmoon calls, by name. It leaves to OpenSSL what Kong's refuses and Debian's does not.
function socket.handshakes(sock, settings)
    local handshake, wrap = sock.sslhandshake, ssl.wrap
    local function sslhandshake(...)
        function ssl.wrap(raw, parameters)
            local options = parameters.options
            options = type(options) == "table" and { unpack(options) } or { options }
            parameters.options = excluding(options, settings.refused_versions)
            ssl.wrap = wrap
            return wrap(raw, parameters)
        end
        return handshake(...)
    end
    return { sslhandshake = sslhandshake }
end

-- The server's certificate, of a proxy that has a LuaSocket or a connection of LuaSec.
function socket.certificate_of(proxy)
    local session = proxy.sock
    local certificate = session.getpeercertificate and session:getpeercertificate()
    local pem = certificate and certificate:pem()
    if not pem then return nil end
    return (require("mime").unb64((pem:gsub("%-%-%-%-%-[^-]+%-%-%-%-%-", ""):gsub("%s", ""))))
end

function socket:certificate()
    return self.tls and socket.certificate_of(self)
end

return socket
