-- Gives a process the properties of Kong's: no terminal, and not root's permission to read every file.

local ffi = require "ffi"

ffi.cdef [[
int setsid(void);
int kill(int pid, int signal);
int dup(int fd);
int dup2(int from, int to);
int open(const char *path, int flags);
int close(int fd);
int getpid(void);
int getppid(void);
typedef struct { int fd; short events, revents; } kpt_poll;
int poll(kpt_poll *of, unsigned long count, int timeout);
typedef struct { uint32_t version; int pid; } kpt_capability_header;
typedef struct { uint32_t effective, permitted, inheritable; } kpt_capability_data;
int capget(kpt_capability_header *header, kpt_capability_data *data);
int capset(kpt_capability_header *header, const kpt_capability_data *data);
]]

local CAPABILITY_VERSION_3 = 0x20080522
local DAC_OVERRIDE_AND_READ_SEARCH = 0x6
local SIGTERM, POLLHUP = 15, 16

-- nginx's master loads this before it starts a worker.
local master = ffi.C.getpid()

local process = {}

-- The process id.
function process.id()
    return ffi.C.getpid()
end

-- Detaches from the terminal, on which OpenSSL would ask for the passphrase of an encrypted key.
function process.leave_terminal()
    ffi.C.setsid()
end

-- Replaces standard input, which OpenSSL would read the passphrase from. The harness is then at the other end of another
-- descriptor.
function process.leave_standard_input()
    process.harness = ffi.C.dup(0)
    local nothing = ffi.C.open("/dev/null", 0)
    ffi.C.dup2(nothing, 0)
    ffi.C.close(nothing)
end

-- Gives up root's permission to read every file, as Kong does not run as root.
function process.read_like_kong()
    local header = ffi.new("kpt_capability_header", CAPABILITY_VERSION_3, 0)
    local data = ffi.new "kpt_capability_data[2]"
    ffi.C.capget(header, data)
    data[0].effective = bit.band(data[0].effective, bit.bnot(DAC_OVERRIDE_AND_READ_SEARCH))
    ffi.C.capset(header, data)
end

-- Whether the harness, at the other end of the original standard input, has ended.
function process.harness_has_ended()
    local harness = ffi.new("kpt_poll", process.harness)
    return ffi.C.poll(harness, 1, 0) == 1 and bit.band(harness.revents, POLLHUP) ~= 0
end

-- Stops nginx from one of its workers. A worker whose master has been killed has another parent, such as the harness or
-- init, and only ends itself.
function process.stop_nginx()
    local parent = ffi.C.getppid()
    ffi.C.kill(parent == master and parent or ffi.C.getpid(), SIGTERM)
end

return process
