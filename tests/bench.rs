//! How fast it is, beside what others do in its place: `cargo bench`, or `cargo bench -- --quick`.

#[path = "bench/bodies.rs"]
mod bodies;
#[path = "bench/core.rs"]
mod core;
#[path = "support/objects.rs"]
mod objects;
#[path = "bench/stages.rs"]
mod stages;

use bodies::Body;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let is_quick = args.iter().any(|arg| arg == "--quick");
    let filter = args.iter().find(|arg| !arg.starts_with('-')).map_or("", String::as_str);
    core::run(&Body::all(), filter, is_quick);
}
