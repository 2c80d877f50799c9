-- The driver's socket on an nginx cosocket. Its location has the `lua_ssl_*` directives of the cell.

local ffi = require "ffi"
local ssl = require "ngx.ssl"
local libcrypto, libssl = ffi.load "libcrypto.so.3", ffi.load "libssl.so.3"

-- A cosocket does not expose the server's certificate; it is read from nginx's connection. These are the first fields of
-- the structures of nginx and of its Lua module.
ffi.cdef [[
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
    kpt_ssl_connection *ssl;
} kpt_connection;
typedef struct { void *before[9]; kpt_connection *connection; } kpt_upstream;

struct x509_st *SSL_get1_peer_certificate(const struct ssl_st *ssl);
int SSL_get_fd(const struct ssl_st *ssl);
int i2d_X509(struct x509_st *x, unsigned char **out);
]]

local socket = require "transport" ()

local function read(path)
    local file = io.open(path, "rb")
    if not file then return nil end
    local text = file:read "*a"
    file:close()
    return text
end

-- lua-resty-core keeps the code of the last verification error and prepends it to other errors of later handshakes in the
-- same process. Kong's first attempt has no such code, and every attempt here stands for a first one.
local function forget_verify_error(sock)
    local handshake = getmetatable(sock).__index.sslhandshake
    for place = 1, debug.getinfo(handshake, "u").nups do
        local name, value = debug.getupvalue(handshake, place)
        if name == "openssl_error_code" then value[0] = 0 end
    end
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
    forget_verify_error(self.sock)
    return self
end

function socket:handshake(settings)
    local ok, err = self:start_tls(settings)
    self.x509 = not ok and err:match "^(%d+): "
    return ok, err
end

-- Kong's drivers call the handshake in one of three ways.
function socket:start_tls(settings)
    local verify = settings.ssl_verify
    if not settings.sends_certificate then return self.sock:sslhandshake(false, nil, verify) end
    if settings.driver == "kong-2.2.0-on-openresty-1.21.4" then
        -- It reads an option that the driver does not set, and returns the error that others raise.
        verify = false
        if self.cert and not self.key then
            return nil, "client certificate must be supplied with corresponding private key"
        end
    elseif self.cert and not self.key then
        error("client certificate supplied without corresponding private key", 0)
    end
    if self.cert then
        local ok, err = self.sock:setclientcert(self.cert, self.key)
        if not ok then return nil, err end
    end
    return self.sock:sslhandshake(nil, nil, verify)
end

-- The server's certificate.
function socket:certificate()
    local upstream = ffi.cast("kpt_upstream *", self.sock[1])
    local connection = upstream.connection
    if connection == nil or connection.ssl == nil then return nil end
    -- Another build of nginx may lay out its structures differently.
    assert(connection.data == ffi.cast("void *", upstream), "this nginx's connections are laid out differently")
    assert(libssl.SSL_get_fd(connection.ssl.connection) == connection.fd, "this nginx's TLS connections are laid out differently")
    local certificate = libssl.SSL_get1_peer_certificate(connection.ssl.connection)
    if certificate == nil then return nil end
    ffi.gc(certificate, libcrypto.X509_free)
    local der = ffi.new("unsigned char[?]", libcrypto.i2d_X509(certificate, nil))
    return ffi.string(der, libcrypto.i2d_X509(certificate, ffi.new("unsigned char *[1]", { der })))
end

return socket
