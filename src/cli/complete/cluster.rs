//! The completion of values that are in the cluster: names of scans and namespaces.

use std::ffi::{OsStr, OsString};
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use clap::{ArgMatches, Command};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};

use crate::cli::flags::cluster;
use crate::cli::flags::scan::kind_of;
use crate::cluster::client::{ClusterOptions, client};
use crate::cluster::names::{namespace_names, scan_names};
use crate::scan::Kind;

/// The longest time to wait for the cluster. Then the shell goes on without its names.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// Adds the completers to the flags of a command line, whose words say which cluster and namespace to ask.
pub fn with_completers(command: Command, words: &[OsString]) -> Command {
    let parser = command.clone();
    command.mut_subcommand("describe", |describe| {
        let matches = parser.ignore_errors(true).try_get_matches_from(words).unwrap_or_default();
        let matches = matches.subcommand().map(|(_, matches)| matches.clone()).unwrap_or_default();
        let completer = |complete: fn(&str, &ArgMatches) -> Vec<String>| {
            let matches = matches.clone();
            ArgValueCompleter::new(move |current: &OsStr| {
                let current = current.to_str().unwrap_or_default();
                let found = complete(current, &matches);
                let found = found.into_iter().filter(|candidate| candidate.starts_with(current));
                found.map(CompletionCandidate::new).collect()
            })
        };
        describe
            .mut_arg("scan", |arg| arg.add(completer(scans)))
            .mut_arg("name", |arg| arg.add(completer(|_, matches| names(text(matches, "scan"), matches))))
            .mut_arg("namespace", |arg| arg.add(completer(|_, matches| namespaces(matches))))
    })
}

/// Returns `kind/` and, after the slash, `kind/name`.
fn scans(current: &str, matches: &ArgMatches) -> Vec<String> {
    match current.split_once('/') {
        Some((kind, _)) => names(kind, matches).into_iter().map(|name| format!("{kind}/{name}")).collect(),
        None => Kind::ALL.map(|kind| format!("{}/", kind.name().to_lowercase())).to_vec(),
    }
}

fn names(kind: &str, matches: &ArgMatches) -> Vec<String> {
    let Some(kind) = kind_of(kind) else { return Vec::new() };
    let namespace = matches.try_get_one::<String>("namespace").ok().flatten().cloned();
    from_cluster(matches, move |client| {
        Box::pin(async move {
            let namespace = namespace.unwrap_or_else(|| client.default_namespace().to_owned());
            scan_names(&client, kind, &namespace).await
        })
    })
}

fn namespaces(matches: &ArgMatches) -> Vec<String> {
    from_cluster(matches, |client| Box::pin(async move { namespace_names(&client).await }))
}

fn text<'m>(matches: &'m ArgMatches, name: &str) -> &'m str {
    matches.try_get_one::<String>(name).ok().flatten().map(String::as_str).unwrap_or_default()
}

type Names = Pin<Box<dyn Future<Output = Vec<String>>>>;

/// Returns what a task finds in the cluster of the flags within [`WAIT_MAX`]. It has a thread of its own, since a program
/// that makes the credentials of a kubeconfig blocks its thread. The thread ends with the process.
fn from_cluster(matches: &ArgMatches, task: impl FnOnce(kube::Client) -> Names + Send + 'static) -> Vec<String> {
    let options = ClusterOptions {
        kubeconfig: matches.try_get_one::<PathBuf>("kubeconfig").ok().flatten().cloned(),
        context: matches.try_get_one::<String>("context").ok().flatten().cloned(),
    };
    let (sender, found) = mpsc::channel();
    thread::spawn(move || {
        let names: io::Result<Option<Vec<String>>> = cluster::run(async {
            let client = client(&options).await.ok()?;
            Some(task(client).await)
        });
        // The receiver is gone after the longest time.
        let _ = sender.send(names.ok().flatten().unwrap_or_default());
    });
    found.recv_timeout(WAIT_MAX).unwrap_or_default()
}
