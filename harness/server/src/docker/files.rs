//! The shell commands that write a server's files. To start a program costs ten milliseconds in a container, so that they
//! start few.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::config::{Changes, File};
use crate::words::Owner;

/// The mode of a file that the shell makes, with the umask of [`commands`], and of those that initdb makes.
const NEW: u32 = 0o600;

/// The commands that remove the files that were there `before`, and write those that are not as they were: in place, if a
/// file keeps its owner and its mode. They need [`DATABASE_USER`].
pub(super) fn commands(before: &BTreeMap<String, File>, files: &BTreeMap<String, File>) -> String {
    let mut commands = vec!["umask 077".to_owned()];
    let Changes { obsolete, changed } = Changes::between(before, files);
    if !obsolete.is_empty() {
        let obsolete: Vec<_> = obsolete.into_iter().map(|name| quoted(name)).collect();
        commands.push(format!("rm -f {}", obsolete.join(" ")));
    }
    let folders: BTreeSet<_> =
        changed.keys().filter_map(|name| name.rsplit_once('/')).map(|(folder, _)| folder).collect();
    for folder in folders.into_iter().map(quoted) {
        let user = owner(Owner::DatabaseUser, Owner::DatabaseUser);
        commands.push(format!("[ -d {folder} ] || {{ mkdir -p {folder}; chown {user} {folder}; }}"));
    }
    let (mut owners, mut modes) = (BTreeMap::<_, Vec<_>>::new(), BTreeMap::<_, Vec<_>>::new());
    for (name, file) in changed {
        let path = quoted(name);
        commands.push(format!("printf %b {} >{path}", quoted(&escaped(&file.content))));
        let before = before.get(name);
        if before.map(|before| (before.owner, before.group)) != Some((file.owner, file.group)) {
            owners.entry(owner(file.owner, file.group)).or_default().push(path.clone());
        }
        if before.map_or(NEW, |before| before.mode) != file.mode {
            modes.entry(file.mode).or_default().push(path);
        }
    }
    commands.extend(owners.into_iter().map(|(owner, paths)| format!("chown {owner} {}", paths.join(" "))));
    commands.extend(modes.into_iter().map(|(mode, paths)| format!("chmod {mode:o} {}", paths.join(" "))));
    commands.join("\n")
}

/// Variables of a shell: the ids of the database user, which all images of PostgreSQL have, and of its group.
pub(super) const DATABASE_USER: &str = "user=$(id -u postgres) group=$(id -g postgres)";

fn owner(user: Owner, group: Owner) -> String {
    let id = |owner: Owner, ours: &str| owner.number().map_or_else(|| ours.to_owned(), |number| number.to_string());
    format!("{}:{}", id(user, "$user"), id(group, "$group"))
}

/// A word of a command.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// What `printf %b` prints as these bytes.
fn escaped(content: &[u8]) -> String {
    let mut escaped = String::with_capacity(content.len());
    for byte in content {
        match byte {
            b'\\' => escaped.push_str(r"\\"),
            b'\n' | b' '..=b'~' => escaped.push(char::from(*byte)),
            _ => {
                // Writing to a String cannot fail.
                let _ = write!(escaped, r"\0{byte:03o}");
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::*;

    fn files<const N: usize>(files: [(&str, File); N]) -> BTreeMap<String, File> {
        files.map(|(name, file)| (name.to_owned(), file)).into()
    }

    /// Runs commands in a folder, where only root could give files away. Returns to whom they are given.
    fn run(folder: &Path, commands: &str) -> String {
        let script = format!("user=70 group=70\nset -e\nchown() {{ echo \"$@\"; }}\n{commands}");
        let output = Command::new("sh").args(["-c", &script]).current_dir(folder).output().expect("a shell");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("names")
    }

    #[test]
    fn a_file_has_its_bytes_its_mode_and_its_owner() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().expect("a folder");
        let bytes: Vec<u8> = (0..=255).chain(*b"100% of it's \\n\n").collect();
        let key = File { mode: 0o640, owner: Owner::Root, ..File::of_database_user(bytes.clone()) };
        let all = files([
            ("it's.key", key),
            ("crl/0.r0", File::of_database_user("CRL")),
            ("empty", File::of_database_user("")),
        ]);
        let given = run(folder.path(), &commands(&BTreeMap::new(), &all));
        assert_eq!(given, "70:70 crl\n70:70 crl/0.r0 empty\n0:70 it's.key\n");
        let path = folder.path().join("it's.key");
        assert_eq!(std::fs::read(&path).expect("a file"), bytes);
        assert_eq!(path.metadata().expect("a file").permissions().mode() & 0o777, 0o640);
        assert_eq!(std::fs::read(folder.path().join("crl/0.r0")).expect("a file"), b"CRL");
        assert_eq!(folder.path().join("crl").metadata().expect("a folder").permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn what_stays_as_it_is_is_not_written_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let (kept, old, new) = (File::of_database_user("1"), File::of_database_user("2"), File::of_database_user("3"));
        let before = files([("kept", kept.clone()), ("changed", old.clone()), ("removed", old)]);
        run(folder.path(), &commands(&BTreeMap::new(), &before));
        let after = files([("kept", kept), ("changed", new)]);
        let commands = commands(&before, &after);
        assert_eq!(commands, "umask 077\nrm -f 'removed'\nprintf %b '3' >'changed'");
        assert_eq!(run(folder.path(), &commands), "");
        assert!(!folder.path().join("removed").exists());
    }
}
