//! Checkouts of Kong's real driver, pgmoon, and of the library it needs. Their Lua files are copied into the folder of the
//! run; nothing of them is in this program.
//!
//! A release runs with the checkout of its own driver. A version that no release is known to have, which may be the next
//! one, runs for those of its lineage that have no checkout.

use std::io;
use std::path::{Path, PathBuf};

use kong_pg_client::{Lineage, Profile};
use regex::Regex;

use crate::client::Unavailable;

/// How to get them, on one line.
const HOW_TO_GET: &str = "name checkouts with --pgmoon DIR,..: git clone https://github.com/leafo/pgmoon (open source) or \
    https://github.com/Kong/pgmoon (Enterprise), and https://github.com/fffonion/lua-resty-openssl, which both need; \
    ci/pgmoon FOLDER clones all";

/// The checkouts.
pub(super) struct Checkouts {
    drivers: Vec<Driver>,
    /// The folder of Lua modules that lua-resty-openssl is in.
    pub(super) library: PathBuf,
    /// What they are, with their versions.
    pub(super) about: String,
}

struct Driver {
    kind: Kind,
    folder: PathBuf,
}

/// What decides for which releases a checkout is the driver.
#[derive(Debug, PartialEq, Eq)]
struct Kind {
    lineage: Lineage,
    version: String,
    /// Whether `pg_ssl_version = any` offers TLS 1.0 as well; Kong's 2.2.0 and a branch of it differ in that.
    any_is_from_1_0: bool,
}

impl Kind {
    /// From the driver's source.
    fn read(init: &str) -> Self {
        let version = version(init).unwrap_or_else(|| "of an unknown version".into());
        // Kong's fork sends client certificates, with a function of Kong's OpenResty.
        if init.contains("tlshandshake") {
            return Self { lineage: Lineage::Kong, version, any_is_from_1_0: !init.contains("no_tlsv1") };
        }
        // The fix of 1.16.2, which leafo's repository has as a pull request to 1.16.0.
        let is_fixed = version == "1.16.0" && init.contains("find_sigid_algs");
        let version = if is_fixed { "1.16.2".into() } else { version };
        Self { lineage: Lineage::Leafo, version, any_is_from_1_0: false }
    }

    fn is_of(&self, profile: &Profile) -> bool {
        let any = self.lineage == Lineage::Leafo || self.any_is_from_1_0 == profile.any_is_from_1_0();
        profile.pgmoon() == (self.lineage, &self.version) && any
    }

    /// Whether a release is known to have this version.
    fn is_known(&self) -> bool {
        matches!(
            (self.lineage, self.version.as_str()),
            (Lineage::Kong, "2.2.0") | (Lineage::Leafo, "1.15.0" | "1.16.0" | "1.16.2")
        )
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}'s pgmoon {}", self.lineage, self.version)?;
        let is_branch = self.lineage == Lineage::Kong && !self.any_is_from_1_0;
        f.write_str(if is_branch { " with `any` from TLS 1.1" } else { "" })
    }
}

impl Checkouts {
    /// Copies them into a folder.
    ///
    /// # Errors
    /// If one of them is not a checkout, or one is missing.
    pub(super) fn copy(named: &[PathBuf], into: &Path) -> Result<Self, Unavailable> {
        let (mut drivers, mut library, mut about) = (Vec::new(), None, Vec::new());
        for (number, checkout) in named.iter().enumerate() {
            let copied = |folder: &str| {
                let to = into.join(format!("checkout-{number}"));
                copy(&checkout.join(folder), &to.join(folder)).map_err(|source| failed(checkout, source))?;
                Ok::<_, Unavailable>(to)
            };
            if let Ok(init) = std::fs::read_to_string(checkout.join("pgmoon/init.lua")) {
                let kind = Kind::read(&init);
                about.push(kind.to_string());
                drivers.push(Driver { kind, folder: copied("pgmoon")? });
            } else if let Ok(main) = std::fs::read_to_string(checkout.join("lib/resty/openssl.lua")) {
                let version = version(&main).unwrap_or_else(|| "of an unknown version".into());
                about.push(format!("lua-resty-openssl {version}"));
                library = Some(copied("lib/resty")?.join("lib"));
            } else {
                let what = "is a checkout neither of pgmoon nor of lua-resty-openssl";
                return Err(Unavailable::missing(format!("{} {what}; {HOW_TO_GET}", checkout.display())));
            }
        }
        match library {
            Some(library) if !drivers.is_empty() => Ok(Self { drivers, library, about: about.join(", ") }),
            _ => Err(Unavailable::missing(HOW_TO_GET)),
        }
    }

    /// The folder of the driver that a release runs with.
    pub(super) fn folder(&self, profile: &Profile) -> Option<&Path> {
        let own = self.drivers.iter().find(|driver| driver.kind.is_of(profile));
        let lineage = profile.pgmoon().0;
        let new = || self.drivers.iter().find(|Driver { kind, .. }| kind.lineage == lineage && !kind.is_known());
        own.or_else(new).map(|driver| driver.folder.as_path())
    }
}

