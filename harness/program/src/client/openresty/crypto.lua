-- What the driver needs of OpenSSL, straight from libcrypto.

local ffi = require "ffi"
local libcrypto = ffi.load "libcrypto.so.3"

ffi.cdef [[
typedef struct evp_md_st EVP_MD;
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
const char *OBJ_nid2ln(int nid);
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
    -- Padding counts as bytes there.
    return ffi.string(into, count - #text:match "=*$")
end

-- `tls-server-end-point`: the hash of the certificate, with the digest it is signed with; or what the driver raises of
-- a signature that it cannot bind to.
function crypto.end_point(der, settings)
    local from = ffi.new("const unsigned char *[1]", { ffi.cast("const unsigned char *", der) })
    local certificate = ffi.gc(libcrypto.d2i_X509(nil, from, #der), libcrypto.X509_free)
    local signature = libcrypto.X509_get_signature_nid(certificate)
    local of, key = ffi.new "int[1]", ffi.new "int[1]"
    local known = libcrypto.OBJ_find_sigid_algs(signature, of, key) == 1 and of[0] ~= 0
    local kind = known and ffi.string(libcrypto.OBJ_nid2sn(key[0]))
    if not known or not (" " .. settings.bindable .. " "):find(" " .. kind .. " ", 1, true) then
        local name = ffi.string(libcrypto.OBJ_nid2ln(signature)):lower()
        error((settings.unbindable:gsub("{signature}", name)), 0)
    end
    local name = ffi.string(libcrypto.OBJ_nid2sn(of[0]))
    -- MD5 and SHA-1 are taken for SHA-256 here, says RFC 5929.
    if name == "MD5" or name == "SHA1" then name = "SHA256" end
    return digest(libcrypto.EVP_get_digestbyname(name), der)
end

function crypto.forget_errors()
    libcrypto.ERR_clear_error()
end

return crypto
