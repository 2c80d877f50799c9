//! Data directories in containers: initdb makes one for each image, and all other containers unpack it.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::Mutex;

use super::shell::Shell;
use crate::config::INITDB;
use crate::error::RuntimeError;

/// The server's files are below it, in memory: the file systems of an engine can be slow.
pub(super) const HOME: &str = "/postgres-tls-server";
pub(super) const DATA: &str = "/postgres-tls-server/data";

/// The templates of an engine's images.
pub(super) struct Templates {
    /// By the reference of the image.
    known: Mutex<BTreeMap<String, Arc<Template>>>,
    /// Where they are kept for later runs.
    kept: Option<PathBuf>,
}

/// A data directory.
struct Template {
    /// The superuser's.
    password: String,
    /// A compressed archive, in Base64.
    archive: String,
}

impl Templates {
    /// Templates that are kept in a folder for later runs.
    pub(super) fn kept_in(kept: Option<PathBuf>) -> Self {
        Self { known: Mutex::default(), kept }
    }

    /// Makes a data directory in a container of an image. Returns the superuser's password.
    pub(super) async fn data_directory(
        &self,
        engine: &bollard::Docker,
        image: &str,
        shell: &mut Shell,
    ) -> Result<String, RuntimeError> {
        let mut known = self.known.lock().await;
        let template = if let Some(template) = known.get(image) {
            template.clone()
        } else {
            let file = self.file(engine, image).await;
            let Some(kept) = file.as_deref().and_then(Template::read) else {
                let made = Template::make(shell).await?;
                // Where it cannot be kept, each run makes its own.
                let _ = file.map(|file| made.keep(&file));
                let password = made.password.clone();
                known.insert(image.to_owned(), Arc::new(made));
                return Ok(password);
            };
            known.entry(image.to_owned()).or_insert(Arc::new(kept)).clone()
        };
        drop(known);
        template.unpack(shell).await?;
        Ok(template.password.clone())
    }

    /// The file of an image: of this very build of it, since tags are given to others.
    async fn file(&self, engine: &bollard::Docker, image: &str) -> Option<PathBuf> {
        let folder = self.kept.as_ref()?;
        let id = engine.inspect_image(image).await.ok()?.id?;
        let mut hasher = DefaultHasher::new();
        (id, INITDB).hash(&mut hasher);
        Some(folder.join(format!("{:016x}.image", hasher.finish())))
    }
}

impl Template {
    /// Has initdb make a data directory, and packs it.
    async fn make(shell: &mut Shell) -> Result<Self, RuntimeError> {
        let password = random_password()?;
        let options = INITDB.join(" ");
        let initdb = format!(
            "cd {HOME}
             printf %s {password} >password
             chown -R postgres {HOME}
             as_database_user initdb {options} --auth=scram-sha-256 --pwfile=password --pgdata={DATA}
             rm password"
        );
        shell.run("make a data directory with initdb", &initdb).await?;
        let pack = format!("tar -c -C {DATA} . | gzip -1 | base64");
        let archive = shell.run("pack a data directory", &pack).await?;
        Ok(Self { password, archive })
    }

    async fn unpack(&self, shell: &mut Shell) -> Result<(), RuntimeError> {
        let archive = self.archive.trim_end();
        let commands = format!(
            "chown postgres {HOME}
             mkdir {DATA}
             cd {DATA}
             base64 -d <<'END' | gzip -d | tar -x -p -f -
{archive}
END"
        );
        shell.run("unpack a data directory", &commands).await.map(drop)
    }

    fn read(file: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(file).ok()?;
        let (password, archive) = text.split_once('\n')?;
        Some(Self { password: password.to_owned(), archive: archive.to_owned() })
    }

    /// Other users cannot read it.
    fn keep(&self, file: &Path) -> std::io::Result<()> {
        file.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        // Several processes may do this at once.
        let incomplete = file.with_extension(std::process::id().to_string());
        let mut writer = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&incomplete)?;
        let written = writeln!(writer, "{}", self.password).and_then(|()| writer.write_all(self.archive.as_bytes()));
        let kept = written.and_then(|()| std::fs::rename(&incomplete, file));
        if kept.is_err() {
            let _ = std::fs::remove_file(&incomplete);
        }
        kept
    }
}

fn random_password() -> Result<String, RuntimeError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(RuntimeError::failing("make a password"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_template_is_kept_for_this_user_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("templates").join("0.image");
        let template = Template { password: "0123".into(), archive: "H4sI\nAAAA\n".into() };
        template.keep(&file).expect("a file");
        assert_eq!(std::fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
        let read = Template::read(&file).expect("a template");
        assert_eq!((read.password, read.archive), (template.password, template.archive));
        assert_eq!(std::fs::read_dir(folder.path().join("templates")).expect("a folder").count(), 1);
    }
}
