//! Private keys that are kept for later authorities.

use std::fs::DirBuilder;
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private};
use tempfile::NamedTempFile;

use super::description::KeyType;
use super::sign;

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

/// Others see the whole file, or none. Only its owner can read it.
fn keep(folder: &Path, path: &Path, pem: &[u8]) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(pem)?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

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
