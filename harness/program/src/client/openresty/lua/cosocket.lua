-- The driver's socket on an nginx cosocket. Its location has the `lua_ssl_*` directives of the cell.

local ffi = require "ffi"
local ssl = require "ngx.ssl"
local libcrypto, libssl = ffi.load "libcrypto.so.3", ffi.load "libssl.so.3"

-- A cosocket does not expose the server's certificate; it is read from nginx's connection. These are the first fields of
-- the structures of nginx and of its Lua module. nginx has QUIC since 1.25.
local declarations = [[
typedef struct { struct ssl_st *connection; } kpt_ssl_connection;
typedef struct {
    void *data, *read, *write;
    int fd;
    void *recv, *send, *recv_chain, *send_chain, *listening;
    int64_t sent;
    void *log, *pool;
    int type;
    void *sockaddr;
    unsigned int socklen;
    struct { size_t len; unsigned char *data; } addr_text;
    void *proxy_protocol;
    QUIC
    kpt_ssl_connection *ssl;
} kpt_connection;
typedef struct { void *before[9]; kpt_connection *connection; } kpt_upstream;

struct x509_st *SSL_get1_peer_certificate(const struct ssl_st *ssl);
int SSL_get_fd(const struct ssl_st *ssl);
int i2d_X509(struct x509_st *x, unsigned char **out);
void X509_free(struct x509_st *x);
]]
ffi.cdef((declarations:gsub("QUIC", ngx.config.nginx_version >= 1025000 and "void *quic;" or "")))

local socket = require "transport" ()
socket.type = "nginx"

local function read(path)
    local file = io.open(path, "rb")
    if not file then return nil end
    local text = file:read "*a"
    file:close()
    return text
end

-- Nothing is left of an earlier attempt until the handshake.
function socket.begin() end

-- lua-resty-core keeps the code of the last verification error and prepends it to other errors with which a later
-- handshake in the same process fails at once. Kong's first attempt has no such code, and every attempt here stands for a
-- first one. Another cell's handshake may fail at any time, so the code is taken away directly before the handshake.
local function sslhandshake(sock, ...)
    local handshake = getmetatable(ngx.socket.tcp()).__index.sslhandshake
    for place = 1, debug.getinfo(handshake, "u").nups do
        local name, value = debug.getupvalue(handshake, place)
        if name == "openssl_error_code" then value[0] = 0 end
    end
    return handshake(sock, ...)
end

-- The driver reads the client certificate before it connects, if both files are set, and raises an error if it cannot.
function socket.new(settings)
    local self = setmetatable({ sock = ngx.socket.tcp() }, socket)
    if settings.sends_certificate then
        self.cert, self.key = settings.ssl_cert, settings.ssl_cert_key
        if self.cert and self.key then
            self.key = assert(ssl.parse_pem_priv_key(read(self.key)))
            self.cert = assert(ssl.parse_pem_cert(read(self.cert)))
        end
    end
    self.sock:settimeout(tonumber(settings.timeout_ms))
    return self
end

-- Every request of the harness has pools of its own: cells follow each other on the same server.
function socket:connect(host, port, pool)
    self.address = { host, port, { pool = ngx.var.connection .. ":" .. pool } }
    return self.sock:connect(unpack(self.address))
end

function socket:keep()
    return self.sock:setkeepalive(60000)
end

-- Closes the connection that was kept.
function socket:drop()
    local sock = ngx.socket.tcp()
    if sock:connect(unpack(self.address)) then sock:close() end
end

function socket:is_reused()
    return self.sock:getreusedtimes() > 0
end

function socket:handshake(settings)
    local ok, err = self:start_tls(settings)
    self.x509 = not ok and err:match "^(%d+): "
    return ok, err
end

-- The `tlshandshake` of Kong's OpenResty, which stock nginx does not have. That of 1.21.4 reads an option that the driver
-- does not set, and returns the error that others raise.
local function tlshandshake(sock, options, of_1_21_4)
    local cert, key, verify = options.client_cert, options.client_priv_key, options.verify
    if of_1_21_4 then verify = options.ssl_verify end
    if cert and not key then
        if of_1_21_4 then return nil, "client certificate must be supplied with corresponding private key" end
        error("client certificate supplied without corresponding private key", 0)
    end
    if cert then
        local ok, err = sock:setclientcert(cert, key)
        if not ok then return nil, err end
    end
    return sslhandshake(sock, nil, nil, verify)
end

local function is_of_1_21_4(settings)
    return settings.driver == "kong-2.2.0-on-openresty-1.21.4"
end

-- Kong's drivers call the handshake in one of three ways.
function socket:start_tls(settings)
    if not settings.sends_certificate then return sslhandshake(self.sock, false, nil, settings.ssl_verify) end
    local options = { client_cert = self.cert, client_priv_key = self.key, verify = settings.ssl_verify }
    return tlshandshake(self.sock, options, is_of_1_21_4(settings))
end

-- The handshakes that pgmoon may call on a cosocket, by name.
function socket.handshakes(sock, settings)
    return {
        sslhandshake = sslhandshake,
        tlshandshake = function(_, options) return tlshandshake(sock, options, is_of_1_21_4(settings)) end,
    }
end

-- The TLS session of a cosocket, if it has one.
local function session_of(sock)
    local upstream = ffi.cast("kpt_upstream *", sock[1])
    local connection = upstream.connection
    if connection == nil or connection.ssl == nil then return nil end
    -- Another build of nginx may lay out its structures differently.
    assert(connection.data == ffi.cast("void *", upstream), "this nginx's connections are laid out differently")
    local session = connection.ssl.connection
    assert(libssl.SSL_get_fd(session) == connection.fd, "this nginx's TLS connections are laid out differently")
    return session
end

-- lua-resty-openssl asks a C module for it, which Kong's nginx has.
package.preload["resty.openssl.auxiliary.nginx_c"] = function()
    return {
        get_socket_ssl = function(sock)
            local session = session_of(sock)
            if not session then return nil, "the connection has no TLS" end
            return session
        end,
    }
end

-- The server's certificate.
function socket.certificate_of(sock)
    local session = session_of(sock)
    local certificate = session and libssl.SSL_get1_peer_certificate(session)
    if certificate == nil then return nil end
    ffi.gc(certificate, libcrypto.X509_free)
    local der = ffi.new("unsigned char[?]", libcrypto.i2d_X509(certificate, nil))
    return ffi.string(der, libcrypto.i2d_X509(certificate, ffi.new("unsigned char *[1]", { der })))
end

function socket:certificate()
    return socket.certificate_of(self.sock)
end

return socket
