//! `kong-pg-tls`, the program.

fn main() -> std::process::ExitCode {
    kong_pg_tls::cli::main()
}
