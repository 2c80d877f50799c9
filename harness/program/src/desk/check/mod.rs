//! `kong-pg-tls check`: what is wrong with a configuration of Kong's, before Kong is started with it, or after it was.
//!
//! Readers turn what operators have into one [`Configuration`] with places, small rules look at it, and reporters show
//! what they find. Nothing is guessed: the catalog names the cases of the suite that prove each fault.

pub mod catalog;
mod configuration;
pub mod fault;
mod input;
pub mod live;
mod material;
pub mod output;
mod rules;
pub mod scenario;
mod server;
mod severity;

use std::path::{Path, PathBuf};

use kong_pg_client::Profile;

use catalog::Code;
use configuration::{Configuration, Source};
use fault::{Fault, Place};
use server::{PostgresqlConf, Server};

pub use input::{ContentError, InputError, Kind};

/// What to check, and how.
#[derive(Debug, Clone)]
pub struct Request {
    /// kong.conf, or another file with Kong's settings.
    pub file: Option<PathBuf>,
    /// What kind of file that is, if it is not to be recognized by its content.
    pub kind: Option<Kind>,
    /// Files of variables, which take the environment's place.
    pub env_files: Vec<PathBuf>,
    /// A prefix in which an earlier Kong may have left its settings.
    pub prefix: Option<PathBuf>,
    /// The folder that is the root directory of Kong's container.
    pub root: Option<PathBuf>,
    /// postgresql.conf.
    pub postgresql: Option<PathBuf>,
    /// pg_hba.conf.
    pub hba: Option<PathBuf>,
    /// pg_ident.conf.
    pub ident: Option<PathBuf>,
    /// The release that reads Kong's settings.
    pub profile: Profile,
    /// The major version of the server.
    pub major: u16,
    /// How many days before its end a certificate counts as expiring.
    pub days: u32,
}

/// What a check found.
#[derive(Debug)]
pub struct Report {
    /// The release.
    pub release: String,
    /// What was read.
    pub inputs: Vec<String>,
    /// What is wrong, by place.
    pub faults: Vec<Fault>,
}

impl Report {
    /// Nothing was read, and nothing was found.
    #[must_use]
    pub fn empty(request: &Request) -> Self {
        Self { release: request.profile.to_string(), inputs: Vec::new(), faults: Vec::new() }
    }

    /// Whether anything is wrong.
    #[must_use]
    pub fn is_faulty(&self) -> bool {
        self.faults.iter().any(Fault::counts)
    }
}

/// Where Kong looks for its kong.conf if none is named.
const DEFAULT_FILES: [&str; 2] = ["/etc/kong/kong.conf", "/etc/kong.conf"];

/// Reads everything that was named, and checks it.
///
/// # Errors
/// A file cannot be read or is not what it should be, or there is none.
pub fn check(request: &Request) -> Result<Report, InputError> {
    let (mut inputs, kongs, mut faults) = kongs(request)?;
    let server = read_server(request, &mut inputs)?;
    if kongs.is_empty() && server.is_none() {
        return Err(InputError::Nothing);
    }
    for kong in &kongs {
        if let Some(prefix) = &request.prefix {
            faults.extend(stale(kong, &input::kong_env(prefix)?));
        }
    }
    faults.extend(rules::check(&kongs, server.as_ref(), request.days));
    faults.sort();
    faults.dedup();
    Ok(Report { release: request.profile.to_string(), inputs, faults })
}

/// The settings in a file, by name: of the first Kong, if there are several; those that come from elsewhere are left out.
///
/// # Errors
/// The file cannot be read, or is not what it should be.
pub fn read_settings(file: &Path) -> Result<Vec<(String, String)>, InputError> {
    let (_, sources) = input::read(file, None)?;
    let settings = sources.into_iter().next().map(|source| source.settings).unwrap_or_default();
    Ok(settings.into_iter().filter_map(|setting| Some((setting.key.clone(), setting.text()?.to_owned()))).collect())
}

/// The file with Kong's settings: the one named, or the one that Kong finds by itself.
fn kong_file(request: &Request) -> Option<PathBuf> {
    let found = || DEFAULT_FILES.iter().map(PathBuf::from).find(|path| path.exists());
    let about_server = request.postgresql.is_some() || request.hba.is_some() || request.ident.is_some();
    request.file.clone().or_else(|| found().filter(|_| request.env_files.is_empty() && !about_server))
}

type Kongs = (Vec<String>, Vec<Configuration>, Vec<Fault>);

/// The configurations of all Kongs, and what is wrong with the way in which they are written.
fn kongs(request: &Request) -> Result<Kongs, InputError> {
    let mut inputs = Vec::new();
    let mut variables = Vec::new();
    for path in &request.env_files {
        inputs.push(path.display().to_string());
        let (kind, sources) = input::read(path, Some(Kind::EnvFile).filter(|_| input::is_lines(path)))?;
        debug_assert!(kind != Kind::KongConf, "lines are read as variables");
        variables.extend(sources);
    }
    let mut faults: Vec<_> = variables.iter().flat_map(|source| source.faults.clone()).collect();
    let (mut bases, mut of_containers) = (Vec::new(), Vec::new());
    if let Some(path) = kong_file(request) {
        inputs.insert(0, path.display().to_string());
        let (kind, sources) = input::read(&path, request.kind)?;
        faults.extend(sources.iter().flat_map(|source| source.faults.clone()));
        if matches!(kind, Kind::KongConf | Kind::EnvFile) { bases = sources } else { of_containers = sources }
    }
    let environment = input::environment();
    let uses_environment = request.env_files.is_empty() && of_containers.is_empty() && !environment.settings.is_empty();
    if uses_environment {
        inputs.push("environment".into());
    }
    if inputs.is_empty() {
        return Ok((inputs, Vec::new(), faults));
    }
    let place = Place::file(inputs[0].clone());
    let build =
        |sources: &[&Source]| Configuration::new(sources, &request.profile, request.root.as_deref(), place.clone());
    let common: Vec<_> = bases.iter().chain(&variables).collect();
    let kongs = if of_containers.is_empty() {
        vec![build(&[common, if uses_environment { vec![&environment] } else { Vec::new() }].concat())]
    } else {
        of_containers.iter().map(|source| build(&[common.clone(), vec![source]].concat())).collect()
    };
    let labels: Vec<_> = kongs.iter().filter_map(|kong| kong.label.as_deref()).collect();
    if !labels.is_empty() {
        inputs[0] = format!("{} ({})", inputs[0], labels.join(", "));
    }
    Ok((inputs, kongs, faults))
}

