//! Limits that Kong's driver does not have, so that no server can exhaust the memory or the time of a test.
//!
//! A PostgreSQL stays far below them. An attempt that they end is refused in words that say so, and that are none of
//! Kong's.

/// How many bytes are taken from the network, TLS included, for one login or one query. pgmoon keeps a message of up to
/// 2 GiB, and reads others without end.
pub const BYTES: usize = 4 << 20;

/// How many iterations of SCRAM are calculated, which is about a second's work. PostgreSQL's default is 4,096; a server may
/// ask for 4,294,967,295.
pub const SCRAM_ITERATIONS: u32 = 1_000_000;
