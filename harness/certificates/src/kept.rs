//! Private keys, and what recipes have made, that are kept for later authorities.

use std::collections::HashMap;
use std::fs::{DirBuilder, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::SystemTime;

use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private};
use tempfile::NamedTempFile;

use super::description::KeyType;
use super::recipe::{Recipe, RecipeOutput};
use super::{PkiError, sign};

/// How long what a recipe has made is used, in seconds. Its certificates are valid for a year at least.
const PERIOD: u64 = 30 * 24 * 60 * 60;

/// The key of this name and type that is in a folder, or else a new one, which is put there.
pub(super) fn key(folder: &Path, name: &str, key_type: KeyType) -> Result<PKey<Private>, ErrorStack> {
    let file = format!("{name}.{key_type:?}.pem");
    if Path::new(&file).components().count() != 1 {
        // The name would lead somewhere else.
        return sign::generate(key_type);
    }
    let path = folder.join(file);
    if let Some(kept) = std::fs::read(&path).ok().and_then(|pem| PKey::private_key_from_pem(&pem).ok()) {
        return Ok(kept);
    }
    let key = sign::generate(key_type)?;
    // A key that cannot be kept is as good for this authority.
    let _ = keep(folder, &path, &key.private_key_to_pem_pkcs8()?);
    Ok(key)
}

/// What a recipe has made in this period with the same program, as it is in a folder, or else what `run` makes, which is put
/// there.
pub(super) fn outputs(
    folder: &Path,
    recipe: Recipe,
    run: impl FnOnce() -> Result<HashMap<&'static str, RecipeOutput>, PkiError>,
) -> Result<HashMap<&'static str, RecipeOutput>, PkiError> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let Some(fingerprint) = recipe.fingerprint() else { return run() };
    let path = folder.join(format!("recipe-{fingerprint:016x}-{}", now.as_secs() / PERIOD));
    if let Ok(kept) = recipe.outputs(&path) {
        return Ok(kept);
    }
    let outputs = run()?;
    let _ = keep_outputs(folder, &path, &outputs);
    Ok(outputs)
}

/// Others see all files, or none. Only their owner can read them.
fn keep_outputs(folder: &Path, path: &Path, outputs: &HashMap<&'static str, RecipeOutput>) -> io::Result<()> {
    make_private(folder)?;
    let incomplete = tempfile::Builder::new().permissions(Permissions::from_mode(0o700)).tempdir_in(folder)?;
    let write = |file: String, content: &[u8], mode: u32| {
        let path = incomplete.path().join(file);
        std::fs::write(&path, content)?;
        std::fs::set_permissions(path, Permissions::from_mode(mode))
    };
    for (name, output) in outputs {
        write(format!("{name}.crt"), &output.file, 0o600)?;
        write(format!("{name}.key"), &output.key, output.key_mode)?;
    }
    // Another process may have kept its own meanwhile.
    std::fs::rename(incomplete.path(), path)?;
    let _ = incomplete.keep();
    Ok(())
}

fn make_private(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Others see the whole file, or none. Only its owner can read it.
fn keep(folder: &Path, path: &Path, pem: &[u8]) -> io::Result<()> {
    make_private(folder)?;
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(pem)?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_only_its_owner_can_read_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let keys = folder.path().join("keys");
        let first = key(&keys, "server", KeyType::EcdsaP256).expect("a key");
        let second = key(&keys, "server", KeyType::EcdsaP256).expect("a key");
        let other = key(&keys, "server", KeyType::EcdsaP384).expect("a key");
        assert!(first.public_eq(&second) && !first.public_eq(&other));
        let files: Vec<_> = std::fs::read_dir(&keys).expect("a folder").map(|entry| entry.expect("an entry")).collect();
        assert_eq!(files.len(), 2);
        assert!(files.iter().all(|file| file.metadata().expect("a file").permissions().mode() & 0o777 == 0o600));
    }

    #[test]
    fn a_recipe_is_run_once_and_only_its_owner_can_read_what_it_has_made() {
        let (folder, run_in) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let keys = folder.path().join("keys");
        let first = outputs(&keys, Recipe::SelfSigned, || Recipe::SelfSigned.run(run_in.path())).expect("outputs");
        let second = outputs(&keys, Recipe::SelfSigned, || panic!("it is run again")).expect("outputs");
        assert_eq!(first.len(), second.len());
        for (name, output) in &first {
            let kept = &second[name];
            let all = |output: &RecipeOutput| (output.certificate.clone(), output.key.clone(), output.file.clone());
            assert_eq!((all(kept), kept.key_mode), (all(output), output.key_mode), "{name}");
        }
        let entries: Vec<_> =
            std::fs::read_dir(&keys).expect("a folder").map(|entry| entry.expect("an entry")).collect();
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0].metadata().expect("a folder").permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_name_does_not_lead_out_of_the_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        key(&folder.path().join("keys"), "../server", KeyType::EcdsaP256).expect("a key");
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
    }

    #[test]
    fn without_a_place_for_it_there_is_a_key_all_the_same() {
        let file = NamedTempFile::new().expect("a file");
        assert!(key(file.path(), "server", KeyType::EcdsaP256).is_ok());
    }
}