fn read_server(request: &Request, inputs: &mut Vec<String>) -> Result<Option<Server>, InputError> {
    let paths = [&request.postgresql, &request.hba, &request.ident];
    inputs.extend(paths.into_iter().flatten().map(|path| path.display().to_string()));
    if paths.iter().all(|path| path.is_none()) {
        return Ok(None);
    }
    let name = |path: &Path| path.display().to_string();
    let major = request.major;
    let hba = |path: &PathBuf| Ok::<_, InputError>((name(path), server::hba::read(path, major)?));
    let ident = |path: &PathBuf| Ok::<_, InputError>((name(path), server::ident::read(path)?));
    Ok(Some(Server {
        conf: request.postgresql.as_deref().map(PostgresqlConf::read).transpose()?,
        hba: request.hba.as_ref().map(hba).transpose()?,
        ident: request.ident.as_ref().map(ident).transpose()?,
        major,
    }))
}

/// The settings that are read from a file, for the tests of what writes such files.
#[cfg(test)]
pub(super) fn settings_in(path: &Path) -> Result<Vec<(String, String)>, InputError> {
    let (_, sources) = input::read(path, None)?;
    let settings = sources.into_iter().flat_map(|source| source.settings);
    Ok(settings.map(|setting| (setting.key.clone(), setting.text().unwrap_or_default().to_owned())).collect())
}

/// Settings that an earlier Kong has left in its prefix, and that the command line takes instead of kong.conf's.
fn stale(kong: &Configuration, left: &Source) -> Vec<Fault> {
    let words =
        |text: &str| text.split([' ', ',']).filter(|word| !word.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let now = |key: &str| match key {
        "lua_ssl_verify_depth" => Some(kong.main.depth.to_string()),
        "lua_ssl_protocols" => Some(kong.main.protocols.clone()),
        // `system` is the path of the system's file in what Kong leaves behind.
        _ => kong.text(key).filter(|value| !value.contains("system")).map(str::to_owned),
    };
    let differs = |key: &&str| {
        let then = left.settings.iter().rev().find(|setting| setting.key == **key)?;
        let (then, now) = (then.text()?, now(key)?);
        (words(then) != words(&now)).then(|| (then.to_owned(), now, kong.place_of(key)))
    };
    let keys = ["lua_ssl_trusted_certificate", "lua_ssl_verify_depth", "lua_ssl_protocols"];
    let found = keys.iter().filter_map(|key| Some((key, differs(key)?)));
    found
        .map(|(key, (then, now, place))| {
            let what = format!("{key} is {now}, and was {then} when the prefix was made");
            Fault::new(Code::StalePrefix, place, what)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A kong.conf as a release reads it.
    pub(super) fn kong(text: &str, release: &str) -> Configuration {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("kong.conf");
        std::fs::write(&path, text).expect("a file");
        let (_, sources) = input::read(&path, Some(Kind::KongConf)).expect("a kong.conf");
        let profile = release.parse().expect("a release");
        Configuration::new(&sources.iter().collect::<Vec<_>>(), &profile, None, Place::file("kong.conf"))
    }

    /// A server.
    pub(super) fn server(conf: &str, hba: Option<&str>, ident: Option<&str>) -> Server {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("a file");
            path
        };
        let named = |name: &str, text: &str| (name.to_owned(), write(name, text));
        Server {
            conf: Some(PostgresqlConf::read(&write("postgresql.conf", conf)).expect("a configuration")),
            hba: hba
                .map(|text| named("pg_hba.conf", text))
                .map(|(name, path)| (name, server::hba::read(&path, 18).expect("lines"))),
            ident: ident
                .map(|text| named("pg_ident.conf", text))
                .map(|(name, path)| (name, server::ident::read(&path).expect("lines"))),
            major: 18,
        }
    }

    pub(super) fn codes(faults: &[Fault]) -> Vec<Code> {
        faults.iter().map(|fault| fault.code).collect()
    }

    /// The codes of those that make a configuration a faulty one.
    pub(super) fn counting(faults: &[Fault]) -> Vec<Code> {
        faults.iter().filter(|fault| fault.counts()).map(|fault| fault.code).collect()
    }

    #[test]
    fn settings_that_an_earlier_kong_has_left_are_found() {
        let kong = kong("lua_ssl_trusted_certificate = /new.crt\npg_ssl = on", "3.9-oss");
        let folder = tempfile::tempdir().expect("a folder");
        let left =
            "lua_ssl_trusted_certificate = /old.crt\nlua_ssl_verify_depth = 1\nlua_ssl_protocols = TLSv1.2 TLSv1.3\n";
        std::fs::write(folder.path().join(".kong_env"), left).expect("a file");
        let faults = stale(&kong, &input::kong_env(folder.path()).expect("settings"));
        assert_eq!(codes(&faults), [Code::StalePrefix]);
    }
}