fn failed(checkout: &Path, source: io::Error) -> Unavailable {
    Unavailable::Io { what: format!("{} cannot be copied", checkout.display()), source }
}

/// The version that a Lua module gives itself.
fn version(module: &str) -> Option<String> {
    let version = Regex::new(r#"\b_?VERSION = ["']([^"']+)["']"#).ok()?;
    Some(version.captures(module)?[1].to_owned())
}

/// Copies the Lua files of a folder, and of those in it.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let (path, kind) = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)))?;
        let into = to.join(path.file_name().unwrap_or_default());
        if kind.is_dir() {
            copy(&path, &into)?;
        } else if path.extension().is_some_and(|extension| extension == "lua") {
            std::fs::copy(&path, into)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn checkout(file: &str, content: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join(file);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        std::fs::write(file, content).expect("a file");
        folder
    }

    const KONGS: &str = "local VERSION = \"2.2.0\"\nself.sock:tlshandshake({})\n";
    const KONGS_ANY: &str = "local VERSION = \"2.2.0\"\nself.sock:tlshandshake({})\noptions = { \"no_tlsv1\" }\n";
    const LEAFOS: &str = "local VERSION = \"1.16.0\"\n";
    const LEAFOS_FIXED: &str = "local VERSION = \"1.16.0\"\nobjects.find_sigid_algs(sigid)\n";
    const LEAFOS_NEXT: &str = "local VERSION = \"1.99.0\"\n";

    #[rstest]
    #[case::its_own(&[KONGS, KONGS_ANY], "2.8-enterprise", Some(0))]
    #[case::the_branch(&[KONGS, KONGS_ANY], "3.16-enterprise", Some(1))]
    #[case::another_release_has_it(&[KONGS], "3.16-enterprise", None)]
    #[case::another_lineage(&[KONGS, KONGS_ANY], "3.9-oss", None)]
    #[case::the_fix(&[LEAFOS, LEAFOS_FIXED], "3.9-oss", Some(1))]
    #[case::without_the_fix(&[LEAFOS_FIXED, LEAFOS], "3.3-oss", Some(1))]
    #[case::a_new_version(&[LEAFOS, LEAFOS_NEXT], "3.9-oss", Some(1))]
    #[case::its_own_before_a_new_version(&[LEAFOS_NEXT, LEAFOS], "3.3-oss", Some(1))]
    fn a_release_runs_with_its_own_driver_or_a_new_one(
        #[case] sources: &[&str],
        #[case] release: &str,
        #[case] expected: Option<usize>,
    ) {
        let into = tempfile::tempdir().expect("a folder");
        let library = checkout("lib/resty/openssl.lua", "local _M = { _VERSION = '1.5.1' }\n");
        let drivers: Vec<_> = sources.iter().map(|source| checkout("pgmoon/init.lua", source)).collect();
        let named: Vec<_> = drivers.iter().chain([&library]).map(|folder| folder.path().to_owned()).collect();
        let checkouts = Checkouts::copy(&named, into.path()).expect("checkouts");
        let expected = expected.map(|number| into.path().join(format!("checkout-{number}")));
        assert_eq!(checkouts.folder(&release.parse().expect("a release")), expected.as_deref());
    }

    #[test]
    fn lua_files_are_copied_and_versions_are_read() {
        let into = tempfile::tempdir().expect("a folder");
        let (leafos, library) =
            (checkout("pgmoon/init.lua", LEAFOS), checkout("lib/resty/openssl.lua", "_VERSION = '1.5.1'"));
        std::fs::write(leafos.path().join("pgmoon/init.moon"), "").expect("a file");
        let named = [&leafos, &library].map(|folder| folder.path().to_owned());
        let checkouts = Checkouts::copy(&named, into.path()).expect("checkouts");
        assert_eq!(checkouts.about, "leafo's pgmoon 1.16.0, lua-resty-openssl 1.5.1");
        let copy = into.path().join("checkout-0/pgmoon");
        assert!(copy.join("init.lua").exists() && !copy.join("init.moon").exists());
        assert!(checkouts.library.join("resty/openssl.lua").exists());
    }

    #[test]
    fn missing_parts_are_named_on_one_line() {
        let into = tempfile::tempdir().expect("a folder");
        let leafos = checkout("pgmoon/init.lua", "");
        for named in [Vec::new(), vec![leafos.path().to_owned()], vec![into.path().to_owned()]] {
            let error = Checkouts::copy(&named, into.path()).err().expect("an error").to_string();
            assert!(
                error.contains("git clone https://github.com/leafo/pgmoon") && error.lines().count() == 1,
                "{error}"
            );
        }
    }
}
