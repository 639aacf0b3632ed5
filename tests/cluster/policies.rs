//! Proves that the generated policies in CEL agree with the program, in the API server's own evaluator and without a
//! server: the same rules deny, the same rules warn, with the same messages, and the mutations write the same object.
//!
//! POLICIES=all proves it for all cases and not for a share of them, which takes hours. POLICIES=10 proves it for about ten
//! times as many.

mod case;
mod comparison;
mod corpora;
mod corruptions;
mod evaluator;
mod faults;
mod findings;
mod generated;
mod mutants;
mod mutations;
mod parts;
mod random;
mod values;

use std::path::Path;
use std::time::Instant;

use case::Case;
use comparison::{Compared, prove};

/// A test that needs the folder of the programs of the cluster, and no cluster.
pub type ProgramTest = fn(&Path);

pub const TESTS: &[(&str, ProgramTest)] = &[
    ("cel-policies-find-what-the-program-finds-in-examples-and-captured-reviews", |program| {
        let all = || corpora::examples().chain(corpora::captured());
        prove_all(program, &[Compared::Findings, Compared::Mutations], all);
        // The policies judge what the mutations have left, beside the old object as it was.
        prove_all(program, &[Compared::Findings], || all().filter_map(|case| case.if_mutated()));
    }),
    ("cel-policies-find-what-the-program-finds-in-states", |program| {
        let all = || corpora::product().chain(corpora::steps()).chain(corpora::generations_and_artifacts());
        prove_all(program, &[Compared::Findings], all);
    }),
    ("cel-policies-find-what-the-program-finds-in-corrupted-reviews", |program| {
        let all = || {
            corruptions::structures()
                .chain(corruptions::repeated_before())
                .chain(corruptions::times())
                .chain(corruptions::fields())
        };
        prove_all(program, &[Compared::Findings], all);
    }),
    ("cel-policies-find-what-the-program-finds-in-random-objects", |program| {
        prove_all(program, &[Compared::Findings], random::cases);
    }),
    ("cel-policies-with-a-fault-are-told-from-the-program", faults::faults_are_found),
    ("cel-policies-with-a-mutation-less-are-told-from-the-program", parts::of_mutations_are_needed),
    ("cel-policies-mutate-as-the-program-does", |program| {
        let all = || corruptions::structures().chain(corpora::steps()).chain(corruptions::fields().step_by(3));
        prove_all(program, &[Compared::Mutations], all);
        prove_all(program, &[Compared::Mutations], random::cases);
        prove_all(program, &[Compared::Findings], || random::cases().step_by(5).filter_map(|case| case.if_mutated()));
    }),
];

fn prove_all<I: Iterator<Item = Case> + Send>(program: &Path, compared: &[Compared], cases: impl Fn() -> I) {
    for compared in compared {
        let start = Instant::now();
        let count = prove(program, *compared, cases());
        eprintln!("{compared:?}: {count} cases in {:.1?}", start.elapsed());
    }
}
