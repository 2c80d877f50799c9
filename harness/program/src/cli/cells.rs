//! The options that select cells.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use kong_pg_client::Stack;
use kong_pg_scenarios::plan::Shard;
use kong_pg_scenarios::suite::Suite;
use kong_pg_scenarios::vocabulary::{ClientKind, KongImage};
use postgres_tls_server::{InvalidMajor, Major};
use strum::VariantNames;

use super::ReleaseArgs;
use crate::desk::naming::NamedCell;
use crate::session::{CellRequest, ClientRequest, Options, RuntimeChoice, RuntimeRequest, SessionError, clients_of};

/// Which cells, and where they run.
#[derive(Debug, Args)]
pub(super) struct CellArgs {
    /// Cells whose id, or its `scenario/path::case-slug`, matches; all cells if none is given.
    #[arg(value_name = "ID-GLOB")]
    pub(super) globs: Vec<String>,
    /// Where PostgreSQL runs: in containers, as local processes, or `auto`: each major in containers if an engine
    /// answers and has an image of it, otherwise as local processes.
    #[arg(long, value_parser = word::<RuntimeChoice>(), default_value = "auto", env = "KONG_PG_TLS_RUNTIME")]
    pub(super) runtime: RuntimeChoice,
    /// PostgreSQL majors, or `all` that are available, in images or as programs.
    #[arg(long, value_name = "13,17|all", value_parser = majors, default_value = "all", env = "KONG_PG_TLS_POSTGRES")]
    pub(super) postgres: Listed<Major>,
    /// The image of a major; by default postgres:MAJOR or kong-pg-tls/postgres:MAJOR.
    #[arg(long, value_name = "MAJOR=IMAGE", value_parser = image)]
    pub(super) image: Vec<(Major, String)>,
    /// Clients; by default `kong`, this program's emulation of Kong.
    #[arg(long, value_parser = word::<ClientKind>(), value_delimiter = ',')]
    pub(super) client: Vec<ClientKind>,
    /// Use real Kongs as a client, from these images, each of another release: `3.13=REF,3.14=REF`. The release is read
    /// from the image if it is not named.
    #[arg(long, value_name = "IMAGE,..", value_delimiter = ',')]
    pub(super) kong_image: Vec<KongImage>,
    /// Use Kong's real driver as a client: checkouts of pgmoon, Kong's and leafo's or one of them, and of
    /// lua-resty-openssl, which both need.
    #[arg(long, value_name = "DIR,..", value_delimiter = ',')]
    pub(super) pgmoon: Vec<PathBuf>,
    /// Run the clients openresty and pgmoon in this image, with its OpenSSL, instead of on this machine's nginx:
    /// kong-pg-tls/openresty:trixie.
    #[arg(long, value_name = "IMAGE")]
    pub(super) openresty_image: Option<String>,
    /// Use an external program as a client; docs/client-protocol.md describes the protocol.
    #[arg(long, value_name = "COMMAND")]
    pub(super) client_command: Option<String>,
    /// Kong's TLS stacks.
    #[arg(long, value_parser = stack(), value_delimiter = ',', default_value = "luasec,cosocket")]
    pub(super) stack: Vec<Stack>,
    /// Kong releases, `latest`, or `all`; by default those that a case is about, or else those of --kong-image,
    /// or else the latest.
    #[arg(long, value_name = "RELEASE,..|all", value_delimiter = ',')]
    pub(super) kong: Vec<String>,
    #[command(flatten)]
    pub(super) releases: ReleaseArgs,
    /// Only the K-th of N parts of the cells.
    #[arg(long, value_name = "K/N")]
    pub(super) shard: Option<Shard>,
    /// Use the scenarios of this folder instead of the built-in ones.
    #[arg(long, value_name = "DIR")]
    pub(super) scenarios: Option<PathBuf>,
}

