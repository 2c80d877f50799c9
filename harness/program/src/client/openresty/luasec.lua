-- The driver's socket on LuaSocket, and LuaSec once the server has agreed to TLS.

local tcp = require("socket").tcp
local ssl = require "ssl"
local crypto = require "crypto"

local socket = require "transport" ()

function socket.new(settings)
    -- LuaSec reports the first error in OpenSSL's queue. Kong's first attempt finds it empty.
    crypto.clear_errors()
    local self = setmetatable({ sock = tcp() }, socket)
    self.sock:settimeout(settings.timeout_ms / 1000)
    return self
end

function socket:handshake(settings)
    local options = { "all", "no_sslv2", "no_sslv3" }
    for version in settings.excluded_versions:gmatch "%S+" do
        options[#options + 1] = "no_" .. version
    end
    local session, err = ssl.wrap(self.sock, {
        mode = "client",
        protocol = settings.ssl_version,
        key = settings.ssl_cert_key,
        certificate = settings.ssl_cert,
        cafile = settings.trusted,
        verify = settings.ssl_verify and "peer" or "none",
        options = options,
    })
    if not session then return nil, err end
    self.sock, self.tls = session, true
    return session:dohandshake()
end

function socket:certificate()
    local certificate = self.tls and self.sock:getpeercertificate()
    local pem = certificate and certificate:pem()
    if not pem then return nil end
    return (require("mime").unb64((pem:gsub("%-%-%-%-%-[^-]+%-%-%-%-%-", ""):gsub("%s", ""))))
end

return socket
