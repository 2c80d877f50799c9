-- The driver's cryptography, from libcrypto.

local ffi = require "ffi"
local libcrypto = ffi.load "libcrypto.so.3"

ffi.cdef [[
typedef struct evp_md_st EVP_MD;
typedef struct ossl_lib_ctx_st OSSL_LIB_CTX;
EVP_MD *EVP_MD_fetch(OSSL_LIB_CTX *context, const char *algorithm, const char *properties);
void EVP_MD_free(EVP_MD *md);
typedef struct x509_st X509;
const EVP_MD *EVP_get_digestbyname(const char *name);
int EVP_Digest(const void *data, size_t count, unsigned char *md, unsigned int *size, const EVP_MD *type, void *impl);
unsigned char *HMAC(const EVP_MD *md, const void *key, int key_len, const unsigned char *data, size_t data_len,
    unsigned char *out, unsigned int *out_len);
int PKCS5_PBKDF2_HMAC(const char *pass, int passlen, const unsigned char *salt, int saltlen, int iter,
    const EVP_MD *digest, int keylen, unsigned char *out);
int EVP_EncodeBlock(unsigned char *to, const unsigned char *from, int n);
int EVP_DecodeBlock(unsigned char *to, const unsigned char *from, int n);
int RAND_bytes(unsigned char *buf, int num);
X509 *d2i_X509(X509 **x, const unsigned char **in, long length);
void X509_free(X509 *x);
int X509_get_signature_nid(const X509 *x);
int OBJ_find_sigid_algs(int signature, int *digest, int *key);
const char *OBJ_nid2sn(int nid);
void ERR_clear_error(void);
]]

local crypto = {}
local buffer, length = ffi.new "unsigned char[64]", ffi.new "unsigned int[1]"
local SHA256 = libcrypto.EVP_get_digestbyname "SHA256"

local function digest(type, bytes)
    libcrypto.EVP_Digest(bytes, #bytes, buffer, length, type, nil)
    return ffi.string(buffer, length[0])
end

function crypto.sha256(bytes)
    return digest(SHA256, bytes)
end

function crypto.hex_md5(bytes)
    local hash = digest(libcrypto.EVP_get_digestbyname "MD5", bytes)
    return (hash:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
end

function crypto.hmac(key, bytes)
    libcrypto.HMAC(SHA256, key, #key, bytes, #bytes, buffer, length)
    return ffi.string(buffer, length[0])
end

function crypto.pbkdf2(password, salt, iterations)
    libcrypto.PKCS5_PBKDF2_HMAC(password, #password, salt, #salt, iterations, SHA256, 32, buffer)
    return ffi.string(buffer, 32)
end

function crypto.xor(a, b)
    local bytes = {}
    for position = 1, #a do
        bytes[position] = string.char(bit.bxor(a:byte(position), b:byte(position)))
    end
    return table.concat(bytes)
end

function crypto.random(count)
    libcrypto.RAND_bytes(buffer, count)
    return ffi.string(buffer, count)
end

function crypto.base64(bytes)
    local into = ffi.new("unsigned char[?]", math.ceil(#bytes / 3) * 4 + 1)
    return ffi.string(into, libcrypto.EVP_EncodeBlock(into, bytes, #bytes))
end

function crypto.from_base64(text)
    local into = ffi.new("unsigned char[?]", #text)
    local count = libcrypto.EVP_DecodeBlock(into, text, #text)
    -- OpenSSL counts padding as bytes.
    return ffi.string(into, count - #text:match "=*$")
end

-- How each generation of the driver derives the name of a digest from that of a signature algorithm. PostgreSQL uses the
-- digest of the signature, and SHA-256 instead of MD5 and SHA-1 (RFC 5929).
local digest_names = {}

digest_names["kong-2.2.0"] = function(signature)
    local name = signature:lower()
    return (name:match "md5" or name:match "sha1") and "sha256" or name
end
digest_names["kong-2.2.0-on-openresty-1.21.4"] = digest_names["kong-2.2.0"]

digest_names["leafo-1.15.0"] = function(signature)
    local name = signature:lower()
    return (name:match "^md5" or name:match "^sha1") and "sha256" or name
end

digest_names["leafo-1.16.0"] = function(signature)
    local name = signature:lower()
    name = name:match "%-with%-(.*)" or name
    return (name:match "^md5" or name:match "^sha1" or name:match "sha1$") and "sha256" or name
end

digest_names["kong-1.16.2"] = function(signature, nid)
    local name = signature:lower()
    if name:match "^md5" or name:match "^sha1" or name:match "sha1$" or name:match "sha256$" then return "sha256" end
    local digest_nid, key = ffi.new "int[1]", ffi.new "int[1]"
    libcrypto.OBJ_find_sigid_algs(nid, digest_nid, key)
    return ffi.string(libcrypto.OBJ_nid2sn(digest_nid[0]))
end

-- Looks up a digest as the driver's library does. Newer libraries fetch it, which knows fewer names.
local function find_digest(name, settings)
    if settings.x509_library == "lua-resty-openssl" then
        local type = settings.fetches_digests and ffi.gc(libcrypto.EVP_MD_fetch(nil, name, nil), libcrypto.EVP_MD_free)
            or libcrypto.EVP_get_digestbyname(name)
        if type == nil then error(('x509:digest: invalid digest type "%s"'):format(name), 0) end
        return type
    end
    local type = libcrypto.EVP_get_digestbyname(name)
    if type == nil then error(("x509.cert:digest: %s: invalid digest type"):format(name), 0) end
    return type
end

-- The channel binding data `tls-server-end-point`: the hash of the certificate.
function crypto.end_point(der, settings)
    if not settings.finds_tls_session then error("attempt to index local 'ssl' (a nil value)", 0) end
    local from = ffi.new("const unsigned char *[1]", { ffi.cast("const unsigned char *", der) })
    local certificate = ffi.gc(libcrypto.d2i_X509(nil, from, #der), libcrypto.X509_free)
    local nid = libcrypto.X509_get_signature_nid(certificate)
    if nid == 0 then error("attempt to index local 'signature' (a nil value)", 0) end
    local name = digest_names[settings.driver](ffi.string(libcrypto.OBJ_nid2sn(nid)), nid)
    return digest(find_digest(name, settings), der)
end

function crypto.clear_errors()
    libcrypto.ERR_clear_error()
end

return crypto