/// One cell.
#[derive(Debug, Args)]
pub(super) struct OneCellArgs {
    /// A case, a glob for one, or the id of a cell: `crl/files::no-such-file@pg15+kong-latest+kong-luasec`.
    #[arg(value_name = "CELL|CASE")]
    cell: String,
    /// The PostgreSQL major, instead of that of the cell.
    #[arg(long, value_name = "MAJOR")]
    postgres: Option<Major>,
    /// The release of Kong, instead of that of the cell or the case's own.
    #[arg(long, value_name = "RELEASE")]
    kong: Option<String>,
    #[command(flatten)]
    releases: ReleaseArgs,
    /// Use the scenarios of this folder instead of the built-in ones.
    #[arg(long, value_name = "DIR")]
    scenarios: Option<PathBuf>,
}

/// Where a server runs.
#[derive(Debug, Args)]
pub(super) struct RuntimeArgs {
    /// Where PostgreSQL runs: in a container, as a local process, or `auto`: in a container if an engine answers and has
    /// an image, otherwise as a local process.
    #[arg(long, value_parser = word::<RuntimeChoice>(), default_value = "auto", env = "KONG_PG_TLS_RUNTIME")]
    runtime: RuntimeChoice,
    /// The image of a major; by default postgres:MAJOR or kong-pg-tls/postgres:MAJOR.
    #[arg(long, value_name = "MAJOR=IMAGE", value_parser = image)]
    image: Vec<(Major, String)>,
}

impl RuntimeArgs {
    pub(super) fn request(&self) -> RuntimeRequest {
        RuntimeRequest { choice: self.runtime, images: self.image.clone() }
    }
}

impl OneCellArgs {
    /// The scenarios that can contain the cell. If there are none, the whole suite, so that the error names a similar case.
    pub(super) fn suite(&self) -> Result<Suite, SessionError> {
        let (scenarios, release_files) = (self.scenarios.clone(), self.releases.files.clone());
        let globs = vec![self.cell.clone()];
        let request = CellRequest { scenarios, globs, release_files, ..CellRequest::default() };
        let suite = request.suite()?;
        if suite.scenarios.is_empty() { CellRequest { globs: Vec::new(), ..request }.suite() } else { Ok(suite) }
    }

    pub(super) fn named(&self, default_major: Major) -> NamedCell {
        let Self { cell, postgres, kong, .. } = self;
        NamedCell { name: cell.clone(), major: *postgres, default_major, release: kong.clone() }
    }
}

/// Several values of one option.
#[derive(Debug, Clone)]
pub(super) struct Listed<T>(pub(super) Vec<T>);

/// One of a closed list of words, which `--help` lists, too.
pub(super) fn word<T>() -> impl TypedValueParser<Value = T>
where
    T: VariantNames + std::str::FromStr<Err = strum::ParseError> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(T::VARIANTS).try_map(|text| text.parse::<T>())
}

fn stack() -> impl TypedValueParser<Value = Stack> {
    PossibleValuesParser::new(Stack::ALL.iter().map(Stack::to_string))
        .try_map(|text| text.parse::<Stack>().map_err(io::Error::other))
}

pub(super) fn majors(text: &str) -> Result<Listed<Major>, InvalidMajor> {
    if text == "all" { Ok(Listed(Vec::new())) } else { listed(text) }
}

fn listed<T: std::str::FromStr>(text: &str) -> Result<Listed<T>, T::Err> {
    text.split(',').map(str::parse).collect::<Result<_, _>>().map(Listed)
}

pub(super) fn image(text: &str) -> Result<(Major, String), Box<dyn Error + Send + Sync>> {
    let (major, image) = text.split_once('=').ok_or("expected an image like 17=postgres:17-alpine")?;
    Ok((major.parse()?, image.to_owned()))
}

impl CellArgs {
    pub(super) fn options(&self) -> Options {
        let clients = ClientRequest {
            kong_images: self.kong_image.clone(),
            pgmoon: self.pgmoon.clone(),
            openresty_image: self.openresty_image.clone(),
            command: self.client_command.clone(),
        };
        let cells = CellRequest {
            scenarios: self.scenarios.clone(),
            globs: self.globs.clone(),
            shard: self.shard,
            majors: self.postgres.0.clone(),
            releases: self.kong.clone(),
            release_files: self.releases.files.clone(),
            clients: clients_of(&self.client, &clients),
            stacks: self.stack.clone(),
        };
        let runtime = RuntimeRequest { choice: self.runtime, images: self.image.clone() };
        Options { cells, runtime, clients, ..Options::default() }
    }
}
