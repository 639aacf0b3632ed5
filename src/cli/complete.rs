//! The completion of a command line: kinds, names and namespaces from the cluster, rules and flags from the program.
//!
//! A shell calls the program with [`VARIABLE`], as the scripts of `generate completions` do. kubectl calls it by the name
//! `kubectl_complete-scan_admission`. Nothing is printed but the candidates: without a cluster there are none.

#[cfg(feature = "cluster")]
mod cluster;

use std::env;
use std::ffi::OsString;
use std::io::{self, Write as _};

use clap::Command;
use clap_complete::engine;
use clap_complete::env::{CompleteEnv, EnvCompleter, Shells};

/// The variable by which a shell asks for candidates. Its value is the name of the shell.
const VARIABLE: &str = "SCAN_ADMISSION_COMPLETE";

/// Directives of cobra that kubectl reads: no space after a candidate, and no names of files beside the candidates.
const NO_SPACE: u8 = 2;
const NO_FILES: u8 = 4;

/// Answers a shell that asks for candidates, and exits. Returns if none asks.
pub fn answer_shell(command: &Command) {
    // They follow a `--`.
    let words: Vec<OsString> = env::args_os().skip_while(|word| word != "--").skip(1).collect();
    CompleteEnv::with_factory(|| with_completers(command.clone(), &words)).var(VARIABLE).complete();
}

/// Prints the candidates for the arguments of this process, as kubectl reads them.
pub fn answer_kubectl(command: &Command) -> io::Result<()> {
    let words: Vec<OsString> = env::args_os().collect();
    let (last, folder) = (words.len() - 1, env::current_dir().ok());
    let mut command = with_completers(command.clone(), &words);
    let candidates = engine::complete(&mut command, words, last, folder.as_deref())?;
    let mut out = io::stdout().lock();
    let (mut ends_open, mut is_any) = (true, false);
    for candidate in candidates {
        let value = candidate.get_value().to_string_lossy();
        (ends_open, is_any) = (ends_open && value.ends_with(['/', '=']), true);
        match candidate.get_help().map(ToString::to_string).unwrap_or_default().lines().next() {
            Some(help) => writeln!(out, "{value}\t{help}")?,
            None => writeln!(out, "{value}")?,
        }
    }
    writeln!(out, ":{}", NO_FILES + if is_any && ends_open { NO_SPACE } else { 0 })
}

/// Returns the scripts that make shells ask the program, each with the name of its file.
pub fn scripts(program: &str) -> io::Result<Vec<(String, String)>> {
    let script = |shell: &dyn EnvCompleter| {
        let mut script = Vec::new();
        shell.write_registration(VARIABLE, program, program, program, &mut script)?;
        let mut script = String::from_utf8(script).map_err(io::Error::other)?;
        let file = match shell.name() {
            "elvish" => format!("{program}.elv"),
            "powershell" => format!("_{program}.ps1"),
            "zsh" => {
                // A file in `fpath` is loaded by the first completion, which it then has to answer.
                let function = format!("_clap_dynamic_completer_{}", program.replace('-', "_"));
                script += &format!("[[ ${{funcstack[1]}} == _{program} ]] && {function} \"$@\"\n");
                format!("_{program}")
            }
            name => format!("{program}.{name}"),
        };
        Ok((file, script))
    };
    Shells::builtins().iter().map(script).collect()
}

/// Adds the completers of values that are in the cluster, which depend on the other words.
#[cfg(feature = "cluster")]
fn with_completers(command: Command, words: &[OsString]) -> Command {
    cluster::with_completers(command, words)
}

#[cfg(not(feature = "cluster"))]
fn with_completers(command: Command, _: &[OsString]) -> Command {
    command
}
