//! nginx's configuration: the same surroundings for every nginx that runs here.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// What every nginx here has in common.
#[derive(Debug, Clone)]
pub(super) struct Surroundings {
    /// The folder for everything it writes, which has the Lua files.
    pub(super) folder: PathBuf,
    /// The folder of nginx's modules.
    pub(super) modules: PathBuf,
    /// Folders of other Lua modules.
    pub(super) libraries: Vec<PathBuf>,
}

impl Surroundings {
    /// A configuration with these directives in its `http` block. Its log, and the file with its process id, have a name.
    pub(super) fn configuration(&self, name: &str, http: &str) -> String {
        let (here, modules) = (self.folder.display(), self.modules.display());
        // Kong's files belong to the user who runs the harness.
        let user = if rustix::process::geteuid().is_root() { "user root;\n" } else { "" };
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("  {name}_temp_path {here}/temporary;\n"))
            .concat();
        let mut lua = format!("{here}/?.lua;");
        for library in &self.libraries {
            let library = library.display();
            let _ = write!(lua, "{library}/?.lua;{library}/?/init.lua;");
        }
        format!(
            "daemon off;
{user}worker_processes 1;
pid {here}/{name}.pid;
error_log {here}/{name}.log info;
load_module {modules}/ndk_http_module.so;
load_module {modules}/ngx_http_lua_module.so;
events {{ worker_connections 512; }}
http {{
  access_log off;
  log_not_found off;
{temporary}  lua_package_path \"{lua};\";
{http}}}
"
        )
    }

    /// A configuration of an nginx that runs Lua code while it starts.
    pub(super) fn in_init(&self, name: &str, code: &str) -> String {
        self.configuration(name, &format!("  init_by_lua_block {{\n{code}\n  }}\n"))
    }

    /// The log of an nginx.
    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }
}

/// The arguments with which nginx reads a configuration.
pub(super) fn arguments<'a>(conf: &'a Path, folder: &'a Path, log: &'a Path) -> [&'a std::ffi::OsStr; 6] {
    ["-c".as_ref(), conf.as_os_str(), "-p".as_ref(), folder.as_os_str(), "-e".as_ref(), log.as_os_str()]
}
