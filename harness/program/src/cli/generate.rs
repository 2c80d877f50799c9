//! `completions` and `man`: made from the command line's own definition.

use std::io;
use std::path::PathBuf;

use clap::{Args, Command};
use clap_complete::Shell;

use super::{Exit, Failure, print};

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  kong-pg-tls completions bash >/usr/share/bash-completion/completions/kong-pg-tls
  kong-pg-tls completions zsh >~/.zfunc/_kong-pg-tls
  source <(kong-pg-tls completions bash)           for this shell only";

const MAN_EXAMPLES: &str = "\
Examples:
  kong-pg-tls man | man -l -                       reads the page of the program
  kong-pg-tls man --dir /usr/local/share/man/man1  writes a page for each command";

#[derive(Debug, Args)]
#[command(after_help = COMPLETIONS_EXAMPLES)]
pub(super) struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn completions(args: &CompletionsArgs, mut program: Command) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut program, "kong-pg-tls", &mut script);
    print(|out| out.write_all(&script))?;
    Ok(Exit::Success)
}

#[derive(Debug, Args)]
#[command(after_help = MAN_EXAMPLES)]
pub(super) struct ManArgs {
    /// Write the pages of the program and of all its commands to this folder.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(super) fn man(args: &ManArgs, program: Command) -> Result<Exit, Failure> {
    let Some(folder) = &args.dir else {
        let mut page = Vec::new();
        rendered(clap_mangen::Man::new(program).render(&mut page))?;
        print(|out| out.write_all(&page))?;
        return Ok(Exit::Success);
    };
    let unwritable = |error: io::Error| {
        Failure::environment(format!("cannot write to {}: {error}; name another folder", folder.display()))
    };
    std::fs::create_dir_all(folder).map_err(unwritable)?;
    clap_mangen::generate_to(program, folder).map_err(unwritable)?;
    print(|out| writeln!(out, "{}", folder.display()))?;
    Ok(Exit::Success)
}

fn rendered(result: io::Result<()>) -> Result<(), Failure> {
    result.map_err(|error| Failure::environment(format!("cannot make the page: {error}")))
}
