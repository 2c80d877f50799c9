//! Readers: from what operators have (kong.conf, the environment, files of container engines) to settings with places.

mod containers;
mod file;
mod lines;
mod node;

use std::path::Path;

pub use file::{ContentError, InputError, Kind};
pub(super) use file::{read_included, read_text};
pub(super) use lines::{environment, kong_env, unquoted};

use self::file::wrong;
use super::configuration::Source;

/// Reads the settings of a file, one source for each container in it.
///
/// # Errors
/// It cannot be read, or is not what it should be.
pub(super) fn read(path: &Path, kind: Option<Kind>) -> Result<(Kind, Vec<Source>), InputError> {
    let text = read_text(path)?;
    let kind = kind.unwrap_or_else(|| detect(&text));
    let name = path.display().to_string();
    let sources = match kind {
        Kind::KongConf => vec![lines::kong_conf(&name, &text).map_err(|why| wrong(path, "a kong.conf", why))?],
        Kind::EnvFile => vec![lines::env_file(&name, &text).map_err(|why| wrong(path, "a file of variables", why))?],
        yaml => {
            let documents = node::parse(&text).map_err(|why| wrong(path, expected(yaml), why))?;
            containers::read(&name, &documents, yaml).map_err(|why| wrong(path, expected(yaml), why))?
        }
    };
    Ok((kind, sources))
}

/// Whether a file is one of lines, and not of YAML or JSON.
pub(super) fn is_lines(path: &Path) -> bool {
    read_text(path).is_ok_and(|text| matches!(detect(&text), Kind::KongConf | Kind::EnvFile))
}

fn expected(kind: Kind) -> &'static str {
    match kind {
        Kind::KongConf => "a kong.conf",
        Kind::EnvFile => "a file of variables",
        Kind::DockerInspect => "the output of docker inspect",
        Kind::Compose => "a docker-compose file with Kong in it",
        Kind::Kubernetes => "a Kubernetes manifest with Kong in it",
        Kind::Helm => "a file of Helm values for Kong",
    }
}

/// What kind of file a text looks like.
fn detect(text: &str) -> Kind {
    let mut counts = (0, 0, 0);
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';'])) {
        let bare = line.strip_prefix("export ").unwrap_or(line);
        let name = bare.split(['=', ':']).next().unwrap_or_default().trim();
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '"' | ' ' | '/');
        let behind = bare[name.len()..].trim_start_matches(' ');
        if !name.chars().all(word) || name.is_empty() {
            continue;
        }
        if behind.starts_with('=') {
            let variable = name.starts_with(char::is_uppercase) && !name.contains(['-', ' ']);
            if variable { counts.1 += 1 } else { counts.0 += usize::from(!name.starts_with("- ")) }
        } else if behind == ":" || behind.starts_with(": ") {
            counts.2 += 1;
        }
    }
    let (settings, variables, yaml) = counts;
    let json = text.trim_start().starts_with(['[', '{']) && (text.contains("\"Env\"") || text.contains("\"kind\""));
    if json || yaml > settings + variables {
        return containers::detect(text);
    }
    if variables > settings { Kind::EnvFile } else { Kind::KongConf }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("# all commented\n#pg_ssl = off\n", Kind::KongConf)]
    #[case("pg_ssl = on\nproxy_listen = 0.0.0.0:8000 reuseport, 0.0.0.0:8443 ssl\n", Kind::KongConf)]
    #[case("# comment\nKONG_PG_SSL=on\nPOSTGRES_USER=kong\n", Kind::EnvFile)]
    #[case("export KONG_PG_SSL=on\n", Kind::EnvFile)]
    #[case("[{\"Id\": \"1\", \"Config\": {\"Env\": [\"KONG_PG_SSL=on\"]}}]", Kind::DockerInspect)]
    #[case("services:\n  kong:\n    environment:\n      - KONG_PG_SSL=on\n", Kind::Compose)]
    #[case("apiVersion: apps/v1\nkind: Deployment\nspec: {}\n", Kind::Kubernetes)]
    #[case("env:\n  database: postgres\n  pg_ssl: \"on\"\n", Kind::Helm)]
    fn a_kind_is_recognized_by_the_content(#[case] text: &str, #[case] kind: Kind) {
        assert_eq!(detect(text), kind);
    }
}
